package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/hipengine/hipengine"
)

// chatSession is a conversation on a terminal.
type chatSession struct {
	model  *hipengine.Model
	conv   *hipengine.Conversation
	params hipengine.Params
	system string
	// open loads the model of a name in place of the one that is there.
	open func(ctx context.Context, name string) (*hipengine.Model, error)

	std stdio
	how answered // the last answer
}

// run reads messages from a terminal until Ctrl-D. Ctrl-C stops an answer, or clears the line. The arrow keys recall
// earlier lines.
func (c *chatSession) run(ctx context.Context, history *history) error {
	in, ok := c.std.in.(*os.File)
	if !ok {
		return errors.New("a chat needs a terminal")
	}
	c.greet()
	lines := newLineReader(in, c.std.out, history)
	for {
		text, err := lines.message()
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(c.std.out)
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		if err := c.do(ctx, text); err != nil {
			fmt.Fprintf(c.std.err, "hipengine: %v\n", err)
		}
	}
}

func (c *chatSession) greet() {
	fmt.Fprintf(c.std.out, "%s (%s) on %s. Ctrl-C stops an answer, Ctrl-D leaves, /help says more.\n", c.model.ID(),
		c.model.Architecture(), c.model.Device().Name)
}

// do carries out a command, or answers a message. What has several lines, as pasted code has, is a message as it is,
// unless it begins with a command that there is.
func (c *chatSession) do(ctx context.Context, text string) error {
	slashed, ok := strings.CutPrefix(text, "/")
	several := strings.Contains(text, "\n")
	name, _, _ := strings.Cut(slashed, " ")
	switch {
	case !ok, several && !slices.ContainsFunc(chatCommands, func(cmd chatCommand) bool { return cmd.name == name }):
		return c.answer(ctx, text)
	case strings.HasPrefix(slashed, "/"):
		return c.answer(ctx, slashed)
	}
	return c.command(ctx, text)
}

// answer prints the answer to one message; an interrupt ends it.
func (c *chatSession) answer(ctx context.Context, text string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	c.how = answered{}
	err := answer(ctx, c.conv, text, bufio.NewWriter(c.std.out), c.how.add)
	if ctx.Err() != nil {
		fmt.Fprintln(c.std.out, " [stopped]")
		return nil
	}
	if err == nil || c.how.tokens > 0 {
		fmt.Fprintln(c.std.out)
	}
	return err
}
