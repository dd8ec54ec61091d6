package jinja

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// bounded returns the part of s between the arguments start and end of a search, which count characters as those of a
// slice do, and the number of characters in front of it. It has no part if start lies behind the end.
func (in *interp) bounded(fn, s string, start, end value) (part string, before int64, ok bool, err error) {
	if isAbsent(start) && isAbsent(end) {
		return s, 0, true, nil
	}
	chars, err := in.starts(s)
	if err != nil {
		return "", 0, false, err
	}
	n := int64(chars.count())
	bound := func(param string, v value, def int64) int64 {
		if isAbsent(v) || err != nil {
			return def
		}
		var i int64
		if i, err = argInt(fn, param, v, def); i < 0 {
			i = max(i+n, 0)
		}
		return i
	}
	first, last := bound("start", start, 0), min(bound("end", end, n), n)
	if err != nil || first > last {
		return "", 0, false, err
	}
	return s[chars.at(int(first)):chars.at(int(last))], first, true, nil
}

// affixMethod makes startswith or endswith; the argument may be a tuple of candidates.
func affixMethod(name string, has func(s, affix string) bool) *method {
	return &method{signature: sig(1, "affix", "start", "end"), fn: func(in *interp, recv value, a []value) (value, error) {
		s, _, ok, err := in.bounded(name, recv.(str).s, a[1], a[2])
		if err != nil {
			return nil, err
		}
		candidates := []value{a[0]}
		if t, ok := a[0].(*tuple); ok {
			candidates = t.items
		}
		for _, c := range candidates {
			affix, err := argString(name, "affix", c, "")
			if err != nil {
				return nil, err
			}
			if err := in.scan(len(affix)); err != nil {
				return nil, err
			}
			if ok && has(s, affix) {
				return true, nil
			}
		}
		return false, nil
	}}
}

func countMethod(in *interp, recv value, a []value) (value, error) {
	sub, err := argString("count", "sub", a[0], "")
	if err != nil {
		return nil, err
	}
	s, _, ok, err := in.bounded("count", recv.(str).s, a[1], a[2])
	if err != nil || !ok {
		return int64(0), err
	}
	return int64(strings.Count(s, sub)), nil
}

// findMethod makes find and its relatives, which count characters; strict ones fail where others return -1.
func findMethod(name string, index func(s, sub string) int, strict bool) *method {
	return &method{signature: sig(1, "sub", "start", "end"), fn: func(in *interp, recv value, a []value) (value, error) {
		sub, err := argString(name, "sub", a[0], "")
		if err != nil {
			return nil, err
		}
		s, before, ok, err := in.bounded(name, recv.(str).s, a[1], a[2])
		if err != nil {
			return nil, err
		}
		if ok {
			if i := index(s, sub); i >= 0 {
				return before + int64(utf8.RuneCountInString(s[:i])), nil
			}
		}
		if strict {
			return nil, errors.New("substring not found")
		}
		return int64(-1), nil
	}}
}
