package jinja

import "strings"

// Some templates build the whole prompt in one variable, a piece at a time: set ns.text = ns.text ~ piece. Copying the
// text for each piece would make them quadratic in the length of the conversation. So a long string that was made by
// concatenation stays in a builder with room behind it: adding to it again copies the piece alone, while the shorter
// string, which shares the memory, stays valid.

const (
	minAppend  = 256 // bytes; shorter strings are simply copied
	appendSlot = 4   // strings being appended to at a time
)

// appender is a builder and its text.
type appender struct {
	b    strBuilder
	text str
}

// concat returns the concatenation of parts, of which there is at least one.
func (in *interp) concat(parts ...str) (str, error) {
	n, data := 0, false // bytes of the text, and whether they have marks
	for _, p := range parts {
		n += len(p.s)
		data = data || p.data != ""
	}
	fresh := n
	if data {
		fresh = 2 * n
	}
	if len(parts[0].s) < minAppend {
		if err := in.alloc(fresh); err != nil {
			return str{}, err
		}
		var b strBuilder
		b.b.Grow(n)
		for _, p := range parts {
			b.add(p)
		}
		return b.str(), nil
	}
	a := in.appenderOf(parts[0])
	if a == nil {
		if err := in.alloc(fresh); err != nil {
			return str{}, err
		}
		a = &appender{}
		a.b.b.Grow(n)
		a.b.add(parts[0])
		in.appenders[in.nextAppender] = a
		in.nextAppender = (in.nextAppender + 1) % appendSlot
	} else {
		cost := appendCost(&a.b.b, n)
		if data {
			cost += appendCost(&a.b.marks, n)
		}
		if err := in.alloc(cost); err != nil {
			return str{}, err
		}
	}
	for _, p := range parts[1:] {
		a.b.add(p)
	}
	a.text = a.b.str()
	return a.text, nil
}

// appendCost returns what bringing b to n bytes costs at most: the bytes that are new, or a larger copy of all.
func appendCost(b *strings.Builder, n int) int {
	if n > b.Cap() {
		return 2 * n
	}
	return n - b.Len()
}

// appenderOf returns the appender whose text is s. The comparison takes no time for the very same string, which is
// the case that matters.
func (in *interp) appenderOf(s str) *appender {
	for _, a := range in.appenders {
		if a != nil && len(a.text.s) == len(s.s) && a.text == s {
			return a
		}
	}
	return nil
}
