package jinja

import "strings"

// Piece is a part of a rendered text that has one origin: the template, or the data that it was rendered with.
type Piece struct {
	Text string
	Data bool
}

// pieces cuts t where its origin changes. No piece is empty.
func (t str) pieces() []Piece {
	var out []Piece
	for at := 0; at < len(t.s); {
		mark := t.markAt(at)
		n := len(t.s) - at
		if t.data != "" {
			if i := strings.IndexByte(t.data[at:], 1-mark); i >= 0 {
				n = i
			}
		}
		out = append(out, Piece{t.s[at : at+n], mark == 1})
		at += n
	}
	return out
}
