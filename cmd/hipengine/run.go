package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/term"

	"github.com/hipengine/hipengine"
)

// runCmd answers one prompt, or chats.
type runCmd struct {
	modelFlags
	sampleFlags
	formFlags
	System string   `help:"System message."`
	Think  bool     `help:"Let the model think before it answers, if its template knows how."`
	Model  string   `arg:"" optional:"" help:"A model: a file, a path, a known name or hf:OWNER/NAME:QUANT. Anything else is the first word of a prompt for Ember."`
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

// params are the flags as the library has them.
func (f sampleFlags) params() hipengine.Params {
	return hipengine.Params{Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP, Seed: f.Seed,
		MaxTokens: f.MaxTokens}
}

// formFlags hold the answer to a form. A value that begins with @ names a file.
type formFlags struct {
	JSON       bool   `xor:"form" help:"Answer with a JSON object."`
	JSONSchema string `xor:"form" placeholder:"SCHEMA" help:"Answer with JSON that this JSON Schema allows; @FILE reads it from a file."`
	Grammar    string `xor:"form" placeholder:"GBNF" help:"Answer with text of this grammar in GBNF; @FILE reads it from a file."`
	Lark       string `xor:"form" placeholder:"LARK" help:"Answer with text of this grammar in Lark's language; @FILE reads it from a file."`
	Regex      string `xor:"form" placeholder:"REGEX" help:"Answer with text that this regular expression matches as a whole; @FILE reads it from a file."`
}

// constraint is the form as the library has it.
func (f formFlags) constraint() (c hipengine.Constraint, err error) {
	c.JSONObject = f.JSON
	for _, v := range []struct {
		value string
		to    *string
	}{{f.JSONSchema, &c.JSONSchema}, {f.Grammar, &c.GBNF}, {f.Lark, &c.Lark}, {f.Regex, &c.Regexp}} {
		*v.to = v.value
		if name, ok := strings.CutPrefix(v.value, "@"); ok {
			text, err := os.ReadFile(name)
			if err != nil {
				return c, err
			}
			*v.to = string(text)
		}
	}
	return c, nil
}

// split tells the model from the prompt. A word that looks like the name of a model, and is none, is an error: Ember
// must not answer for another.
func (c *runCmd) split(log io.Writer) (model, prompt string, err error) {
	if _, ok := hipengine.Find(c.Model, c.modelFlags.Models); ok || c.Model == "" {
		return c.Model, strings.Join(c.Prompt, " "), nil
	}
	similar := hipengine.Similar(c.Model, c.modelFlags.Models)
	if looksLikeModel(c.Model) || len(similar) > 0 {
		folder := c.modelFlags.Models
		if folder == "" {
			folder = hipengine.ModelFolder()
		}
		missing := &hipengine.NotFoundError{Name: c.Model, Folder: folder, Similar: similar}
		return "", "",
			usageError{fmt.Errorf("%w; if it is a word of the prompt, name the model: hipengine run ember %s ...",
				missing, c.Model)}
	}
	fmt.Fprintln(log, "hipengine: no MODEL is named: Ember answers, the small model that is built in")
	return "", strings.Join(append([]string{c.Model}, c.Prompt...), " "), nil
}

// looksLikeModel reports whether a word has what names of models have and other words rarely do: letters, digits, and
// signs that join them.
func looksLikeModel(word string) bool {
	return nameLetters.MatchString(word) && strings.ContainsAny(word, "0123456789") && strings.ContainsAny(word, "-_:.")
}

var nameLetters = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._:-]*$`)

// Run executes the command.
func (c *runCmd) Run(ctx context.Context, std stdio) error {
	name, prompt, err := c.split(std.err)
	if err != nil {
		return err
	}
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
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	m, err := c.load(ctx, h, name, 1, std.err)
	if err != nil {
		return err
	}
	params := c.params()
	if params.Constraint, err = c.constraint(); err != nil {
		return err
	}
	if c.Think {
		params.Template = map[string]json.RawMessage{"enable_thinking": json.RawMessage("true")}
	}
	conv, err := m.NewConversation(c.System, params)
	if err != nil {
		return err
	}
	if interactive {
		return chatLoop(ctx, m, conv, std)
	}
	w := bufio.NewWriter(std.out)
	defer w.Flush()
	if err := answer(ctx, conv, prompt, w); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

// answer writes the answer to a question piece by piece.
func answer(ctx context.Context, conv *hipengine.Conversation, question string, w *bufio.Writer) error {
	for piece, err := range conv.Ask(ctx, question) {
		if err == nil {
			if _, err = w.WriteString(piece.Text); err == nil {
				err = w.Flush()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
