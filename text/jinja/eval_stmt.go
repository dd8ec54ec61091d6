package jinja

import "errors"

// signal is how a statement ended: in the usual way, or with a jump to the enclosing loop.
type signal uint8

const (
	sigNone signal = iota
	sigBreak
	sigContinue
)

// run executes statements until one of them jumps.
func (in *interp) run(body []stmt) (signal, error) {
	if err := in.enter(); err != nil {
		in.leave()
		return sigNone, err
	}
	defer in.leave()
	for _, s := range body {
		err := in.step(1)
		if err == nil {
			var sig signal
			sig, err = s.exec(in)
			if err == nil {
				if sig != sigNone {
					return sig, nil
				}
				continue
			}
		}
		return sigNone, located(err, s.at())
	}
	return sigNone, nil
}

func (s *textStmt) exec(in *interp) (signal, error) {
	return sigNone, in.write(lit(s.text))
}

func (s *outputStmt) exec(in *interp) (signal, error) {
	v, err := in.eval(s.x)
	if err != nil {
		return sigNone, err
	}
	text, err := in.str(v)
	if err != nil {
		return sigNone, err
	}
	return sigNone, in.write(text)
}

func (s *ifStmt) exec(in *interp) (signal, error) {
	for i, cond := range s.conds {
		v, err := in.eval(cond)
		if err != nil {
			return sigNone, err
		}
		if truth(v) {
			return in.run(s.bodies[i])
		}
	}
	return in.run(s.otherwise)
}

func (s *setStmt) exec(in *interp) (signal, error) {
	v, err := in.eval(s.x)
	if err != nil {
		return sigNone, err
	}
	return sigNone, in.assign(&s.target, v)
}

func (s *setBlockStmt) exec(in *interp) (signal, error) {
	var sig signal
	text, err := in.capture(func() error {
		return in.inScope(in.scope, func() (err error) {
			sig, err = in.run(s.body)
			return err
		})
	})
	if err != nil || sig != sigNone {
		return sig, err
	}
	v, err := in.applyFilters(s.filters, text)
	if err != nil {
		return sigNone, err
	}
	return sigNone, in.assign(&s.target, v)
}

func (s *filterStmt) exec(in *interp) (signal, error) {
	var sig signal
	text, err := in.capture(func() error {
		return in.inScope(in.scope, func() (err error) {
			sig, err = in.run(s.body)
			return err
		})
	})
	if err != nil || sig != sigNone {
		return sig, err
	}
	v, err := in.applyFilters(s.filters, text)
	if err != nil {
		return sigNone, err
	}
	if text, err = in.str(v); err != nil {
		return sigNone, err
	}
	return sigNone, in.write(text)
}

// applyFilters passes text through a chain of filters, the innermost of which has no operand.
func (in *interp) applyFilters(chain expr, text value) (value, error) {
	f, ok := chain.(*filterExpr)
	if !ok {
		return text, nil
	}
	if err := in.enter(); err != nil {
		in.leave()
		return nil, err
	}
	defer in.leave()
	v, err := in.applyFilters(f.obj, text)
	if err != nil {
		return nil, err
	}
	if v, err = f.apply(in, v); err != nil {
		return nil, located(err, f.position)
	}
	return v, nil
}

func (s *scopeStmt) exec(in *interp) (signal, error) {
	// The values of a with statement see only what is outside of it.
	vals, err := in.evalAll(s.vals)
	if err != nil {
		return sigNone, err
	}
	var sig signal
	err = in.inScope(in.scope, func() (err error) {
		for i := range s.targets {
			if err := in.assign(&s.targets[i], vals[i]); err != nil {
				return err
			}
		}
		sig, err = in.run(s.body)
		return err
	})
	return sig, err
}

func (s *jumpStmt) exec(*interp) (signal, error) { return s.sig, nil }

func (s *unsupportedStmt) exec(*interp) (signal, error) {
	return sigNone, located(errors.New(s.why), s.position)
}

func (s *macroStmt) exec(in *interp) (signal, error) {
	in.scope.set(s.sym, in.newMacro(s.def))
	return sigNone, in.alloc(256) // with its share of the scope that it keeps alive
}

func (s *callStmt) exec(in *interp) (signal, error) {
	fn, err := in.eval(s.call.fn)
	if err != nil {
		return sigNone, err
	}
	a, err := in.args(s.call.args)
	if err != nil {
		return sigNone, err
	}
	a.named = append(a.named, namedArg{lit("caller"), in.newMacro(s.body)})
	v, err := in.call(fn, a)
	if err != nil {
		return sigNone, located(err, s.call.position)
	}
	text, err := in.str(v)
	if err != nil {
		return sigNone, err
	}
	return sigNone, in.write(text)
}

// symLoop is the symbol of "loop"; parse interns the implicit names in this order.
const symLoop symbol = 3

func (s *forStmt) exec(in *interp) (signal, error) {
	v, err := in.eval(s.iter)
	if err != nil {
		return sigNone, err
	}
	return s.loop(in, in.scope, v, 0)
}

// loop runs the loop over the elements of v. Variables of the body live below outer; depth counts recursive calls.
func (s *forStmt) loop(in *interp, outer *scope, v value, depth int) (sig signal, err error) {
	items, err := in.iterate(v)
	if err != nil {
		return sigNone, located(err, s.iter.at())
	}
	if s.cond != nil {
		if items, err = s.filter(in, outer, items); err != nil {
			return sigNone, err
		}
	}
	if len(items) == 0 {
		err = in.inScope(outer, func() (err error) {
			sig, err = in.run(s.otherwise) // a jump here leaves an outer loop
			return err
		})
		return sig, err
	}
	state := &loopState{stmt: s, scope: outer, items: items, depth: depth}
	return sigNone, in.inScope(outer, func() error {
		for i, item := range items {
			if err := in.step(1); err != nil {
				return err
			}
			// Each iteration has variables of its own.
			if in.scope.kept {
				in.scope = newScope(outer)
			} else {
				in.scope.clear()
			}
			state.index = i
			in.scope.set(symLoop, state)
			if err := in.assign(&s.target, item); err != nil {
				return located(err, s.target.position)
			}
			sig, err := in.run(s.body)
			if err != nil {
				return err
			}
			if sig == sigBreak {
				break
			}
		}
		return nil
	})
}

// filter returns the elements for which the condition of the loop holds.
func (s *forStmt) filter(in *interp, outer *scope, items []value) ([]value, error) {
	if err := in.allocItems(len(items)); err != nil {
		return nil, err
	}
	var out []value
	err := in.inScope(outer, func() error {
		for _, item := range items {
			if err := in.assign(&s.target, item); err != nil {
				return located(err, s.target.position)
			}
			v, err := in.eval(s.cond)
			if err != nil {
				return err
			}
			if truth(v) {
				out = append(out, item)
			}
		}
		return nil
	})
	return out, err
}
