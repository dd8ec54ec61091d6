package jinja

import (
	"errors"
	"math"
	"unicode/utf8"
)

// elements returns what iterating over a view gives.
func (v *dictView) elements() []value {
	switch v.kind {
	case "dict_keys":
		return v.d.keys()
	case "dict_values":
		return v.d.values()
	default:
		return v.d.items()
	}
}

// iterate returns the elements of v as a for loop sees them. The slice must not be changed.
func (in *interp) iterate(v value) ([]value, error) {
	switch v := plain(v).(type) {
	case undefined:
		return nil, nil
	case *list:
		return v.items, nil
	case *tuple:
		return v.items, nil
	case str:
		if err := in.alloc(48 * len(v.s)); err != nil {
			return nil, err
		}
		out := make([]value, 0, utf8.RuneCountInString(v.s))
		for i, r := range v.s {
			out = append(out, v.slice(i, i+utf8.RuneLen(r)))
		}
		return out, nil
	case *dict:
		return v.keys(), in.allocItems(v.len())
	case *dictView:
		return v.elements(), in.alloc(bytesPerEntry * v.d.len())
	case *pyRange:
		if v.n > maxRange {
			return nil, &LimitError{Limit: "range", Max: maxRange}
		}
		if err := in.allocItems(int(v.n)); err != nil {
			return nil, err
		}
		out := make([]value, v.n)
		for i := range out {
			out[i] = v.at(int64(i))
		}
		return out, nil
	case *iterator:
		items := v.items
		v.items = nil
		return items, nil
	case *loopState:
		return nil, errors.New("a loop object can be iterated only by its for statement")
	default:
		return nil, errorf("'%s' object is not iterable", typeName(v))
	}
}

// length is Python's len(v).
func (in *interp) length(v value) (int, error) {
	switch v := v.(type) {
	case undefined:
		return 0, nil
	case str:
		return utf8.RuneCountInString(v.s), in.scan(len(v.s))
	case *list:
		return len(v.items), nil
	case *tuple:
		return len(v.items), nil
	case *dict:
		return v.len(), nil
	case *dictView:
		return v.d.len(), nil
	case *pyRange:
		return int(v.n), nil
	case *loopState:
		return len(v.items), nil
	default:
		return 0, errorf("object of type '%s' has no len()", typeName(v))
	}
}

// attr is obj.name: a method or attribute first, then the element of that key. What is missing is undefined; an
// attribute of undefined is an error.
func (in *interp) attr(obj value, name string) (value, error) {
	if v, ok := in.member(obj, name); ok {
		return v, nil
	}
	switch obj := obj.(type) {
	case *dict:
		if v, ok := obj.getString(name); ok {
			return v, nil
		}
	case undefined:
		return nil, errUndefined(obj)
	}
	return undefined{"'" + typeName(obj) + " object' has no attribute " + strRepr(name)}, nil
}

// item is obj[key]: the element first, then the method or attribute of that name.
func (in *interp) item(obj, key value) (value, error) {
	obj, key = plain(obj), plain(key)
	switch o := obj.(type) {
	case undefined:
		return nil, errUndefined(o)
	case *dict:
		if v, ok, err := o.get(key); err == nil && ok {
			return v, nil
		}
	default:
		if i, ok := clampInt(key); ok {
			v, found, err := in.element(obj, i)
			if err != nil || found {
				return v, err
			}
		}
	}
	if name, ok := key.(str); ok {
		if v, ok := in.member(obj, name.s); ok {
			return v, nil
		}
		return undefined{"'" + typeName(obj) + " object' has no attribute " + strRepr(name.s)}, nil
	}
	text, err := in.repr(key)
	return undefined{typeName(obj) + " object has no element " + text.s}, err
}

// element returns element i of a sequence; negative i count from the end.
func (in *interp) element(obj value, i int64) (v value, found bool, err error) {
	switch o := obj.(type) {
	case *list:
		return pick(o.items, i)
	case *tuple:
		return pick(o.items, i)
	case *pyRange:
		if i < 0 {
			i += o.n
		}
		if i < 0 || i >= o.n {
			return nil, false, nil
		}
		return o.at(i), true, nil
	case str:
		if err := in.scan(len(o.s)); err != nil {
			return nil, false, err
		}
		starts, err := in.starts(o.s)
		if err != nil {
			return nil, false, err
		}
		n := starts.count()
		if i < 0 {
			i += int64(n)
		}
		if i < 0 || i >= int64(n) {
			return nil, false, nil
		}
		return o.slice(starts.at(int(i)), starts.at(int(i)+1)), true, nil
	}
	return nil, false, nil
}

