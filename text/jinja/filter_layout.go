package jinja

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filterFileSize writes a number of bytes with a unit: multiples of 1000, or of 1024.
func filterFileSize(_ *interp, v value, a []value) (value, error) {
	bytes, base, units := 0.0, 1000.0, "kB MB GB TB PB EB ZB YB"
	switch s, isString := v.(str); {
	case isNumber(v):
		bytes = toFloat(v)
	case isString:
		var ok bool
		if bytes, ok = parseFloat(s.s); !ok {
			return nil, errorf("filesizeformat: could not convert string to float: %s", strRepr(s.s))
		}
	default:
		return nil, errorf("filesizeformat: a number or a string is needed, not %s", typeName(v))
	}
	if argBool(a[0]) {
		base, units = 1024, "KiB MiB GiB TiB PiB EiB ZiB YiB"
	}
	if bytes == 1 {
		return lit("1 Byte"), nil
	}
	if bytes < base {
		n, ok := truncate(bytes)
		if !ok {
			return nil, errorf("filesizeformat: cannot convert %v to an integer", bytes)
		}
		return lit(fmt.Sprintf("%v Bytes", n)), nil
	}
	all := strings.Fields(units)
	unit := base
	for i, name := range all {
		if i == len(all)-1 || bytes < unit*base {
			return lit(fmt.Sprintf("%.1f %s", bytes/unit, name)), nil
		}
		unit *= base
	}
	panic("unreachable")
}

// pprintWidth is the longest line of pprint.
const pprintWidth = 80

// filterPPrint prints a value as repr does, mappings in the order of their keys. What takes more than a line is an
// error: how Python breaks it is not known here.
func filterPPrint(in *interp, v value, _ []value) (value, error) {
	v, err := in.sortedKeys(v)
	if err != nil {
		return nil, err
	}
	s, err := in.repr(v)
	if err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(s.s) > pprintWidth {
		return nil, errorf("pprint: values of more than %d characters are not supported", pprintWidth)
	}
	return s, nil
}

