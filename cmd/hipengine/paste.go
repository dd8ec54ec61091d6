package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// pasteReader takes what is pasted out of the keys of a terminal with bracketed paste, so that its lines send nothing
// and nothing of it is lost: an editor of lines would break it up, and drop tabs and what is too long. Short pastes
// of one line go through as if typed; for others a mark stands in the line.
type pasteReader struct {
	r       io.Reader
	pending []byte // read, and not yet looked at
	out     []byte // keys to deliver
	pasting bool
	paste   []byte
	pastes  []string
}

// Codes round a paste, and how much of one goes through as it is.
const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
	shortPaste = 512 // bytes

	pasteMark = "[paste " // with which marks begin
)

// Read implements io.Reader.
func (p *pasteReader) Read(b []byte) (int, error) {
	for len(p.out) == 0 {
		buf := make([]byte, 4096)
		n, err := p.r.Read(buf)
		p.pending = append(p.pending, buf[:n]...)
		p.take()
		if err != nil && len(p.out) == 0 {
			return 0, err
		}
	}
	n := copy(b, p.out)
	p.out = p.out[n:]
	return n, nil
}

// take moves what is pending to the keys and the pastes.
func (p *pasteReader) take() {
	for len(p.pending) > 0 {
		code := pasteBegin
		to := &p.out
		if p.pasting {
			code, to = pasteEnd, &p.paste
		}
		at := bytes.Index(p.pending, []byte(code))
		if at < 0 {
			keep := len(code) - 1 // the end may be the beginning of the code
			for ; keep > 0 && !bytes.HasSuffix(p.pending, []byte(code[:keep])); keep-- {
			}
			n := len(p.pending) - keep
			*to = append(*to, p.pending[:n]...)
			p.pending = append([]byte(nil), p.pending[n:]...)
			return
		}
		*to = append(*to, p.pending[:at]...)
		p.pending = p.pending[at+len(code):]
		if p.pasting {
			p.finish()
		}
		p.pasting = !p.pasting
	}
}

// finish puts a paste into the line.
func (p *pasteReader) finish() {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(p.paste))
	p.paste = p.paste[:0]
	if len(text) <= shortPaste && !strings.ContainsFunc(text, unicode.IsControl) {
		p.out = append(p.out, text...)
		return
	}
	p.pastes = append(p.pastes, text)
	p.out = append(p.out, p.mark(len(p.pastes)-1)...)
}

// mark is what stands for paste i in a line.
func (p *pasteReader) mark(i int) string {
	n := strings.Count(strings.TrimSuffix(p.pastes[i], "\n"), "\n") + 1
	return fmt.Sprintf(pasteMark+"%d: %d lines, %d bytes]", i+1, n, len(p.pastes[i]))
}

// restore puts the pastes in the places of their marks, and forgets them.
func (p *pasteReader) restore(line string) string {
	var pairs []string
	for i, text := range p.pastes {
		pairs = append(pairs, p.mark(i), strings.TrimSuffix(text, "\n"))
	}
	p.pastes = nil
	return strings.NewReplacer(pairs...).Replace(line)
}
