package jinja

import "strings"

// Some templates build the whole prompt in one variable, a piece at a time: set ns.text = ns.text ~ piece. Copying the text for
// each piece would make them quadratic in the length of the conversation. So a long string that was made by
// concatenation stays in a builder with room behind it: adding to it again copies the piece alone, while the shorter
// string, which shares the memory, stays valid.

const (
	minAppend  = 256 // bytes; shorter strings are simply copied
	appendSlot = 4   // strings being appended to at a time
)

// appender is a builder and its text.
type appender struct {
	b    strings.Builder
	text string
}

// concat returns the concatenation of parts, of which there is at least one.
func (in *interp) concat(parts ...string) (string, error) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if len(parts[0]) < minAppend {
		if err := in.alloc(n); err != nil {
			return "", err
		}
		return strings.Join(parts, ""), nil
	}
	a := in.appenderOf(parts[0])
	if a == nil {
		if err := in.alloc(n); err != nil {
			return "", err
		}
		a = &appender{}
		a.b.Grow(n)
		a.b.WriteString(parts[0])
		in.appenders[in.nextAppender] = a
		in.nextAppender = (in.nextAppender + 1) % appendSlot
	} else {
		cost := n - len(parts[0])
		if n > a.b.Cap() {
			cost = 2 * n // what the builder is about to allocate, at most
		}
		if err := in.alloc(cost); err != nil {
			return "", err
		}
	}
	for _, p := range parts[1:] {
		a.b.WriteString(p)
	}
	a.text = a.b.String()
	return a.text, nil
}

// appenderOf returns the appender whose text is s. The comparison takes no time for the very same string, which is
// the case that matters.
func (in *interp) appenderOf(s string) *appender {
	for _, a := range in.appenders {
		if a != nil && len(a.text) == len(s) && a.text == s {
			return a
		}
	}
	return nil
}
