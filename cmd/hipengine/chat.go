package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"

	"github.com/hipengine/hipengine"
)

// chatLoop reads questions from a terminal until Ctrl-D. Ctrl-C stops an answer, or clears the line. The arrow keys
// recall earlier questions.
func chatLoop(ctx context.Context, m *hipengine.Model, conv *hipengine.Conversation, std stdio) error {
	in, ok := std.in.(*os.File)
	if !ok {
		return errors.New("a chat needs a terminal")
	}
	fmt.Fprintf(std.out, "%s (%s) on %s. Ctrl-C stops an answer, Ctrl-D leaves.\n", m.ID(), m.Architecture(), m.Device().Name)
	lines := newLineReader(in, std.out)
	for {
		line, err := lines.read()
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(std.out)
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := answerOnTerminal(ctx, conv, line, std.out); err != nil {
			fmt.Fprintf(std.err, "\nhipengine: %v\n", err)
		}
	}
}

// answerOnTerminal prints the answer to one question; an interrupt ends it.
func answerOnTerminal(ctx context.Context, conv *hipengine.Conversation, question string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	err := answer(ctx, conv, question, bufio.NewWriter(out))
	if ctx.Err() != nil {
		fmt.Fprintln(out, " [stopped]")
		return nil
	}
	if err == nil {
		fmt.Fprintln(out)
	}
	return err
}

// lineReader edits lines on a terminal, which is in raw mode only while a line is read: then Ctrl-C is a key,
// otherwise it is a signal.
type lineReader struct {
	fd   int
	term *term.Terminal
}

func newLineReader(in *os.File, out io.Writer) *lineReader {
	return &lineReader{fd: int(in.Fd()), term: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{clearOnInterrupt{in}, out}, "> ")}
}

// read returns the next line, io.EOF at Ctrl-D.
func (l *lineReader) read() (string, error) {
	old, err := term.MakeRaw(l.fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer term.Restore(l.fd, old)
	if w, h, err := term.GetSize(l.fd); err == nil {
		l.term.SetSize(w, h)
	}
	line, err := l.term.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
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
