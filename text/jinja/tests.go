package jinja

import (
	"errors"
	"math/big"
)

// test is a test of the dialect, as in "x is defined". It takes params arguments.
type test struct {
	params int
	fn     func(in *interp, v value, a []value) (bool, error)
	// seesMark is set for tests that get the value with its mark.
	seesMark bool
}

// tests are the tests by name.
var tests map[string]*test

func init() {
	tests = map[string]*test{
		"boolean":     kind(func(v value) bool { _, ok := v.(bool); return ok }),
		"callable":    kind(isCallable),
		"defined":     kind(func(v value) bool { _, ok := v.(undefined); return !ok }),
		"divisibleby": {params: 1, fn: testDivisible},
		"even":        {fn: remainderTest(0)},
		"odd":         {fn: remainderTest(1)},
		"false":       kind(func(v value) bool { return v == false }),
		"true":        kind(func(v value) bool { return v == true }),
		"escaped": {fn: func(_ *interp, v value, _ []value) (bool, error) { _, ok := v.(markup); return ok, nil },
			seesMark: true},
		"filter":    kind(func(v value) bool { s, ok := v.(str); return ok && filters[s.s] != nil }),
		"test":      kind(func(v value) bool { s, ok := v.(str); return ok && tests[s.s] != nil }),
		"float":     kind(func(v value) bool { _, ok := v.(float64); return ok }),
		"integer":   kind(func(v value) bool { _, ok := bigInt(v); _, isBool := v.(bool); return ok && !isBool }),
		"iterable":  kind(isIterable),
		"lower":     textTest(isLower),
		"upper":     textTest(isUpper),
		"mapping":   kind(isMapping),
		"none":      kind(func(v value) bool { _, ok := v.(none); return ok }),
		"number":    kind(isNumber),
		"sameas":    {params: 1, fn: testSame},
		"sequence":  kind(isSequence),
		"string":    kind(func(v value) bool { _, ok := v.(str); return ok }),
		"undefined": kind(func(v value) bool { _, ok := v.(undefined); return ok }),
	}
	for op, names := range map[string][]string{
		"==": {"eq", "equalto"}, "!=": {"ne"}, "<": {"lt", "lessthan"}, "<=": {"le"},
		">": {"gt", "greaterthan"}, ">=": {"ge"}, "in": nil,
	} {
		t := &test{params: 1, fn: func(in *interp, v value, a []value) (bool,
			error) {
			return in.compare(op, v, a[0])
		}}
		for _, name := range append(names, op) {
			tests[name] = t
		}
	}
}

// test applies a test to v.
func (in *interp) test(name string, t *test, v value, a args) (bool, error) {
	if len(a.named) > 0 {
		return false, errorf("test %q takes no keyword arguments", name)
	}
	if len(a.pos) != t.params {
		return false, errorf("test %q takes %d arguments, got %d", name, t.params, len(a.pos))
	}
	if !t.seesMark {
		v = plain(v)
	}
	return t.fn(in, v, a.pos)
}

// kind makes a test of the value alone.
func kind(is func(value) bool) *test {
	return &test{fn: func(_ *interp, v value, _ []value) (bool, error) { return is(v), nil }}
}

// textTest makes a test of the printed form.
func textTest(is func(string) bool) *test {
	return &test{fn: func(in *interp, v value, _ []value) (bool, error) {
		s, err := in.str(v)
		if err != nil {
			return false, err
		}
		return is(s.s), in.scan(len(s.s))
	}}
}

func remainderTest(want int64) func(in *interp, v value, a []value) (bool, error) {
	return func(in *interp, v value, _ []value) (bool, error) {
		if _, ok := v.(str); ok {
			return false, errors.New("strings are neither even nor odd")
		}
		rest, err := in.operate("%", v, int64(2))
		return rest == want || rest == float64(want), err
	}
}

// testSame is identity. Equal strings count as one: nothing can tell them apart.
func testSame(_ *interp, v value, a []value) (bool, error) {
	if s, ok := v.(str); ok {
		t, ok := a[0].(str)
		return ok && s.s == t.s, nil
	}
	return v == a[0], nil
}

func testDivisible(in *interp, v value, a []value) (bool, error) {
	x, ok := bigInt(v)
	y, ok2 := bigInt(a[0])
	switch {
	case !ok || !ok2:
		rest, err := in.operate("%", v, a[0])
		return err == nil && isNumber(rest) && toFloat(rest) == 0, err
	case y.Sign() == 0:
		return false, errZeroDivision
	}
	return new(big.Int).Rem(x, y).Sign() == 0, nil
}
