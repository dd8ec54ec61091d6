package jinja

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stringMethods are the methods of Python's str.
var stringMethods map[string]*method

func init() {
	stringMethods = map[string]*method{
		"capitalize": mapString(upperFirst),
		"casefold":   mapString(strings.ToLower),
		"lower":      mapString(strings.ToLower),
		"upper":      mapString(strings.ToUpper),
		"title":      mapString(titleCase),
		"swapcase":   mapString(swapCase),

		"isalnum":   isString(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isalpha":   isString(unicode.IsLetter),
		"isdecimal": isString(unicode.IsDigit),
		"isdigit":   isString(unicode.IsDigit),
		"isnumeric": isString(unicode.IsNumber),
		"isspace":   isString(isSpace),
		"islower":   {fn: func(_ *interp, s value, _ []value) (value, error) { return isLower(s.(string)), nil }},
		"isupper":   {fn: func(_ *interp, s value, _ []value) (value, error) { return isUpper(s.(string)), nil }},

		"strip":  stripMethod("strip", strings.Trim, strings.TrimFunc),
		"lstrip": stripMethod("lstrip", strings.TrimLeft, strings.TrimLeftFunc),
		"rstrip": stripMethod("rstrip", strings.TrimRight, strings.TrimRightFunc),

		"startswith":   affixMethod("startswith", strings.HasPrefix),
		"endswith":     affixMethod("endswith", strings.HasSuffix),
		"removeprefix": cutMethod("removeprefix", strings.TrimPrefix),
		"removesuffix": cutMethod("removesuffix", strings.TrimSuffix),

		"split":      {signature: sig(0, "sep", "maxsplit"), fn: splitString},
		"rsplit":     {signature: sig(0, "sep", "maxsplit"), fn: rsplitString},
		"splitlines": {signature: sig(0, "keepends"), fn: splitLinesMethod},
		"partition":  partitionMethod("partition", strings.Index),
		"rpartition": partitionMethod("rpartition", strings.LastIndex),
		"join":       {signature: sig(1, "iterable"), fn: joinStrings},
		"replace":    {signature: sig(2, "old", "new", "count"), fn: replaceMethod},
		"format":     {raw: formatMethod},

		"count":  {signature: sig(1, "sub"), fn: countMethod},
		"find":   findMethod("find", strings.Index, false),
		"rfind":  findMethod("rfind", strings.LastIndex, false),
		"index":  findMethod("index", strings.Index, true),
		"rindex": findMethod("rindex", strings.LastIndex, true),

		"ljust":  {signature: sig(1, "width", "fillchar"), fn: padMethod("ljust", 0, 1)},
		"rjust":  {signature: sig(1, "width", "fillchar"), fn: padMethod("rjust", 1, 0)},
		"center": {signature: sig(1, "width", "fillchar"), fn: padMethod("center", 1, 1)},
		"zfill":  {signature: sig(1, "width"), fn: zfillMethod},
	}
}

// mapString makes a method without parameters. Changes of case may lengthen a string up to threefold.
func mapString(f func(string) string) *method {
	return &method{fn: func(in *interp, recv value, _ []value) (value, error) {
		s := recv.(string)
		if err := in.alloc(3 * len(s)); err != nil {
			return nil, err
		}
		return f(s), nil
	}}
}

// isString makes a method that tests all characters; it is false for the empty string.
func isString(is func(rune) bool) *method {
	return &method{fn: func(_ *interp, recv value, _ []value) (value, error) {
		s := recv.(string)
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0, nil
	}}
}

func isLower(s string) bool {
	return strings.IndexFunc(s, unicode.IsLower) >= 0 && strings.IndexFunc(s, unicode.IsUpper) < 0
}

func isUpper(s string) bool {
	return strings.IndexFunc(s, unicode.IsUpper) >= 0 && strings.IndexFunc(s, unicode.IsLower) < 0
}

// titleCase puts the first letter of each run of letters in upper case and the rest in lower case.
func titleCase(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		isLetter := unicode.IsLetter(r)
		defer func() { inWord = isLetter }()
		if isLetter && !inWord {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// stripMethod makes strip, lstrip or rstrip from Go's functions for a set of characters and for whitespace.
func stripMethod(name string, set func(s, chars string) string, space func(string, func(rune) bool) string) *method {
	return &method{signature: sig(0, "chars"), fn: func(_ *interp, recv value, a []value) (value, error) {
		if isAbsent(a[0]) {
			return space(recv.(string), isSpace), nil
		}
		chars, err := argString(name, "chars", a[0], "")
		return set(recv.(string), chars), err
	}}
}

// affixMethod makes startswith or endswith; the argument may be a tuple of candidates.
func affixMethod(name string, has func(s, affix string) bool) *method {
	return &method{signature: sig(1, "affix"), fn: func(in *interp, recv value, a []value) (value, error) {
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
			if has(recv.(string), affix) {
				return true, nil
			}
		}
		return false, nil
	}}
}

func cutMethod(name string, cut func(s, affix string) string) *method {
	return &method{signature: sig(1, "affix"), fn: func(_ *interp, recv value, a []value) (value, error) {
		affix, err := argString(name, "affix", a[0], "")
		return cut(recv.(string), affix), err
	}}
}

// splitArgs reads the parameters of split and rsplit; max is the most pieces, or -1. blank asks for runs of
// whitespace as the separator.
func splitArgs(fn string, a []value) (sep string, blank bool, most int, err error) {
	n, err := argInt(fn, "maxsplit", a[1], -1)
	if err != nil {
		return "", false, 0, err
	}
	most = -1
	if n >= 0 && n < 1<<31 {
		most = int(n) + 1
	}
	if isAbsent(a[0]) {
		return "", true, most, nil
	}
	if sep, err = argString(fn, "sep", a[0], ""); err == nil && sep == "" {
		err = errors.New("empty separator")
	}
	return sep, false, most, err
}

// listOf makes a list of strings, which share the memory of the string that they were cut from.
func (in *interp) listOf(parts []string) (value, error) {
	items := make([]value, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return in.newList(items)
}

func splitString(in *interp, recv value, a []value) (value, error) {
	s := recv.(string)
	sep, blank, most, err := splitArgs("split", a)
	if err != nil {
		return nil, err
	}
	if !blank {
		if err := in.allocItems(strings.Count(s, sep)); err != nil {
			return nil, err
		}
		return in.listOf(strings.SplitN(s, sep, most))
	}
	if err := in.alloc(16 * len(s)); err != nil {
		return nil, err
	}
	var parts []string
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		end := strings.IndexFunc(s, isSpace)
		if end < 0 || len(parts)+1 == most {
			end = len(s)
		}
		parts = append(parts, s[:end])
		s = s[end:]
	}
	return in.listOf(parts)
}

func rsplitString(in *interp, recv value, a []value) (value, error) {
	s := recv.(string)
	sep, blank, most, err := splitArgs("rsplit", a)
	if err != nil {
		return nil, err
	}
	if err := in.alloc(16 * len(s)); err != nil {
		return nil, err
	}
	var parts []string // from the end
	if blank {
		for s = strings.TrimRightFunc(s, isSpace); s != ""; s = strings.TrimRightFunc(s, isSpace) {
			start := 0
			if i := strings.LastIndexFunc(s, isSpace); i >= 0 && len(parts)+1 != most {
				_, n := utf8.DecodeRuneInString(s[i:])
				start = i + n
			}
			parts = append(parts, s[start:])
			s = s[:start]
		}
	} else {
		for len(parts)+1 != most {
			i := strings.LastIndex(s, sep)
			if i < 0 {
				break
			}
			parts = append(parts, s[i+len(sep):])
			s = s[:i]
		}
		parts = append(parts, s)
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return in.listOf(parts)
}

// splitLines cuts s at line ends, as Python's splitlines does: no empty line follows the last line end.
func splitLines(s string, keepEnds bool) []string {
	var lines []string
	for s != "" {
		i := strings.IndexFunc(s, isLineEnd)
		if i < 0 {
			return append(lines, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keepEnds {
			lines = append(lines, s[:i+n])
		} else {
			lines = append(lines, s[:i])
		}
		s = s[i+n:]
	}
	return lines
}

func isLineEnd(r rune) bool {
	return r >= '\n' && r <= '\r' || r >= 0x1c && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
}

func splitLinesMethod(in *interp, recv value, a []value) (value, error) {
	s := recv.(string)
	if err := in.alloc(16 * len(s)); err != nil {
		return nil, err
	}
	return in.listOf(splitLines(s, argBool(a[0])))
}

func partitionMethod(name string, index func(s, sep string) int) *method {
	return &method{signature: sig(1, "sep"), fn: func(_ *interp, recv value, a []value) (value, error) {
		s := recv.(string)
		sep, err := argString(name, "sep", a[0], "")
		if err == nil && sep == "" {
			err = errors.New("empty separator")
		}
		if err != nil {
			return nil, err
		}
		i := index(s, sep)
		switch {
		case i >= 0:
			return &tuple{[]value{s[:i], sep, s[i+len(sep):]}}, nil
		case name == "partition":
			return &tuple{[]value{s, "", ""}}, nil
		}
		return &tuple{[]value{"", "", s}}, nil
	}}
}

func joinStrings(in *interp, recv value, a []value) (value, error) {
	items, err := in.iterate(a[0])
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if _, ok := item.(string); !ok {
			return nil, errorf("sequence item %d: expected str instance, %s found", i, typeName(item))
		}
	}
	return in.join(items, recv.(string))
}

// join concatenates the printed forms of items with sep between them.
func (in *interp) join(items []value, sep string) (value, error) {
	w := &textWriter{in: in}
	for i, item := range items {
		if err := in.step(1); err != nil {
			return nil, err
		}
		s, err := in.str(item)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			if err := w.write(sep); err != nil {
				return nil, err
			}
		}
		if err := w.write(s); err != nil {
			return nil, err
		}
	}
	return w.b.String(), nil
}

func replaceMethod(in *interp, recv value, a []value) (value, error) {
	from, err := argString("replace", "old", a[0], "")
	if err != nil {
		return nil, err
	}
	to, err := argString("replace", "new", a[1], "")
	if err != nil {
		return nil, err
	}
	most, err := argInt("replace", "count", a[2], -1)
	if err != nil {
		return nil, err
	}
	return in.replace(recv.(string), from, to, most)
}

// replace replaces the first most occurrences of from in s, all of them if most is negative.
func (in *interp) replace(s, from, to string, most int64) (value, error) {
	n := strings.Count(s, from)
	if most >= 0 && most < int64(n) {
		n = int(most)
	}
	if n > 0 && len(to) > in.limits.MaxMemory/n {
		return nil, in.alloc(-1)
	}
	if err := in.alloc(len(s) + n*len(to)); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), nil
}

func countMethod(_ *interp, recv value, a []value) (value, error) {
	sub, err := argString("count", "sub", a[0], "")
	return int64(strings.Count(recv.(string), sub)), err
}

// findMethod makes find and its relatives, which count characters; strict ones fail where others return -1.
func findMethod(name string, index func(s, sub string) int, strict bool) *method {
	return &method{signature: sig(1, "sub"), fn: func(_ *interp, recv value, a []value) (value, error) {
		s := recv.(string)
		sub, err := argString(name, "sub", a[0], "")
		if err != nil {
			return nil, err
		}
		i := index(s, sub)
		switch {
		case i >= 0:
			return int64(utf8.RuneCountInString(s[:i])), nil
		case strict:
			return nil, errors.New("substring not found")
		}
		return int64(-1), nil
	}}
}

// padMethod makes ljust, rjust and center, which put the given shares of the padding to the left and right.
func padMethod(name string, left, right int) func(in *interp, recv value, a []value) (value, error) {
	return func(in *interp, recv value, a []value) (value, error) {
		width, err := argInt(name, "width", a[0], 0)
		if err != nil {
			return nil, err
		}
		fill, err := argString(name, "fillchar", a[1], " ")
		if err == nil && utf8.RuneCountInString(fill) != 1 {
			err = errors.New("the fill character must be exactly one character long")
		}
		if err != nil {
			return nil, err
		}
		return in.pad(recv.(string), width, fill, left, right)
	}
}

func (in *interp) pad(s string, width int64, fill string, left, right int) (value, error) {
	need := width - int64(utf8.RuneCountInString(s))
	if need <= 0 {
		return s, nil
	}
	before, err := in.repeat(fill, need*int64(left)/int64(left+right))
	if err != nil {
		return nil, err
	}
	if left == right && need%2 == 1 && width%2 == 1 {
		// CPython puts the odd blank of an odd width to the left.
		if before, err = in.repeat(fill, need/2+1); err != nil {
			return nil, err
		}
	}
	after, err := in.repeat(fill, need-int64(utf8.RuneCountInString(before.(string))))
	if err != nil {
		return nil, err
	}
	return in.newString(before.(string) + s + after.(string))
}

func zfillMethod(in *interp, recv value, a []value) (value, error) {
	s := recv.(string)
	width, err := argInt("zfill", "width", a[0], 0)
	if err != nil {
		return nil, err
	}
	sign := ""
	if signAt(s, 0) != 0 {
		sign, s = s[:1], s[1:]
	}
	padded, err := in.pad(s, width-int64(len(sign)), "0", 1, 0)
	if err != nil {
		return nil, err
	}
	return in.newString(sign + padded.(string))
}
