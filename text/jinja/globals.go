package jinja

import (
	"errors"
)

// globals are the functions that every template sees.
var globals = map[string]*builtin{
	"cycler":          {"cycler", newCycler},
	"dict":            {"dict", newDict},
	"joiner":          {"joiner", newJoiner},
	"namespace":       {"namespace", newNamespace},
	"raise_exception": {"raise_exception", raiseException},
	"range":           {"range", rangeOf},
	"strftime_now":    {"strftime_now", strftimeNow},
}

func newCycler(_ *interp, a args) (value, error) {
	if len(a.pos) == 0 || len(a.named) > 0 {
		return nil, errors.New("cycler needs at least one item, and no keyword arguments")
	}
	return &cycler{items: a.pos}, nil
}

// attr returns an attribute of the cycler.
func (c *cycler) attr(name string) (value, bool) {
	switch name {
	case "current":
		return c.items[c.next], true
	case "next":
		return &builtin{name, func(*interp, args) (value, error) {
			v := c.items[c.next]
			c.next = (c.next + 1) % len(c.items)
			return v, nil
		}}, true
	case "reset":
		return &builtin{name, func(*interp, args) (value, error) {
			c.next = 0
			return none{}, nil
		}}, true
	}
	return nil, false
}

func newJoiner(_ *interp, a args) (value, error) {
	bound, err := a.bind("joiner", 0, "sep")
	if err != nil {
		return nil, err
	}
	sep, err := argStr("joiner", "sep", bound[0], ", ")
	return &joiner{sep: sep}, err
}

func newDict(in *interp, a args) (value, error) {
	if len(a.pos) > 1 {
		return nil, errorf("dict takes at most 1 positional argument, got %d", len(a.pos))
	}
	d := &dict{}
	return d, in.fill(d, a)
}

func newNamespace(in *interp, a args) (value, error) {
	d, err := newDict(in, a)
	if err != nil {
		return nil, err
	}
	return &namespace{d.(*dict)}, nil
}

func raiseException(in *interp, a args) (value, error) {
	bound, err := a.bind("raise_exception", 1, "message")
	if err != nil {
		return nil, err
	}
	message, err := in.str(bound[0])
	if err != nil {
		return nil, err
	}
	return nil, &RaisedError{Message: message.s}
}

func rangeOf(_ *interp, a args) (value, error) {
	if len(a.named) > 0 || len(a.pos) == 0 || len(a.pos) > 3 {
		return nil, errors.New("range needs 1 to 3 positional arguments")
	}
	var n [3]int64
	for i, v := range a.pos {
		switch v := v.(type) {
		case undefined:
			return nil, errUndefined(v)
		case float64, str, none:
			return nil, errorf("'%s' object cannot be interpreted as an integer", typeName(v))
		}
		bound, ok := clampInt(v)
		if !ok {
			return nil, errorf("'%s' object cannot be interpreted as an integer", typeName(v))
		}
		n[i] = bound
	}
	start, stop, step := n[0], n[1], n[2]
	switch len(a.pos) {
	case 1:
		start, stop, step = 0, n[0], 1
	case 2:
		step = 1
	}
	if step == 0 {
		return nil, errors.New("range step must not be zero")
	}
	r := newRange(start, stop, step)
	if r.n > maxRange {
		return nil, &LimitError{Limit: "range", Max: maxRange}
	}
	return r, nil
}

func strftimeNow(in *interp, a args) (value, error) {
	bound, err := a.bind("strftime_now", 1, "format")
	if err != nil {
		return nil, err
	}
	format, err := argStr("strftime_now", "format", bound[0], "")
	if err != nil {
		return nil, err
	}
	// No directive prints more than 24 bytes for its 2, and each is work.
	if err := in.alloc(12 * len(format.s)); err != nil {
		return nil, err
	}
	if err := in.step(len(format.s)); err != nil {
		return nil, err
	}
	return derived(strftime(format.s, in.now), format), nil
}
