package jinja

import (
	"math/big"
)

// value is a value of a running template. Its dynamic type is one of
//
//	none, undefined, bool, int64, *big.Int (outside int64), float64, str, markup,
//	*list, *tuple, *dict, *dictView, *pyRange, *iterator, *namespace,
//	*macro, *builtin, *boundMethod, *loopState, *cycler, *joiner
//
// All of them may be compared with ==, which is identity for the pointers; strings compare by str.s alone.
type value any

// none is Python's None.
type none struct{}

// undefined stands for a missing variable, attribute or element. It prints as nothing, is false and empty, and any
// other use of it is an error with the text in msg.
type undefined struct{ msg string }

// list is a Python list. Methods that do more than append replace items by a new slice, so that a slice taken before
// stays as it was.
type list struct{ items []value }

// tuple is a Python tuple; it does not change. Its first elements may have names.
type tuple struct {
	items []value
	names []string
}

// dictView is what keys(), values() and items() of a mapping return; it follows changes of the mapping.
type dictView struct {
	kind string // "dict_keys", "dict_values" or "dict_items"
	d    *dict
}

// pyRange is a Python range with its number of elements.
type pyRange struct{ start, stop, step, n int64 }

// iterator is a generator, the result of filters such as map and select: true even when empty, without a length, and
// used up by iterating.
type iterator struct{ items []value }

// namespace is the object of namespace(): the one kind of value whose attributes a template can set.
type namespace struct{ attrs *dict }

// builtin is a global function.
type builtin struct {
	name string
	fn   func(in *interp, a args) (value, error)
}

// boundMethod is a method of a value, such as "a".upper.
type boundMethod struct {
	recv value
	name string
	def  *method
}

// cycler and joiner are the objects of the global functions of those names.
type cycler struct {
	items []value
	next  int
}

type joiner struct {
	sep  str
	used bool
}

// typeName returns the name of v's type in Python's messages.
func typeName(v value) string {
	switch v := v.(type) {
	case none:
		return "NoneType"
	case undefined:
		return "Undefined"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case str:
		return "str"
	case markup:
		return "Markup"
	case *list:
		return "list"
	case *tuple:
		return "tuple"
	case *dict:
		return "dict"
	case *dictView:
		return v.kind
	case *pyRange:
		return "range"
	case *iterator:
		return "generator"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loopState:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	case *joiner:
		return "Joiner"
	default:
		return "function"
	}
}

// truth is Python's bool(v).
func truth(v value) bool {
	switch v := v.(type) {
	case none, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case str:
		return v.s != ""
	case markup:
		return v.s != ""
	case *list:
		return len(v.items) > 0
	case *tuple:
		return len(v.items) > 0
	case *dict:
		return v.len() > 0
	case *dictView:
		return v.d.len() > 0
	case *pyRange:
		return v.n > 0
	default:
		return true
	}
}

// isMapping, isIterable and isSequence answer the tests of those names.
func isMapping(v value) bool {
	_, ok := v.(*dict)
	return ok
}

func isIterable(v value) bool {
	switch v.(type) {
	case undefined, str, *list, *tuple, *dict, *dictView, *pyRange, *iterator, *loopState:
		return true
	}
	return false
}

func isSequence(v value) bool {
	switch v.(type) {
	case undefined, str, *list, *tuple, *dict, *pyRange:
		return true
	}
	return false
}

// isCallable reports whether v can be called.
func isCallable(v value) bool {
	switch v.(type) {
	case *macro, *builtin, *boundMethod, *loopState, *joiner, undefined:
		return true
	}
	return false
}

// at returns element i of a range.
func (r *pyRange) at(i int64) value { return r.start + i*r.step }

// newRange returns the range from start to stop, exclusive; step is not 0.
func newRange(start, stop, step int64) *pyRange {
	r := &pyRange{start: start, stop: stop, step: step}
	// Differences of int64 fit into uint64, whatever the signs.
	switch {
	case step > 0 && start < stop:
		r.n = int64(min((uint64(stop)-uint64(start)-1)/uint64(step), maxRange) + 1)
	case step < 0 && start > stop:
		r.n = int64(min((uint64(start)-uint64(stop)-1)/-uint64(step), maxRange) + 1)
	}
	return r
}
