package jinja

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stringMethods are the methods of Python's str.
var stringMethods map[string]*method

func init() {
	stringMethods = map[string]*method{
		"capitalize": mapString(upperFirst),
		"casefold":   mapString(foldCase),
		"lower":      mapString(lowerCase),
		"upper":      mapString(upperCase),
		"title":      mapString(titleCase),
		"swapcase":   mapString(swapCase),

		"isalnum":   isString(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isalpha":   isString(unicode.IsLetter),
		"isdecimal": isString(unicode.IsDigit),
		"isdigit":   isString(unicode.IsDigit),
		"isnumeric": isString(unicode.IsNumber),
		"isspace":   isString(isSpace),
		"istitle":   testString(isTitleCase),
		"isascii":   testString(isASCII),
		"isprintable": testString(func(s string) bool {
			return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
		}),
		"isidentifier": testString(func(s string) bool { return nameLen(s) == len(s) && s != "" }),
		"islower":      testString(isLower),
		"isupper":      testString(isUpper),

		"strip":  stripMethod("strip", true, true),
		"lstrip": stripMethod("lstrip", true, false),
		"rstrip": stripMethod("rstrip", false, true),

		"startswith":   affixMethod("startswith", strings.HasPrefix),
		"endswith":     affixMethod("endswith", strings.HasSuffix),
		"removeprefix": {signature: sig(1, "affix"), fn: removePrefix},
		"removesuffix": {signature: sig(1, "affix"), fn: removeSuffix},

		"split":      {signature: sig(0, "sep", "maxsplit"), fn: splitString},
		"rsplit":     {signature: sig(0, "sep", "maxsplit"), fn: rsplitString},
		"splitlines": {signature: sig(0, "keepends"), fn: splitLinesMethod},
		"partition":  partitionMethod("partition", strings.Index),
		"rpartition": partitionMethod("rpartition", strings.LastIndex),
		"join":       {signature: sig(1, "iterable"), fn: joinStrings},
		"replace":    {signature: sig(2, "old", "new", "count"), fn: replaceMethod},
		"format":     {raw: formatMethod},

		"count":  {signature: sig(1, "sub", "start", "end"), fn: countMethod},
		"find":   findMethod("find", strings.Index, false),
		"rfind":  findMethod("rfind", strings.LastIndex, false),
		"index":  findMethod("index", strings.Index, true),
		"rindex": findMethod("rindex", strings.LastIndex, true),

		"ljust":  {signature: sig(1, "width", "fillchar"), fn: padMethod("ljust", 0, 1)},
		"rjust":  {signature: sig(1, "width", "fillchar"), fn: padMethod("rjust", 1, 0)},
		"center": {signature: sig(1, "width", "fillchar"), fn: padMethod("center", 1, 1)},
		"zfill":  {signature: sig(1, "width"), fn: zfillMethod},

		"expandtabs": {signature: sig(0, "tabsize"), fn: expandTabs},
	}
}

// mapString makes a method without parameters. Changes of case may lengthen a string up to threefold.
func mapString(f func(string) string) *method {
	return &method{fn: func(in *interp, recv value, _ []value) (value, error) {
		s := recv.(str)
		if err := in.alloc(3 * s.size()); err != nil {
			return nil, err
		}
		return s.mapped(f(s.s)), nil
	}}
}

// isString makes a method that tests all characters; it is false for the empty string.
func isString(is func(rune) bool) *method {
	return &method{fn: func(_ *interp, recv value, _ []value) (value, error) {
		s := recv.(str).s
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0, nil
	}}
}

// testString makes a method that tests the whole string.
func testString(is func(string) bool) *method {
	return &method{fn: func(_ *interp, s value, _ []value) (value, error) { return is(s.(str).s), nil }}
}

func isLower(s string) bool {
	return strings.IndexFunc(s, unicode.IsLower) >= 0 && strings.IndexFunc(s, unicode.IsUpper) < 0
}

func isUpper(s string) bool {
	return strings.IndexFunc(s, unicode.IsUpper) >= 0 && strings.IndexFunc(s, unicode.IsLower) < 0
}

// trim returns t without the characters at its left and right ends for which drop holds.
func (t str) trim(drop func(rune) bool, left, right bool) str {
	begin, end := 0, len(t.s)
	if left {
		begin = end - len(strings.TrimLeftFunc(t.s, drop))
	}
	if right {
		end = begin + len(strings.TrimRightFunc(t.s[begin:], drop))
	}
	return t.slice(begin, end)
}

// anyOf holds for the characters of chars.
func anyOf(chars string) func(rune) bool {
	set := map[rune]bool{}
	for _, r := range chars {
		set[r] = true
	}
	return func(r rune) bool { return set[r] }
}

// stripMethod makes strip, lstrip or rstrip: without an argument they drop whitespace.
func stripMethod(name string, left, right bool) *method {
	return &method{signature: sig(0, "chars"), fn: func(_ *interp, recv value, a []value) (value, error) {
		if isAbsent(a[0]) {
			return recv.(str).trim(isSpace, left, right), nil
		}
		chars, err := argString(name, "chars", a[0], "")
		return recv.(str).trim(anyOf(chars), left, right), err
	}}
}

func removePrefix(_ *interp, recv value, a []value) (value, error) {
	s := recv.(str)
	affix, err := argString("removeprefix", "affix", a[0], "")
	if strings.HasPrefix(s.s, affix) {
		s = s.slice(len(affix), len(s.s))
	}
	return s, err
}

func removeSuffix(_ *interp, recv value, a []value) (value, error) {
	s := recv.(str)
	affix, err := argString("removesuffix", "affix", a[0], "")
	if strings.HasSuffix(s.s, affix) {
		s = s.slice(0, len(s.s)-len(affix))
	}
	return s, err
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

// span is a part of a string, in bytes.
type span struct{ begin, end int }

// parts makes a list of parts of s, which share its memory.
func (in *interp) parts(s str, spans []span) (value, error) {
	items := make([]value, len(spans))
	for i, p := range spans {
		items[i] = s.slice(p.begin, p.end)
	}
	return in.newList(items)
}

func splitString(in *interp, recv value, a []value) (value, error) {
	s := recv.(str)
	sep, blank, most, err := splitArgs("split", a)
	if err != nil {
		return nil, err
	}
	if !blank {
		if err := in.allocItems(strings.Count(s.s, sep)); err != nil {
			return nil, err
		}
		return in.parts(s, splitAt(s.s, sep, most))
	}
	if err := in.alloc(16 * len(s.s)); err != nil {
		return nil, err
	}
	var spans []span
	at, end := 0, len(s.s)
	blanks := func() { at = end - len(strings.TrimLeftFunc(s.s[at:], isSpace)) }
	for blanks(); at < end; blanks() {
		n := strings.IndexFunc(s.s[at:], isSpace)
		if n < 0 || len(spans)+1 == most {
			n = end - at
		}
		spans = append(spans, span{at, at + n})
		at += n
	}
	return in.parts(s, spans)
}

// splitAt cuts s at sep into at most most parts, any number if that is negative.
func splitAt(s, sep string, most int) []span {
	var spans []span
	at := 0
	for len(spans)+1 != most {
		i := strings.Index(s[at:], sep)
		if i < 0 {
			break
		}
		spans = append(spans, span{at, at + i})
		at += i + len(sep)
	}
	return append(spans, span{at, len(s)})
}

func rsplitString(in *interp, recv value, a []value) (value, error) {
	s := recv.(str)
	sep, blank, most, err := splitArgs("rsplit", a)
	if err != nil {
		return nil, err
	}
	if err := in.alloc(16 * len(s.s)); err != nil {
		return nil, err
	}
	var spans []span // from the end
	end := len(s.s)
	if blank {
		blanks := func() { end = len(strings.TrimRightFunc(s.s[:end], isSpace)) }
		for blanks(); end > 0; blanks() {
			start := 0
			if i := strings.LastIndexFunc(s.s[:end], isSpace); i >= 0 && len(spans)+1 != most {
				_, n := utf8.DecodeRuneInString(s.s[i:])
				start = i + n
			}
			spans = append(spans, span{start, end})
			end = start
		}
	} else {
		for len(spans)+1 != most {
			i := strings.LastIndex(s.s[:end], sep)
			if i < 0 {
				break
			}
			spans = append(spans, span{i + len(sep), end})
			end = i
		}
		spans = append(spans, span{0, end})
	}
	slices.Reverse(spans)
	return in.parts(s, spans)
}

// splitLines cuts s at line ends, as Python's splitlines does: no empty line follows the last line end.
func splitLines(s string, keepEnds bool) []span {
	var lines []span
	for at := 0; at < len(s); {
		i := strings.IndexFunc(s[at:], isLineEnd)
		if i < 0 {
			return append(lines, span{at, len(s)})
		}
		end := at + i
		_, n := utf8.DecodeRuneInString(s[end:])
		if strings.HasPrefix(s[end:], "\r\n") {
			n = 2
		}
		if keepEnds {
			lines = append(lines, span{at, end + n})
		} else {
			lines = append(lines, span{at, end})
		}
		at = end + n
	}
	return lines
}

func isLineEnd(r rune) bool {
	return r >= '\n' && r <= '\r' || r >= 0x1c && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
}

func splitLinesMethod(in *interp, recv value, a []value) (value, error) {
	s := recv.(str)
	if err := in.alloc(16 * len(s.s)); err != nil {
		return nil, err
	}
	return in.parts(s, splitLines(s.s, argBool(a[0])))
}

func partitionMethod(name string, index func(s, sep string) int) *method {
	return &method{signature: sig(1, "sep"), fn: func(_ *interp, recv value, a []value) (value, error) {
		s := recv.(str)
		sep, err := argStr(name, "sep", a[0], "")
		if err == nil && sep.s == "" {
			err = errors.New("empty separator")
		}
		if err != nil {
			return nil, err
		}
		i := index(s.s, sep.s)
		switch {
		case i >= 0:
			return &tuple{items: []value{s.slice(0, i), sep, s.slice(i+len(sep.s), len(s.s))}}, nil
		case name == "partition":
			return &tuple{items: []value{s, str{}, str{}}}, nil
		}
		return &tuple{items: []value{str{}, str{}, s}}, nil
	}}
}

func joinStrings(in *interp, recv value, a []value) (value, error) {
	items, err := in.iterate(a[0])
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if _, ok := item.(str); !ok {
			return nil, errorf("sequence item %d: expected str instance, %s found", i, typeName(item))
		}
	}
	return in.join(items, recv.(str))
}

// join concatenates the printed forms of items with sep between them.
func (in *interp) join(items []value, sep str) (value, error) {
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
			if err := w.add(sep); err != nil {
				return nil, err
			}
		}
		if err := w.add(s); err != nil {
			return nil, err
		}
	}
	return w.b.str(), nil
}