// sortedKeys returns v with the keys of mappings in order, those within it too.
func (in *interp) sortedKeys(v value) (value, error) {
	if err := in.enter(); err != nil {
		in.leave()
		return nil, err
	}
	defer in.leave()
	if err := in.step(1); err != nil {
		return nil, err
	}
	each := func(items []value) (out []value, err error) {
		if err := in.allocItems(len(items)); err != nil {
			return nil, err
		}
		out = slices.Clone(items)
		for i := range out {
			if out[i], err = in.sortedKeys(out[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	switch v := v.(type) {
	case *list:
		items, err := each(v.items)
		return &list{items}, err
	case *tuple:
		items, err := each(v.items)
		return &tuple{items, v.names}, err
	case *dict:
		if err := in.alloc(3 * bytesPerEntry * v.len()); err != nil {
			return nil, err
		}
		keys, err := in.sorted(v.items(), v.keys(), false)
		if err != nil {
			return nil, err
		}
		out := &dict{}
		for _, pair := range keys {
			kv := pair.(*tuple).items
			val, err := in.sortedKeys(kv[1])
			if err != nil {
				return nil, err
			}
			if err := out.set(kv[0], val); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// filterWordWrap breaks lines as Python's textwrap does: between words, behind hyphens, and within words that are
// longer than a line. White space at the ends of new lines goes.
func filterWordWrap(in *interp, v value, a []value) (value, error) {
	s, err := argStr("wordwrap", "s", v, "")
	if err != nil {
		return nil, err
	}
	width, err := argInt("wordwrap", "width", a[0], 79)
	if err != nil {
		return nil, err
	}
	if width < 1 {
		return nil, errorf("wordwrap: invalid width %d (must be > 0)", width)
	}
	breakLong := a[1] == nil || truth(a[1])
	hyphens := a[3] == nil || truth(a[3])
	sep := lit("\n")
	if !isAbsent(a[2]) {
		if sep, err = argStr("wordwrap", "wrapstring", a[2], ""); err != nil {
			return nil, err
		}
	}
	if err := in.scan(16 * len(s.s)); err != nil {
		return nil, err
	}
	var lines []value
	for _, l := range splitLines(s.s, false) {
		line := s.slice(l.begin, l.end)
		wrapped := wrapLine(line, int(width), breakLong, hyphens)
		if len(wrapped) == 0 {
			wrapped = []str{{}}
		}
		for _, w := range wrapped {
			lines = append(lines, w)
		}
		if err := in.allocItems(2 * len(wrapped)); err != nil {
			return nil, err
		}
	}
	return in.join(lines, sep)
}

// wrapLine breaks a line.
func wrapLine(line str, width int, breakLong, hyphens bool) (out []str) {
	size := func(i, j int) int { return utf8.RuneCountInString(line.s[i:j]) }
	blank := func(i, j int) bool { return strings.TrimFunc(line.s[i:j], isWrapSpace) == "" }
	chunks := wrapChunks(line.s, hyphens) // ends
	for at := 0; len(chunks) > 0; {
		if len(out) > 0 && blank(at, chunks[0]) { // in front of the first line alone it stays
			at, chunks = chunks[0], chunks[1:]
		}
		begin, last := at, at // of the line, and of its last chunk
		for len(chunks) > 0 && size(begin, chunks[0]) <= width {
			last, at, chunks = at, chunks[0], chunks[1:]
		}
		if len(chunks) > 0 && size(at, chunks[0]) > width {
			switch {
			case breakLong:
				last = at
				at += wrapLong(line.s[at:chunks[0]], width-size(begin, at), hyphens)
			case begin == at:
				at, chunks = chunks[0], chunks[1:]
			}
		}
		end := at
		if last < at && blank(last, at) {
			end = last
		}
		if begin < end {
			out = append(out, line.slice(begin, end))
		}
	}
	return out
}

// wrapLong returns how many bytes of a chunk that is longer than a line go where there is room for so many characters:
// up to a hyphen if there is one.
func wrapLong(chunk string, room int, hyphens bool) int {
	cut := 0
	for range room {
		_, n := utf8.DecodeRuneInString(chunk[cut:])
		cut += n
	}
	if h := strings.LastIndexByte(chunk[:cut], '-'); hyphens && h > 0 && strings.Trim(chunk[:h], "-") != "" {
		return h + 1
	}
	return cut
}

// isWrapSpace reports whether lines break at r: ASCII white space alone, as in Python.
func isWrapSpace(r rune) bool { return strings.ContainsRune("\t\n\v\f\r ", r) }

// wrapChunks returns the ends of the pieces that stay whole: runs of white space, dashes between words, and words up
// to the next hyphen with two letters before and behind it.
func wrapChunks(s string, hyphens bool) (ends []int) {
	word := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
	letter := func(r rune) bool { return r == '_' || unicode.IsLetter(r) }
	before := func(i int) rune { r, _ := utf8.DecodeLastRuneInString(s[:i]); return r }
	at := func(i int) rune { r, _ := utf8.DecodeRuneInString(s[i:]); return r }
	// dash returns the end of an em-dash of hyphens at i between a word and the next.
	dash := func(i int) int {
		if i == 0 || !(word(before(i)) || strings.ContainsRune(`!"'&.,?`, before(i))) {
			return i
		}
		j := i
		for j < len(s) && s[j] == '-' {
			j++
		}
		if j-i < 2 || j == len(s) || !word(at(j)) {
			return i
		}
		return j
	}
	// hyphen reports whether a word may be broken behind the hyphen at i.
	hyphen := func(i int) bool {
		if s[i] != '-' || i == 0 || !letter(before(i)) {
			return false
		}
		one := i - utf8.RuneLen(before(i))
		if one == 0 {
			return false
		}
		if p := before(one); !letter(p) && !(p == '-' && one > 1 && letter(before(one-1))) {
			return false
		}
		j := i + 1
		if j == len(s) || !letter(at(j)) {
			return false
		}
		j += utf8.RuneLen(at(j))
		if j < len(s) && s[j] == '-' {
			j++
		}
		return j < len(s) && letter(at(j))
	}
	for i := 0; i < len(s); {
		j := i
		switch {
		case isWrapSpace(at(i)):
			for j < len(s) && isWrapSpace(at(j)) {
				j++
			}
		case hyphens && dash(i) > i:
			j = dash(i)
		default:
			for {
				c := at(j)
				j += utf8.RuneLen(c)
				if j == len(s) || isWrapSpace(at(j)) || hyphens && (j-1 > i && hyphen(j-1) || dash(j) > j) {
					break
				}
			}
		}
		ends = append(ends, j)
		i = j
	}
	return ends
}