func pick(items []value, i int64) (value, bool, error) {
	if i < 0 {
		i += int64(len(items))
	}
	if i < 0 || i >= int64(len(items)) {
		return nil, false, nil
	}
	return items[i], true, nil
}

// slice is obj[start:stop:step]; nil and none stand for what is left out.
func (in *interp) slice(obj, start, stop, step value) (value, error) {
	obj = plain(obj)
	var n int
	var chars starts
	switch o := obj.(type) {
	case undefined:
		return nil, errUndefined(o)
	case *list:
		n = len(o.items)
	case *tuple:
		n = len(o.items)
	case *pyRange:
		n = int(o.n)
	case str:
		err := in.scan(len(o.s))
		if err == nil {
			chars, err = in.starts(o.s)
		}
		if err != nil {
			return nil, err
		}
		n = chars.count()
	default:
		return nil, errorf("'%s' object cannot be sliced", typeName(obj))
	}
	first, stride, count, err := sliceBounds(n, start, stop, step)
	if err != nil {
		return nil, err
	}
	switch o := obj.(type) {
	case *list:
		if err := in.allocItems(count); err != nil {
			return nil, err
		}
		return &list{every(o.items, first, stride, count)}, nil
	case *tuple:
		if err := in.allocItems(count); err != nil {
			return nil, err
		}
		return &tuple{items: every(o.items, first, stride, count)}, nil
	case *pyRange:
		from := o.start + int64(first)*o.step
		return &pyRange{from, from + int64(count)*int64(stride)*o.step, int64(stride) * o.step, int64(count)}, nil
	case str:
		if stride == 1 {
			return o.slice(chars.at(first), chars.at(first+count)), nil
		}
		if err := in.alloc(4 * count); err != nil {
			return nil, err
		}
		var b strBuilder
		for i := range count {
			c := first + i*stride
			b.add(o.slice(chars.at(c), chars.at(c+1)))
		}
		return b.str(), nil
	}
	return nil, nil
}

// starts says where the characters of a string begin, and behind them where it ends. Those of ASCII need no list.
type starts struct {
	size int
	list []int
}

// starts finds the characters of s.
func (in *interp) starts(s string) (starts, error) {
	if isASCII(s) {
		return starts{size: len(s)}, nil
	}
	n := utf8.RuneCountInString(s)
	if err := in.alloc(8 * (n + 1)); err != nil {
		return starts{}, err
	}
	list := make([]int, 0, n+1)
	for i := range s {
		list = append(list, i)
	}
	return starts{len(s), append(list, len(s))}, nil
}

// count returns the number of characters.
func (s starts) count() int {
	if s.list == nil {
		return s.size
	}
	return len(s.list) - 1
}

// at returns the byte at which character i begins.
func (s starts) at(i int) int {
	if s.list == nil {
		return i
	}
	return s.list[i]
}

// every returns count elements of items from first on in steps of stride, which may be negative.
func every[T value](items []T, first, stride, count int) []T {
	out := make([]T, count)
	for i := range out {
		out[i] = items[first+i*stride]
	}
	return out
}

// sliceBounds resolves a slice of n elements into the index of the first one, the stride and the number of elements.
func sliceBounds(n int, start, stop, step value) (first, stride, count int, err error) {
	get := func(v value, absent int64) (int64, error) {
		switch v.(type) {
		case nil, none:
			return absent, nil
		}
		i, ok := clampInt(v)
		if !ok {
			if u, isUndef := v.(undefined); isUndef {
				return 0, errUndefined(u)
			}
			return 0, errors.New("slice indices must be integers or None")
		}
		return i, nil
	}
	by, err := get(step, 1)
	if err != nil {
		return 0, 0, 0, err
	}
	if by == 0 {
		return 0, 0, 0, errors.New("slice step cannot be zero")
	}
	by = max(by, -math.MaxInt64) // so that -by exists
	size := int64(n)
	low, high := int64(0), size // where bounds are clamped to
	from, to := low, high
	if by < 0 {
		low, high = -1, size-1
		from, to = high, low
	}
	clamp := func(v value, absent int64) (int64, error) {
		switch v.(type) {
		case nil, none:
			return absent, nil
		}
		i, err := get(v, 0)
		if i < 0 {
			i += size
		}
		return min(max(i, low), high), err
	}
	if from, err = clamp(start, from); err != nil {
		return 0, 0, 0, err
	}
	if to, err = clamp(stop, to); err != nil {
		return 0, 0, 0, err
	}
	var num int64
	switch {
	case by > 0 && from < to:
		num = (to-from-1)/by + 1
	case by < 0 && from > to:
		num = (from-to-1)/-by + 1
	}
	// A stride past the end is only ever multiplied by 0.
	return int(from), int(min(max(by, -size-1), size+1)), int(num), nil
}
