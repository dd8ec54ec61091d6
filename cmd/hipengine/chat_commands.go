package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine"
)

// chatCommand is a command of the chat.
type chatCommand struct {
	name, argument, help string
	needs                bool // the argument
	do                   func(c *chatSession, ctx context.Context, argument string) error
}

// chatCommands are all of them, in the order of the help.
var chatCommands = []chatCommand{
	{"clear", "", "forget what was said, but for the system message", false, (*chatSession).clear},
	{"system", "TEXT", "begin anew with this system message, or none", false, (*chatSession).setSystem},
	{"save", "FILE", "write the messages as JSON to a new file", true, (*chatSession).save},
	{"model", "NAME", "go on with another model", true, (*chatSession).changeModel},
	{"stats", "", "how fast the last answer came, how much of it was guessed, and how full the context is", false, (*chatSession).stats},
}

// command carries out a line that begins with a slash.
func (c *chatSession) command(ctx context.Context, line string) error {
	name, argument, _ := strings.Cut(strings.TrimPrefix(line, "/"), " ")
	argument = strings.TrimSpace(argument)
	if name == "help" {
		c.help()
		return nil
	}
	for _, cmd := range chatCommands {
		switch {
		case cmd.name != name:
			continue
		case cmd.needs && argument == "":
			return fmt.Errorf("/%s needs %s", name, cmd.argument)
		case cmd.argument == "" && argument != "":
			return fmt.Errorf("/%s takes nothing behind it, found %q", name, argument)
		}
		return cmd.do(c, ctx, argument)
	}
	return fmt.Errorf("there is no command /%s: /help lists them; a message that begins with a slash begins with two",
		name)
}

func (c *chatSession) help() {
	for _, cmd := range chatCommands {
		fmt.Fprintf(c.std.out, "  %-14s  %s\n", strings.TrimSpace("/"+cmd.name+" "+cmd.argument), cmd.help)
	}
	fmt.Fprint(c.std.out, `  /help           this list
A message of several lines: paste it, end each line but the last with \, or put it between lines of """.
`)
}

// restart begins a conversation with these messages.
func (c *chatSession) restart(messages []hipengine.Message) error {
	conv, err := c.model.NewConversation("", c.params)
	if err != nil {
		return err
	}
	conv.SetMessages(messages)
	c.conv = conv
	return nil
}

func (c *chatSession) clear(context.Context, string) error {
	var messages []hipengine.Message
	if c.system != "" {
		messages = append(messages, hipengine.Message{Role: "system", Content: c.system})
	}
	return c.restart(messages)
}

func (c *chatSession) setSystem(ctx context.Context, text string) error {
	c.system = text
	return c.clear(ctx, "")
}

func (c *chatSession) save(_ context.Context, name string) error {
	text, err := json.MarshalIndent(c.conv.Messages(), "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(typedPath(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// typedPath reads a path as people type it for a shell: in quotes, or with ~ for the home folder.
func typedPath(name string) string {
	if n := len(name); n > 2 && (name[0] == '"' || name[0] == '\'') && name[n-1] == name[0] {
		return name[1 : n-1]
	}
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return name
}

// changeModel keeps the messages. If the other model cannot be loaded, this one stays.
func (c *chatSession) changeModel(ctx context.Context, name string) error {
	m, err := c.open(ctx, typedPath(name))
	if err != nil {
		return err
	}
	old, messages := c.model, c.conv.Messages()
	c.model = m
	if err := c.restart(messages); err != nil {
		c.model = old
		return errors.Join(err, m.Close())
	}
	c.greet()
	return old.Close()
}

func (c *chatSession) stats(context.Context, string) error {
	if c.how.tokens > 0 {
		fmt.Fprintf(c.std.out, "last answer: %v\n", &c.how)
	}
	raw, err := json.Marshal(c.conv.Messages())
	if err != nil {
		return err
	}
	used := 0
	if string(raw) != "[]" && string(raw) != "null" {
		ids, err := c.model.Prompt(raw, c.params.Tools, c.params.Template)
		if err != nil {
			return err
		}
		used = len(ids)
	}
	fmt.Fprintf(c.std.out, "context: %d of %d tokens, %d left\n", used, c.model.Context(),
		max(c.model.Context()-used, 0))
	return nil
}