func replaceMethod(in *interp, recv value, a []value) (value, error) {
	from, err := argStr("replace", "old", a[0], "")
	if err != nil {
		return nil, err
	}
	to, err := argStr("replace", "new", a[1], "")
	if err != nil {
		return nil, err
	}
	most, err := argInt("replace", "count", a[2], -1)
	if err != nil {
		return nil, err
	}
	return in.replace(recv.(str), from, to, most)
}

// replace replaces the first most occurrences of from in s, all of them if most is negative.
func (in *interp) replace(s, from, to str, most int64) (value, error) {
	n := strings.Count(s.s, from.s)
	if most >= 0 && most < int64(n) {
		n = int(most)
	}
	if n > 0 && to.size() > in.limits.MaxMemory/n {
		return nil, in.alloc(-1)
	}
	if err := in.alloc(s.size() + n*to.size()); err != nil {
		return nil, err
	}
	var b strBuilder
	at := 0
	for i := range n {
		next := at
		switch {
		case from.s != "":
			next += strings.Index(s.s[at:], from.s)
		case i > 0: // the empty string stands in front of each character, and at the end
			_, size := utf8.DecodeRuneInString(s.s[at:])
			next += size
		}
		b.add(s.slice(at, next))
		b.add(to)
		at = next + len(from.s)
	}
	b.add(s.slice(at, len(s.s)))
	return b.str(), nil
}

