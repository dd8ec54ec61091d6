package jinja

import (
	"errors"
	"time"
)

// interp is the state of one rendering.
type interp struct {
	limits Limits // no field is 0
	steps  int    // left
	memory int    // left
	depth  int

	scope *scope
	out   *buffer
	now   time.Time

	appenders    [appendSlot]*appender // see concat.go
	nextAppender int                   // the one to replace next
}

// step counts n steps of work.
func (in *interp) step(n int) error {
	in.steps -= n
	if in.steps < 0 || n < 0 {
		return &LimitError{Limit: "steps", Max: in.limits.MaxSteps}
	}
	return nil
}

// scan counts the work of reading n bytes.
func (in *interp) scan(n int) error { return in.step(n / 64) }

// alloc counts n bytes of new values, and the work of filling them. It must come before the allocation.
func (in *interp) alloc(n int) error {
	if n < 0 || n > in.memory {
		in.memory = 0
		return &LimitError{Limit: "memory", Max: in.limits.MaxMemory}
	}
	in.memory -= n
	return in.scan(n)
}

// enter counts one level of nesting; leave undoes it.
func (in *interp) enter() error {
	in.depth++
	if in.depth > in.limits.MaxDepth {
		return &LimitError{Limit: "nesting", Max: in.limits.MaxDepth}
	}
	return nil
}

func (in *interp) leave() { in.depth-- }

// newList counts and returns a list of the given elements.
func (in *interp) newList(items []value) (*list, error) {
	if err := in.allocItems(len(items)); err != nil {
		return nil, err
	}
	return &list{items}, nil
}

// allocItems counts the memory of a slice of n values.
func (in *interp) allocItems(n int) error { return in.alloc(48 + 32*n) }

// buffer collects printed text.
type buffer struct{ b strBuilder }

// write prints s to the current buffer.
func (in *interp) write(s str) error {
	if in.out.b.b.Len()+len(s.s) > in.limits.MaxOutput {
		return &LimitError{Limit: "output", Max: in.limits.MaxOutput}
	}
	if err := in.alloc(s.size()); err != nil {
		return err
	}
	in.out.b.add(s)
	return nil
}

// capture runs body and returns what it printed.
func (in *interp) capture(run func() error) (str, error) {
	saved := in.out
	in.out = &buffer{}
	err := run()
	text := in.out.b.str()
	in.out = saved
	return text, err
}

// scope holds the variables of a block; names not found are looked for in parent. The outermost scope has one slot
// per symbol of the template, inner ones a short list.
type scope struct {
	parent *scope
	slots  []value // outermost scope: by symbol, nil for unset
	syms   []symbol
	vals   []value
	kept   bool // a macro holds on to this scope, so that a loop must not use it again

	// First backing arrays of syms and vals: most scopes are small, and each iteration of a loop makes one.
	symBuf [4]symbol
	valBuf [4]value
}

// newScope returns an empty scope below parent.
func newScope(parent *scope) *scope {
	s := &scope{parent: parent}
	s.syms, s.vals = s.symBuf[:0], s.valBuf[:0]
	return s
}

// lookup returns the value of sym, or nil.
func (s *scope) lookup(sym symbol) value {
	for ; s.parent != nil; s = s.parent {
		for i, have := range s.syms {
			if have == sym {
				return s.vals[i]
			}
		}
	}
	return s.slots[sym]
}

// clear forgets the variables of an inner scope.
func (s *scope) clear() {
	clear(s.vals) // for the garbage collector
	s.syms, s.vals = s.syms[:0], s.vals[:0]
}

// set assigns v to sym in this scope.
func (s *scope) set(sym symbol, v value) {
	if s.parent == nil {
		s.slots[sym] = v
		return
	}
	for i, have := range s.syms {
		if have == sym {
			s.vals[i] = v
			return
		}
	}
	s.syms = append(s.syms, sym)
	s.vals = append(s.vals, v)
}

// inScope runs f in a new scope below parent.
func (in *interp) inScope(parent *scope, f func() error) error {
	saved := in.scope
	in.scope = newScope(parent)
	err := f()
	in.scope = saved
	return err
}

// assign gives v to a target, which may unpack it.
func (in *interp) assign(t *target, v value) error {
	if t.items != nil {
		items, err := in.iterate(v)
		if err != nil {
			return err
		}
		switch want := len(t.items); {
		case len(items) < want:
			return errorf("not enough values to unpack (expected %d, got %d)", want, len(items))
		case len(items) > want:
			return errorf("too many values to unpack (expected %d)", want)
		}
		for i := range t.items {
			if err := in.assign(&t.items[i], items[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if t.attr == "" {
		in.scope.set(t.sym, v)
		return nil
	}
	ns, ok := in.scope.lookup(t.sym).(*namespace)
	if !ok {
		return errorf("cannot assign attribute %q: %q is no namespace", t.attr, t.name)
	}
	if err := in.alloc(bytesPerEntry); err != nil {
		return err
	}
	ns.attrs.setString(lit(t.attr), v)
	return nil
}

// errUndefined returns the error of using u, whose text says what is missing.
func errUndefined(u undefined) error { return errors.New(u.msg) }
