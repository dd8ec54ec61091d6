package jinja

import (
	"errors"
	"strings"
)

// eval evaluates x, counting a step and a level of nesting.
func (in *interp) eval(x expr) (value, error) {
	err := in.step(1)
	if err == nil {
		err = in.enter()
		var v value
		if err == nil {
			v, err = x.eval(in)
		}
		in.leave()
		if err == nil {
			return v, nil
		}
	}
	return nil, located(err, x.at())
}

// evalAll evaluates expressions into a new slice.
func (in *interp) evalAll(xs []expr) ([]value, error) {
	if err := in.allocItems(len(xs)); err != nil {
		return nil, err
	}
	out := make([]value, len(xs))
	for i, x := range xs {
		v, err := in.eval(x)
		if err != nil {
			return nil, err
		}
		out[i] = plain(v)
	}
	return out, nil
}

func (x *constExpr) eval(*interp) (value, error) { return x.val, nil }

func (x *nameExpr) eval(in *interp) (value, error) {
	if v := in.scope.lookup(x.sym); v != nil {
		return v, nil
	}
	return undefined{strRepr(x.name) + " is undefined"}, nil
}

func (x *tupleExpr) eval(in *interp) (value, error) {
	items, err := in.evalAll(x.items)
	return &tuple{items: items}, err
}

func (x *listExpr) eval(in *interp) (value, error) {
	items, err := in.evalAll(x.items)
	return &list{items}, err
}