// padMethod makes ljust, rjust and center, which put the given shares of the padding to the left and right.
func padMethod(name string, left, right int) func(in *interp, recv value, a []value) (value, error) {
	return func(in *interp, recv value, a []value) (value, error) {
		width, err := argInt(name, "width", a[0], 0)
		if err != nil {
			return nil, err
		}
		fill, err := argStr(name, "fillchar", a[1], " ")
		if err == nil && utf8.RuneCountInString(fill.s) != 1 {
			err = errors.New("the fill character must be exactly one character long")
		}
		if err != nil {
			return nil, err
		}
		return in.pad(recv.(str), width, fill, left, right)
	}
}

func (in *interp) pad(s str, width int64, fill str, left, right int) (value, error) {
	need := width - int64(utf8.RuneCountInString(s.s))
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
	after, err := in.repeat(fill, need-int64(utf8.RuneCountInString(before.(str).s)))
	if err != nil {
		return nil, err
	}
	return in.concat(before.(str), s, after.(str))
}

func zfillMethod(in *interp, recv value, a []value) (value, error) {
	s := recv.(str)
	width, err := argInt("zfill", "width", a[0], 0)
	if err != nil {
		return nil, err
	}
	var sign str
	if signAt(s.s, 0) != 0 {
		sign, s = s.slice(0, 1), s.slice(1, len(s.s))
	}
	padded, err := in.pad(s, width-int64(len(sign.s)), lit("0"), 1, 0)
	if err != nil {
		return nil, err
	}
	return in.concat(sign, padded.(str))
}

// expandTabs puts blanks in place of tabs, up to the next column that is a multiple of tabsize.
func expandTabs(in *interp, recv value, a []value) (value, error) {
	size, err := argInt("expandtabs", "tabsize", a[0], 8)
	if err != nil {
		return nil, err
	}
	s := recv.(str)
	w := &textWriter{in: in}
	at, column := 0, int64(0)
	for i, r := range s.s {
		switch r {
		case '\t':
			if err := w.add(s.slice(at, i)); err != nil {
				return nil, err
			}
			at = i + 1
			if size > 0 {
				blanks, err := in.repeat(lit(" "), size-column%size)
				if err != nil {
					return nil, err
				}
				if err := w.add(blanks.(str)); err != nil {
					return nil, err
				}
				column = 0
			}
		case '\n', '\r':
			column = 0
		default:
			column++
		}
	}
	err = w.add(s.slice(at, len(s.s)))
	return w.b.str(), err
}
