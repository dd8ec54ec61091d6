package tokenizer

import "unicode/utf8"

// Stream decodes ids one by one. Its output, joined, is what Decode gives for all of them. What it returns is
// always valid UTF-8. A Stream serves one goroutine.
type Stream struct {
	t       *Tokenizer
	special bool
	strip   bool   // a leading space of the next text is to be dropped
	tail    []byte // bytes held back: an incomplete code point
}

// NewStream returns a Stream for ids that begin a text. special renders control tokens too.
func (t *Tokenizer) NewStream(special bool) *Stream {
	return &Stream{t: t, special: special, strip: t.strip}
}

// NewContinuation returns a Stream for ids that continue a text, such as a completion of a prompt: a leading
// space is part of the text and kept.
func (t *Tokenizer) NewContinuation(special bool) *Stream { return &Stream{t: t, special: special} }

// Push takes the next id and returns the text that is complete with it, which may be empty.
func (s *Stream) Push(id int32) string { return string(s.push(nil, id)) }

// Flush ends the text. It returns U+FFFD if bytes of an incomplete code point are left, else "". The Stream
// may then be used for a continuation.
func (s *Stream) Flush() string { return string(s.flush(nil)) }

func (s *Stream) push(out []byte, id int32) []byte {
	n := len(s.tail)
	s.tail = s.t.appendPiece(s.tail, id, s.special)
	if len(s.tail) == n {
		return out
	}
	if s.strip {
		s.strip = false
		if s.tail[0] == ' ' {
			s.tail = s.tail[1:]
		}
	}
	out, rest := appendLossy(out, s.tail, false)
	s.tail = append(s.tail[:0], rest...)
	return out
}

func (s *Stream) flush(out []byte) []byte {
	out, _ = appendLossy(out, s.tail, true)
	s.tail = s.tail[:0]
	return out
}

// appendLossy appends b to dst as valid UTF-8, each maximal subpart of what is not replaced by U+FFFD. An
// incomplete code point at the end is returned as rest, or replaced too if final is set.
func appendLossy(dst, b []byte, final bool) (out, rest []byte) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			dst = append(dst, b[:n]...)
			b = b[n:]
			continue
		}
		if !final && !utf8.FullRune(b) {
			return dst, b
		}
		// The maximal subpart is the longest prefix that further bytes could complete, or else one byte.
		for n < len(b) && n < utf8.UTFMax && !utf8.FullRune(b[:n+1]) {
			n++
		}
		dst = utf8.AppendRune(dst, utf8.RuneError)
		b = b[n:]
	}
	return dst, nil
}