func (x *dictExpr) eval(in *interp) (value, error) {
	if err := in.alloc(bytesPerEntry * (1 + len(x.items)/2)); err != nil {
		return nil, err
	}
	d := &dict{}
	for i := 0; i < len(x.items); i += 2 {
		key, err := in.eval(x.items[i])
		if err != nil {
			return nil, err
		}
		val, err := in.eval(x.items[i+1])
		if err != nil {
			return nil, err
		}
		if err := d.set(plain(key), plain(val)); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (x *attrExpr) eval(in *interp) (value, error) {
	obj, err := in.eval(x.obj)
	if err != nil {
		return nil, err
	}
	return in.attr(obj, x.name)
}

func (x *indexExpr) eval(in *interp) (value, error) {
	obj, err := in.eval(x.obj)
	if err != nil {
		return nil, err
	}
	key, err := in.eval(x.index)
	if err != nil {
		return nil, err
	}
	return in.item(obj, key)
}

func (x *sliceExpr) eval(in *interp) (value, error) {
	obj, err := in.eval(x.obj)
	if err != nil {
		return nil, err
	}
	var bounds [3]value
	for i, b := range []expr{x.start, x.stop, x.step} {
		if b == nil {
			continue
		}
		if bounds[i], err = in.eval(b); err != nil {
			return nil, err
		}
	}
	return in.slice(obj, bounds[0], bounds[1], bounds[2])
}

func (x *callExpr) eval(in *interp) (value, error) {
	fn, err := in.eval(x.fn)
	if err != nil {
		return nil, err
	}
	a, err := in.args(x.args)
	if err != nil {
		return nil, err
	}
	return in.call(fn, a)
}

func (x *filterExpr) eval(in *interp) (value, error) {
	v, err := in.eval(x.obj)
	if err != nil {
		return nil, err
	}
	return x.apply(in, v)
}

// apply passes v through the filter.
func (x *filterExpr) apply(in *interp, v value) (value, error) {
	if x.def == nil {
		return nil, errorf("no filter is named %q", x.name)
	}
	a, err := in.args(x.args)
	if err != nil {
		return nil, err
	}
	return in.filter(x.name, x.def, v, a)
}

func (x *testExpr) eval(in *interp) (value, error) {
	v, err := in.eval(x.obj)
	if err != nil {
		return nil, err
	}
	if x.def == nil {
		return nil, errorf("no test is named %q", x.name)
	}
	a, err := in.args(x.args)
	if err != nil {
		return nil, err
	}
	holds, err := in.test(x.name, x.def, v, a)
	return holds != x.negate, err
}

func (x *unaryExpr) eval(in *interp) (value, error) {
	v, err := in.eval(x.x)
	if err != nil {
		return nil, err
	}
	switch x.op {
	case "not":
		return !truth(v), nil
	case "-":
		return negate(v)
	}
	if n, ok := bigInt(v); ok {
		return normInt(n), nil
	}
	if f, ok := v.(float64); ok {
		return f, nil
	}
	return nil, errorf("bad operand type for unary +: '%s'", typeName(v))
}

func (x *logicExpr) eval(in *interp) (value, error) {
	l, err := in.eval(x.l)
	if err != nil || truth(l) != x.and {
		return l, err
	}
	return in.eval(x.r)
}

func (x *concatExpr) eval(in *interp) (value, error) {
	parts := make([]str, 0, len(x.items))
	for _, item := range x.items {
		v, err := in.eval(item)
		if err != nil {
			return nil, err
		}
		s, err := in.str(v)
		if err != nil {
			return nil, err
		}
		parts = append(parts, s)
	}
	text, err := in.concat(parts...)
	return text, err
}

func (x *compareExpr) eval(in *interp) (value, error) {
	l, err := in.eval(x.first)
	if err != nil {
		return nil, err
	}
	for i, op := range x.ops {
		r, err := in.eval(x.rest[i])
		if err != nil {
			return nil, err
		}
		if holds, err := in.compare(op, l, r); err != nil || !holds {
			return false, err
		}
		l = r
	}
	return true, nil
}

func (x *condExpr) eval(in *interp) (value, error) {
	cond, err := in.eval(x.cond)
	switch {
	case err != nil:
		return nil, err
	case truth(cond):
		return in.eval(x.yes)
	case x.no != nil:
		return in.eval(x.no)
	}
	return undefined{"the conditional expression has no else part, and its condition is false"}, nil
}

func (x *binaryExpr) eval(in *interp) (value, error) {
	l, err := in.eval(x.l)
	if err != nil {
		return nil, err
	}
	r, err := in.eval(x.r)
	if err != nil {
		return nil, err
	}
	return in.operate(x.op, l, r)
}

// operate computes l op r for an arithmetic operator, which strings, lists and tuples know too.
func (in *interp) operate(op string, l, r value) (value, error) {
	_, lm := l.(markup)
	_, rm := r.(markup)
	if lm || rm {
		if op == "+" {
			return in.addMarkup(l, r)
		}
		l, r = plain(l), plain(r)
	}
	if s, ok := l.(str); ok && op == "%" {
		return in.printf(s, r)
	}
	if u, ok := l.(undefined); ok {
		return nil, errUndefined(u)
	}
	if u, ok := r.(undefined); ok {
		return nil, errUndefined(u)
	}
	if isNumber(l) && isNumber(r) {
		_, lf := l.(float64)
		_, rf := r.(float64)
		if !lf && !rf {
			if err := in.step(intWork(l) * intWork(r)); err != nil {
				return nil, err
			}
		}
		return arith(op, l, r)
	}
	switch op {
	case "+":
		switch a := l.(type) {
		case str:
			if b, ok := r.(str); ok {
				text, err := in.concat(a, b)
				return text, err
			}
			return nil, errorf(`can only concatenate str (not "%s") to str`, typeName(r))
		case *list:
			if b, ok := r.(*list); ok {
				items, err := in.joinItems(a.items, b.items)
				return &list{items}, err
			}
		case *tuple:
			if b, ok := r.(*tuple); ok {
				items, err := in.joinItems(a.items, b.items)
				return &tuple{items: items}, err
			}
		}
	case "*":
		if _, ok := clampInt(l); ok {
			l, r = r, l
		}
		if n, ok := clampInt(r); ok {
			return in.repeat(l, n)
		}
	}
	return nil, errorf("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(l), typeName(r))
}

// intWork weighs an operand of integer arithmetic, which for large integers is more than one step.
func intWork(v value) int {
	if n, ok := bigInt(v); ok {
		return 1 + n.BitLen()/256
	}
	return 1
}

func (in *interp) joinItems(a, b []value) ([]value, error) {
	if err := in.allocItems(len(a) + len(b)); err != nil {
		return nil, err
	}
	out := make([]value, 0, len(a)+len(b))
	return append(append(out, a...), b...), nil
}

// repeat is v * n for strings, lists and tuples.
func (in *interp) repeat(v value, n int64) (value, error) {
	n = max(n, 0)
	times := func(size int) error {
		if size > 0 && n > int64(in.limits.MaxMemory/size) {
			return in.alloc(-1)
		}
		return in.alloc(size * int(n))
	}
	repeated := func(items []value) ([]value, error) {
		if err := times(32 * len(items)); err != nil {
			return nil, err
		}
		out := make([]value, 0, len(items)*int(n))
		for range n {
			if len(items) == 0 {
				break
			}
			out = append(out, items...)
		}
		return out, nil
	}
	switch v := v.(type) {
	case str:
		if err := times(v.size()); err != nil || v.s == "" {
			return str{}, err
		}
		return str{strings.Repeat(v.s, int(n)), strings.Repeat(v.data, int(n))}, nil
	case *list:
		items, err := repeated(v.items)
		return &list{items}, err
	case *tuple:
		items, err := repeated(v.items)
		return &tuple{items: items}, err
	case undefined:
		return nil, errUndefined(v)
	}
	return nil, errors.New("can't multiply sequence by non-int of type '" + typeName(v) + "'")
}
