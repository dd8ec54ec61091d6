package jinja

import "slices"

// signature names the parameters of a method or filter; the first required of them must be given.
type signature struct {
	required int
	params   []string
}

// sig makes a signature.
func sig(required int, params ...string) signature { return signature{required, params} }

// method is a method of a type of values. Exactly one of fn and raw is set: fn gets its arguments in the order of the
// parameters, nil for those left out; raw gets them as passed.
type method struct {
	signature
	fn  func(in *interp, recv value, a []value) (value, error)
	raw func(in *interp, recv value, a args) (value, error)
}

// member returns the method or attribute name of obj, if it has one.
func (in *interp) member(obj value, name string) (value, bool) {
	var table map[string]*method
	switch o := obj.(type) {
	case str, markup:
		table = stringMethods
	case *list:
		table = listMethods
	case *tuple:
		if i := slices.Index(o.names, name); i >= 0 {
			return o.items[i], true
		}
		table = tupleMethods
	case *pyRange:
		table = tupleMethods
	case *dict:
		table = dictMethods
	case *namespace:
		return o.attrs.getString(name)
	case *loopState:
		return o.attr(name)
	case *macro:
		if name == "name" {
			return lit(o.def.name), true
		}
	case *cycler:
		return o.attr(name)
	}
	if m, ok := table[name]; ok {
		return &boundMethod{obj, name, m}, true
	}
	return nil, false
}

// callMethod calls a method. Reading the receiver, if it is a string, is work.
func (in *interp) callMethod(m *boundMethod, a args) (value, error) {
	recv := plain(m.recv)
	if s, ok := recv.(str); ok {
		if err := in.scan(len(s.s)); err != nil {
			return nil, err
		}
	}
	if m.def.raw != nil {
		return m.def.raw(in, recv, a)
	}
	bound, err := a.bind(m.name, m.def.required, m.def.params...)
	if err != nil {
		return nil, err
	}
	v, err := m.def.fn(in, recv, bound)
	return remark(v, m.recv), err
}

// The arg functions read an argument of a given type; nil and, where a default makes sense, none mean the default.

func argStr(fn, param string, v value, def string) (str, error) {
	switch v := v.(type) {
	case nil:
		return lit(def), nil
	case str:
		return v, nil
	case undefined:
		return str{}, errUndefined(v)
	}
	return str{}, errorf("%s: argument %q must be str, not %s", fn, param, typeName(v))
}

// argString is argStr for texts that do not show in the result.
func argString(fn, param string, v value, def string) (string, error) {
	t, err := argStr(fn, param, v, def)
	return t.s, err
}

func argInt(fn, param string, v value, def int64) (int64, error) {
	if v == nil {
		return def, nil
	}
	if n, ok := clampInt(v); ok {
		return n, nil
	}
	if u, ok := v.(undefined); ok {
		return 0, errUndefined(u)
	}
	return 0, errorf("%s: argument %q must be int, not %s", fn, param, typeName(v))
}

func argBool(v value) bool { return v != nil && truth(v) }

// isAbsent reports whether an argument was left out or is none.
func isAbsent(v value) bool {
	switch v.(type) {
	case nil, none:
		return true
	}
	return false
}
