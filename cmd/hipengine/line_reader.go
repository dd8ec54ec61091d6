package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// lineReader edits messages on a terminal, which is in raw mode only while one is read: then Ctrl-C is a key,
// otherwise it is a signal.
type lineReader struct {
	fd     int
	term   *term.Terminal
	pastes *pasteReader
}

func newLineReader(in *os.File, out io.Writer, h *history) *lineReader {
	l := newEditor(in, out)
	l.fd = int(in.Fd())
	l.term.History = h
	return l
}

// newEditor returns a lineReader that leaves the mode of the terminal alone.
func newEditor(in io.Reader, out io.Writer) *lineReader {
	p := &pasteReader{r: in}
	return &lineReader{pastes: p, term: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{clearOnInterrupt{p}, out}, prompt)}
}

// Prompts of the first line of a message, and of those that belong to it.
const (
	prompt     = "> "
	morePrompt = ". "
)

// maxLine is the longest line that term.Terminal edits, in characters; what is typed behind it is lost.
const maxLine = 4096

// message returns the next message, io.EOF at Ctrl-D.
func (l *lineReader) message() (string, error) {
	old, err := term.MakeRaw(l.fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer term.Restore(l.fd, old)
	if w, h, err := term.GetSize(l.fd); err == nil {
		l.term.SetSize(w, h)
	}
	l.term.SetBracketedPasteMode(true)
	defer l.term.SetBracketedPasteMode(false)
	return l.read()
}

// read reads a line, or several that are one message: those that end with a backslash, with the next, and those
// between lines of three quotes.
func (l *lineReader) read() (string, error) {
	const quotes = `"""`
	var lines []string
	quoted := false
	l.term.SetPrompt(prompt)
	for {
		line, err := l.term.ReadLine()
		if err != nil {
			return "", err
		}
		if n := utf8.RuneCountInString(line); n >= maxLine {
			return "", fmt.Errorf("a line of more than %d characters: break it up, paste it or pipe it in", maxLine-1)
		}
		l.term.SetPrompt(morePrompt)
		before, goesOn := strings.CutSuffix(line, `\`)
		switch {
		case strings.TrimSpace(line) == quotes && quoted:
			return l.pastes.restore(strings.Join(lines, "\n")), nil
		case strings.TrimSpace(line) == quotes && len(lines) == 0:
			quoted = true
		case quoted:
			lines = append(lines, line)
		case goesOn:
			lines = append(lines, before)
		default:
			return l.pastes.restore(strings.Join(append(lines, line), "\n")), nil
		}
	}
}

// clearOnInterrupt turns Ctrl-C, which term.Terminal takes for the end of input, into Ctrl-U: clear the line.
type clearOnInterrupt struct{ io.Reader }

func (r clearOnInterrupt) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	for i, b := range p[:n] {
		if b == 3 {
			p[i] = 21
		}
	}
	return n, err
}
