package jinja

import (
	"errors"
	"strings"
)

// equal is Python's l == r.
func (in *interp) equal(l, r value) (bool, error) {
	if err := in.step(1); err != nil {
		return false, err
	}
	if c, ok := compareNumbers(l, r); ok {
		return c == 0, nil
	}
	switch a := l.(type) {
	case str:
		b, ok := r.(str)
		if !ok || len(a.s) != len(b.s) {
			return false, nil
		}
		return a.s == b.s, in.scan(len(a.s))
	case undefined:
		_, ok := r.(undefined)
		return ok, nil
	case *list:
		if b, ok := r.(*list); ok {
			return in.equalItems(a.items, b.items)
		}
	case *tuple:
		if b, ok := r.(*tuple); ok {
			return in.equalItems(a.items, b.items)
		}
	case *dict:
		if b, ok := r.(*dict); ok {
			return in.equalDicts(a, b)
		}
	case *pyRange:
		b, ok := r.(*pyRange)
		return ok && a.n == b.n && (a.n == 0 || a.start == b.start && (a.n == 1 || a.step == b.step)), nil
	case float64: // NaN, or a number against something else
		return false, nil
	}
	return l == r, nil
}

func (in *interp) equalItems(a, b []value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	if err := in.enter(); err != nil {
		return false, err
	}
	defer in.leave()
	for i := range a {
		if same, err := in.equal(a[i], b[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func (in *interp) equalDicts(a, b *dict) (bool, error) {
	if a.len() != b.len() {
		return false, nil
	}
	if err := in.enter(); err != nil {
		return false, err
	}
	defer in.leave()
	for i := range a.entries {
		j := b.find(a.entries[i].hash)
		if j < 0 {
			return false, nil
		}
		if same, err := in.equal(a.entries[i].val, b.entries[j].val); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// errUnordered says that two values have no order.
var errUnordered = errors.New("values have no order")

// less is Python's l < r, or errUnordered.
func (in *interp) less(l, r value) (bool, error) {
	if err := in.step(1); err != nil {
		return false, err
	}
	if isNumber(l) && isNumber(r) {
		c, ok := compareNumbers(l, r)
		return ok && c < 0, nil
	}
	switch a := l.(type) {
	case undefined:
		return false, errUndefined(a)
	case str:
		if b, ok := r.(str); ok {
			return a.s < b.s, in.scan(min(len(a.s), len(b.s)))
		}
	case *list:
		if b, ok := r.(*list); ok {
			return in.lessItems(a.items, b.items)
		}
	case *tuple:
		if b, ok := r.(*tuple); ok {
			return in.lessItems(a.items, b.items)
		}
	}
	if u, ok := r.(undefined); ok {
		return false, errUndefined(u)
	}
	return false, errUnordered
}

func (in *interp) lessItems(a, b []value) (bool, error) {
	if err := in.enter(); err != nil {
		return false, err
	}
	defer in.leave()
	for i := 0; i < len(a) && i < len(b); i++ {
		same, err := in.equal(a[i], b[i])
		if err != nil {
			return false, err
		}
		if !same {
			return in.less(a[i], b[i])
		}
	}
	return len(a) < len(b), nil
}

// contains is Python's item in container.
func (in *interp) contains(container, item value) (bool, error) {
	switch c := container.(type) {
	case str:
		sub, ok := item.(str)
		if !ok {
			if u, ok := item.(undefined); ok {
				return false, errUndefined(u)
			}
			return false, errorf("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(c.s, sub.s), in.scan(len(c.s))
	case *dict:
		if _, ok := item.(*tuple); ok {
			return false, nil // no key is a tuple
		}
		_, ok, err := c.get(item)
		return ok, err
	case *dictView:
		if c.kind == "dict_keys" {
			_, ok, err := c.d.get(item)
			return ok, err
		}
	case *namespace, *macro, *builtin, *boundMethod:
		return false, errorf("argument of type '%s' is not iterable", typeName(container))
	case none, bool, int64, float64:
		return false, errorf("argument of type '%s' is not iterable", typeName(container))
	}
	items, err := in.iterate(container)
	if err != nil {
		return false, err
	}
	for _, have := range items {
		if same, err := in.equal(have, item); err != nil || same {
			return same, err
		}
	}
	return false, nil
}

// compare computes l op r for a comparison operator.
func (in *interp) compare(op string, l, r value) (bool, error) {
	l, r = plain(l), plain(r)
	switch op {
	case "==":
		return in.equal(l, r)
	case "!=":
		same, err := in.equal(l, r)
		return !same, err
	case "in":
		return in.contains(r, l)
	case "not in":
		found, err := in.contains(r, l)
		return !found, err
	}
	holds, err := in.ordered(op, l, r)
	if err == errUnordered {
		err = errorf("'%s' not supported between instances of '%s' and '%s'", op, typeName(l), typeName(r))
	}
	return holds, err
}

// ordered computes l op r for <, <=, > and >=.
func (in *interp) ordered(op string, l, r value) (bool, error) {
	if op == ">" || op == ">=" {
		l, r = r, l
	}
	if op == "<" || op == ">" {
		return in.less(l, r)
	}
	if isNumber(l) && isNumber(r) {
		c, ok := compareNumbers(l, r) // not ok for NaN, which equals nothing
		return ok && c <= 0, nil
	}
	greater, err := in.less(r, l)
	return !greater && err == nil, err
}
