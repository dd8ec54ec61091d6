package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/text/chat"
)

// runCmd answers one prompt, or chats.
type runCmd struct {
	modelFlags
	sampleFlags
	System string   `help:"System message."`
	Think  bool     `help:"Let the model think before it answers, if its template knows how."`
	Model  string   `arg:"" optional:"" help:"A model: a file, a path or a known name. Anything else is the first word of a prompt for Ember."`
	Prompt []string `arg:"" optional:"" help:"The words of a prompt. Without any: what standard input holds, or a chat on a terminal."`
}

// sampleFlags set sampling parameters; what is not given is the model's own.
type sampleFlags struct {
	Temperature *float32 `name:"temp" help:"Temperature; 0 always takes the most likely token."`
	TopK        *int     `help:"Sample from the K most likely tokens; 0 for all."`
	TopP        *float32 `help:"Sample from the most likely tokens that hold this much probability."`
	MinP        *float32 `help:"Drop tokens below this share of the most likely one's probability."`
	Seed        *uint64  `help:"Seed of the random numbers; the same seed gives the same answer."`
	MaxTokens   int      `short:"n" help:"Most tokens of an answer; 0 for what fits."`
}

// params applies the flags to a model's own parameters.
func (f sampleFlags) params(model sample.Overrides) sample.Params {
	p := model.Apply(sample.Defaults())
	p.Seed = rand.Uint64()
	return sample.Overrides{Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP, Seed: f.Seed}.Apply(p)
}

// split tells the model from the prompt.
func (c *runCmd) split() (model, prompt string) {
	if _, ok := c.find(c.Model); ok || c.Model == "" {
		return c.Model, strings.Join(c.Prompt, " ")
	}
	return "", strings.Join(append([]string{c.Model}, c.Prompt...), " ")
}

// Run executes the command.
func (c *runCmd) Run(ctx context.Context, std stdio) error {
	name, prompt := c.split()
	interactive := false
	if prompt == "" {
		if f, ok := std.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			interactive = true
		} else {
			in, err := io.ReadAll(io.LimitReader(std.in, 16<<20))
			if err != nil {
				return fmt.Errorf("reading the prompt: %w", err)
			}
			if prompt = strings.TrimSpace(string(in)); prompt == "" {
				return usageError{fmt.Errorf("no prompt: give one as words, or on standard input")}
			}
		}
	}
	m, err := c.open(ctx, name, 1, std.err)
	if err != nil {
		return err
	}
	defer m.close()
	conv, err := newConversation(m, c.System, c.Think, c.sampleFlags)
	if err != nil {
		return err
	}
	defer conv.close()
	if interactive {
		return chatLoop(ctx, conv, std)
	}
	w := bufio.NewWriter(std.out)
	defer w.Flush()
	err = conv.ask(ctx, prompt, func(text string) error {
		if _, err := w.WriteString(text); err != nil {
			return err
		}
		return w.Flush()
	})
	if err != nil {
		return err
	}
	return w.WriteByte('\n')
}

// conversation is a chat with a model.
type conversation struct {
	m        *model
	engine   *engine.Engine
	params   sample.Params
	max      int
	kwargs   map[string]json.RawMessage
	messages []message
}

// message is one turn, as templates know it.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func newConversation(m *model, system string, think bool, f sampleFlags) (*conversation, error) {
	e, err := engine.New(engine.Config{Runner: m.runner, EOG: m.tok.IsEOG})
	if err != nil {
		return nil, err
	}
	c := &conversation{m: m, engine: e, params: f.params(m.defaults), max: f.MaxTokens, kwargs: map[string]json.RawMessage{}}
	if err := c.params.Validate(m.runner.Limits().Vocab); err != nil {
		return nil, usageError{err}
	}
	if system != "" {
		c.messages = append(c.messages, message{"system", system})
	}
	if think {
		c.kwargs["enable_thinking"] = json.RawMessage("true")
	}
	return c, nil
}

// close stops the engine, so that the runner can be closed.
func (c *conversation) close() { c.engine.Close(context.Background()) }

// ask adds a question to the conversation and passes the answer on piece by piece. An answer that ctx cuts short
// stays in the conversation as far as it came; any other failure leaves the conversation as it was.
func (c *conversation) ask(ctx context.Context, question string, emit func(string) error) error {
	messages := append(c.messages, message{"user", question})
	raw, err := json.Marshal(messages)
	if err != nil {
		return err
	}
	prompt, err := c.m.tmpl.Render(chat.Input{Messages: raw, AddGenerationPrompt: true, BOS: c.m.bos, EOS: c.m.eos, Kwargs: c.kwargs})
	if err != nil {
		return err
	}
	ids, err := c.m.tok.EncodePieces(prompt)
	if err != nil {
		return err
	}
	seq, err := c.engine.Submit(ctx, engine.Request{
		Prompt:    ids,
		MaxTokens: c.max,
		Sampling:  c.params,
		Decoder:   c.m.tok.NewStream(false),
	})
	if err != nil {
		return err
	}
	defer seq.Cancel()
	var answer strings.Builder
	for t, err := range seq.Tokens() {
		if err == nil {
			answer.WriteString(t.Text)
			err = emit(t.Text)
		}
		if err != nil {
			if ctx.Err() != nil && answer.Len() > 0 {
				c.messages = append(messages, message{"assistant", answer.String()})
			}
			return err
		}
	}
	c.messages = append(messages, message{"assistant", answer.String()})
	return nil
}
