package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is a set of the Unicode properties that pre-tokenizer patterns ask for.
type class uint8

const (
	clUpper class = 1 << iota // Lu, Lt
	clLower                   // Ll
	clOther                   // Lm, Lo: letters without case
	clMark                    // M
	clNum                     // N
	clSpace                   // White_Space, the \s of the patterns
	clPunct                   // P
	clSym                     // S

	clLetter = clUpper | clLower | clOther // \p{L}
)

// classTable maps code points to classes in two stages: pages of 256 code points, equal pages shared.
type classTable struct {
	page  [(unicode.MaxRune + 1) >> 8]uint16
	pages [][256]class
}

// classes returns the table, which is built on first use (about 3 ms).
var classes = sync.OnceValue(buildClasses)

func buildClasses() *classTable {
	sets := []struct {
		c  class
		rt *unicode.RangeTable
	}{
		{clUpper, unicode.Lu}, {clUpper, unicode.Lt}, {clLower, unicode.Ll}, {clOther, unicode.Lm},
		{clOther, unicode.Lo},
		{clMark, unicode.M}, {clNum, unicode.N}, {clSpace, unicode.White_Space}, {clPunct, unicode.P},
		{clSym, unicode.S},
	}
	flat := make([]class, unicode.MaxRune+1)
	mark := func(c class, lo, hi, stride uint32) {
		for r := lo; r <= hi; r += stride {
			flat[r] |= c
		}
	}
	for _, s := range sets {
		for _, r := range s.rt.R16 {
			mark(s.c, uint32(r.Lo), uint32(r.Hi), uint32(r.Stride))
		}
		for _, r := range s.rt.R32 {
			mark(s.c, r.Lo, r.Hi, r.Stride)
		}
	}
	t := &classTable{}
	seen := map[[256]class]uint16{}
	for p := range t.page {
		page := [256]class(flat[p<<8:])
		i, ok := seen[page]
		if !ok {
			i = uint16(len(t.pages))
			seen[page] = i
			t.pages = append(t.pages, page)
		}
		t.page[p] = i
	}
	return t
}

// at returns the code point at byte i of s, its class and its length in bytes; length 0 at the end of s.
func (t *classTable) at(s string, i int) (r rune, c class, n int) {
	if i >= len(s) {
		return 0, 0, 0
	}
	if b := s[i]; b < utf8.RuneSelf {
		return rune(b), t.pages[t.page[0]][b], 1
	}
	r, n = utf8.DecodeRuneInString(s[i:])
	return r, t.pages[t.page[r>>8]][r&0xFF], n
}

// run returns the end of the run of code points from byte i on that have a class in set.
func (t *classTable) run(s string, i int, set class) int {
	for {
		_, c, n := t.at(s, i)
		if n == 0 || c&set == 0 {
			return i
		}
		i += n
	}
}

// runNot returns the end of the run of code points from byte i on that have no class in set.
func (t *classTable) runNot(s string, i int, set class) int {
	for {
		_, c, n := t.at(s, i)
		if n == 0 || c&set != 0 {
			return i
		}
		i += n
	}
}

// newlines returns the end of the run of \r and \n from byte i on.
func newlines(s string, i int) int {
	for i < len(s) && (s[i] == '\r' || s[i] == '\n') {
		i++
	}
	return i
}

// spaces matches \s+(?!\S)|\s+ at byte i, and \s*[\r\n]+ before these if nl: a run of whitespace up to its
// last newline; else the whole run if the text ends with it; else the run but its last code point, which is
// left for the next word. It returns i where no whitespace is.
func (t *classTable) spaces(s string, i int, nl bool) int {
	end, last, afterNL := i, i, -1
	for {
		r, c, n := t.at(s, end)
		if n == 0 || c&clSpace == 0 {
			break
		}
		last = end
		end += n
		if r == '\r' || r == '\n' {
			afterNL = end
		}
	}
	switch {
	case nl && afterNL >= 0:
		return afterNL
	case end == len(s) || last == i:
		return end
	}
	return last
}
