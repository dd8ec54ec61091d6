package jinja

import (
	"strings"
	"unicode/utf8"
)

// str is a string and where its bytes come from: the template, or the data that it is rendered with. Every operation
// keeps the two apart, byte by byte where the result shows which byte came from where; what was computed from data in
// another way is data. Numbers have no provenance, nor have booleans: their texts count as the template's.
//
// Strings compare by their bytes alone: compare s, never two values of this type.
type str struct {
	s    string
	data string // as long as s, 1 for each byte that stems from data and else 0; or empty if none does
}

// markBlock is where the marks of short strings are cut from.
const markBlock = 4 << 10

var (
	dataMarks = strings.Repeat("\x01", markBlock)
	ownMarks  = strings.Repeat("\x00", markBlock)
)

// lit returns a string of the template.
func lit(s string) str { return str{s: s} }

// dataStr returns a string that is data.
func dataStr(s string) str { return str{s, marksOf(len(s))} }

// marksOf returns the marks of n bytes of data.
func marksOf(n int) string {
	if n <= markBlock {
		return dataMarks[:n]
	}
	return strings.Repeat("\x01", n)
}

// hasData reports whether any byte of t stems from data.
func (t str) hasData() bool { return strings.IndexByte(t.data, 1) >= 0 }

// size is the memory that a copy of t takes.
func (t str) size() int { return len(t.s) + len(t.data) }

// markAt returns the mark of byte i.
func (t str) markAt(i int) byte {
	if t.data == "" {
		return 0
	}
	return t.data[i]
}

// slice returns bytes i to j of t, which share its memory.
func (t str) slice(i, j int) str {
	if t.data == "" {
		return str{s: t.s[i:j]}
	}
	return str{t.s[i:j], t.data[i:j]}
}

// derived returns a string that was made of others in a way that hides which byte came from where: it is data if any
// of them has data.
func derived(s string, from ...str) str {
	for _, t := range from {
		if t.hasData() {
			return dataStr(s)
		}
	}
	return lit(s)
}

// mapped returns out, which was made of t by changing each character on its own.
func (t str) mapped(out string) str {
	switch {
	case t.data == "":
		return lit(out)
	case len(out) == len(t.s) && isASCII(t.s):
		return str{out, t.data}
	}
	var b strBuilder
	at := 0
	for i := 0; i < len(out); {
		if at == len(t.s) {
			return derived(out, t)
		}
		_, n := utf8.DecodeRuneInString(out[i:])
		b.addLike(out[i:i+n], t.data[at])
		i += n
		_, n = utf8.DecodeRuneInString(t.s[at:])
		at += n
	}
	if at < len(t.s) {
		return derived(out, t)
	}
	return b.str()
}

// strBuilder puts a string together.
type strBuilder struct {
	b      strings.Builder
	marks  strings.Builder
	marked bool // there are marks, one for each byte
}

// own appends bytes of the template.
func (w *strBuilder) own(s string) {
	w.b.WriteString(s)
	if w.marked {
		w.ownMarks(len(s))
	}
}

// add appends t.
func (w *strBuilder) add(t str) {
	if t.data == "" {
		w.own(t.s)
		return
	}
	w.mark()
	w.b.WriteString(t.s)
	w.marks.WriteString(t.data)
}

// addLike appends s with the mark of all its bytes.
func (w *strBuilder) addLike(s string, mark byte) {
	if mark == 0 {
		w.own(s)
		return
	}
	w.mark()
	w.b.WriteString(s)
	w.marks.WriteString(marksOf(len(s)))
}

// mark gives marks to what has been written without.
func (w *strBuilder) mark() {
	if !w.marked {
		w.marked = true
		w.marks.Grow(w.b.Cap())
		w.ownMarks(w.b.Len())
	}
}

func (w *strBuilder) ownMarks(n int) {
	for ; n > markBlock; n -= markBlock {
		w.marks.WriteString(ownMarks)
	}
	w.marks.WriteString(ownMarks[:n])
}

// str returns what was written. It shares the memory of the builder, which may go on.
func (w *strBuilder) str() str { return str{w.b.String(), w.marks.String()} }
