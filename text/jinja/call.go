package jinja

import (
	"slices"
)

// args are the evaluated arguments of a call.
type args struct {
	pos   []value
	named []namedArg
}

type namedArg struct {
	name str
	val  value
}

// args evaluates the arguments of a call.
func (in *interp) args(x argExprs) (args, error) {
	var a args
	var err error
	if len(x.pos) > 0 {
		if a.pos, err = in.evalAll(x.pos); err != nil {
			return a, err
		}
	}
	for i, kw := range x.kw {
		v, err := in.eval(kw)
		if err != nil {
			return a, err
		}
		a.named = append(a.named, namedArg{lit(x.names[i]), plain(v)})
	}
	if x.star != nil {
		v, err := in.eval(x.star)
		if err != nil {
			return a, err
		}
		items, err := in.iterate(v)
		if err != nil {
			return a, err
		}
		if a.pos, err = in.joinItems(a.pos, items); err != nil {
			return a, err
		}
	}
	if x.starStar != nil {
		v, err := in.eval(x.starStar)
		if err != nil {
			return a, err
		}
		d, ok := v.(*dict)
		if !ok {
			return a, errorf("argument after ** must be a mapping, not %s", typeName(v))
		}
		if err := in.alloc(bytesPerEntry * d.len()); err != nil {
			return a, err
		}
		for _, e := range d.entries {
			name, ok := e.key.(str)
			if !ok {
				return a, errorf("keywords must be strings")
			}
			a.named = append(a.named, namedArg{name, e.val})
		}
	}
	return a, nil
}

// bind sorts arguments into params; parameters left out are nil. At least required of them must be there.
func (a args) bind(fn string, required int, params ...string) ([]value, error) {
	if len(a.pos) > len(params) {
		return nil, errorf("%s takes at most %d arguments, got %d", fn, len(params), len(a.pos))
	}
	out := make([]value, len(params))
	copy(out, a.pos)
	for _, n := range a.named {
		i := slices.Index(params, n.name.s)
		if i < 0 {
			return nil, errorf("%s got an unexpected keyword argument %q", fn, n.name.s)
		}
		if out[i] != nil {
			return nil, errorf("%s got two values for argument %q", fn, n.name.s)
		}
		out[i] = n.val
	}
	for i := range required {
		if out[i] == nil {
			return nil, errorf("%s lacks its argument %q", fn, params[i])
		}
	}
	return out, nil
}

// call calls fn.
func (in *interp) call(fn value, a args) (value, error) {
	switch fn := fn.(type) {
	case *builtin:
		return fn.fn(in, a)
	case *boundMethod:
		return in.callMethod(fn, a)
	case *macro:
		return in.callMacro(fn, a)
	case *loopState:
		return fn.recurse(in, a)
	case *joiner:
		if _, err := a.bind("joiner", 0); err != nil {
			return nil, err
		}
		if !fn.used {
			fn.used = true
			return str{}, nil
		}
		return fn.sep, nil
	case undefined:
		return nil, errUndefined(fn)
	default:
		return nil, errorf("'%s' object is not callable", typeName(fn))
	}
}

// macro is a callable of the template with the scope that its body sees.
type macro struct {
	def   *macroDef
	scope *scope
}

// newMacro returns the macro of def with the current scope.
func (in *interp) newMacro(def *macroDef) *macro {
	for s := in.scope; s != nil && !s.kept; s = s.parent {
		s.kept = true
	}
	return &macro{def: def, scope: in.scope}
}

// callMacro runs the body of m and returns what it printed.
func (in *interp) callMacro(m *macro, a args) (value, error) {
	def := m.def
	var text str
	err := in.alloc(128 + 48*len(def.params))
	if err != nil {
		return nil, err
	}
	err = in.inScope(m.scope, func() error {
		if err := in.bindMacro(def, a); err != nil {
			return err
		}
		text, err = in.capture(func() error {
			_, err := in.run(def.body) // jumps out of a macro do not parse
			return err
		})
		return err
	})
	return text, err
}

// bindMacro assigns the arguments of a macro to its parameters in the current scope. Defaults see the parameters
// before them; parameters without an argument or default are undefined.
func (in *interp) bindMacro(def *macroDef, a args) error {
	n := min(len(a.pos), len(def.params))
	for i, v := range a.pos[:n] {
		in.scope.set(def.params[i], v)
	}
	if rest := a.pos[n:]; def.varargs >= 0 {
		in.scope.set(def.varargs, &tuple{items: slices.Clone(rest)})
	} else if len(rest) > 0 {
		return errorf("macro %q takes not more than %d argument(s)", def.name, len(def.params))
	}
	var given map[string]value
	extra := &dict{}
	for _, arg := range a.named {
		switch i := slices.Index(def.names, arg.name.s); {
		case i >= 0 && i < n:
			return errorf("macro %q got two values for argument %q", def.name, arg.name.s)
		case i >= 0:
			if given == nil {
				given = map[string]value{}
			}
			given[arg.name.s] = arg.val
		case arg.name.s == "caller" && def.caller >= 0:
			in.scope.set(def.caller, arg.val)
		case def.kwargs >= 0:
			extra.setString(arg.name, arg.val)
		default:
			return errorf("macro %q takes no keyword argument %q", def.name, arg.name.s)
		}
	}
	if def.kwargs >= 0 {
		in.scope.set(def.kwargs, extra)
	}
	firstDefault := len(def.params) - len(def.defaults)
	for i := n; i < len(def.params); i++ {
		v, ok := given[def.names[i]]
		switch {
		case ok:
		case i >= firstDefault:
			var err error
			if v, err = in.eval(def.defaults[i-firstDefault]); err != nil {
				return err
			}
		default:
			v = undefined{"parameter " + strRepr(def.names[i]) + " was not provided"}
		}
		in.scope.set(def.params[i], v)
	}
	return nil
}

// loopState is the variable "loop" of a for loop.
type loopState struct {
	stmt    *forStmt
	scope   *scope // around the loop
	items   []value
	index   int
	depth   int
	changed value // last arguments of loop.changed, nil before the first call
}

// recurse is loop(v): the same loop over other elements, one level deeper.
func (l *loopState) recurse(in *interp, a args) (value, error) {
	if !l.stmt.recursive {
		return nil, errorf("the loop is not marked as recursive")
	}
	v, err := a.bind("loop", 1, "iterable")
	if err != nil {
		return nil, err
	}
	text, err := in.capture(func() error {
		_, err := l.stmt.loop(in, l.scope, v[0], l.depth+1)
		return err
	})
	return text, err
}

// attr returns an attribute of the loop.
func (l *loopState) attr(name string) (value, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(n - l.index), true
	case "revindex0":
		return int64(n - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.index == 0 {
			return undefined{"there is no previous item"}, true
		}
		return l.items[l.index-1], true
	case "nextitem":
		if l.index == n-1 {
			return undefined{"there is no next item"}, true
		}
		return l.items[l.index+1], true
	case "cycle":
		return &builtin{"cycle", func(_ *interp, a args) (value, error) {
			if len(a.pos) == 0 {
				return nil, errorf("no items for cycling given")
			}
			return a.pos[l.index%len(a.pos)], nil
		}}, true
	case "changed":
		return &builtin{"changed", func(in *interp, a args) (value, error) {
			now := &tuple{items: a.pos}
			if l.changed != nil {
				if same, err := in.equal(l.changed, now); err != nil || same {
					return false, err
				}
			}
			l.changed = now
			return true, nil
		}}, true
	}
	return nil, false
}
