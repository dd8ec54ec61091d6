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
	samplerFlags
	formFlags
	answerFlags
	chatFlags
	specFlags
	System string   `help:"System message."`
	Think  bool     `help:"Let the model think before it answers, if its template knows how."`
	Model  string   `arg:"" optional:"" help:"A model: a file, a path, a known name or hf:OWNER/NAME:QUANT. Anything else is the first word of a prompt for Ember."`
	Prompt []string `arg:"" optional:"" help:"The words of a prompt; what is piped in follows them, after an empty line. Without any: what standard input holds, or a chat on a terminal."`

	NoHistory bool `name:"no-history" env:"HIPENGINE_NO_HISTORY" help:"Keep no lines of chats in the history file ($XDG_STATE_HOME/hipengine/history)."`
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
// A lone dash stands for standard input, as it does for other commands.
func (c *runCmd) split(log io.Writer) (model, prompt string, err error) {
	if words := c.Prompt; len(words) > 0 && words[len(words)-1] == stdinWord {
		c.Prompt = words[:len(words)-1]
	}
	if c.Model == stdinWord && len(c.Prompt) == 0 {
		c.Model = ""
	}
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
		return "", "", usageError{fmt.Errorf("%w; if it is the first word of a prompt, name the model before it: "+
			"hipengine run ember %s", missing, c.Model)}
	}
	fmt.Fprintln(log, "hipengine: no MODEL is named: Ember answers, the small model that is built in")
	return "", strings.Join(append([]string{c.Model}, c.Prompt...), " "), nil
}

// looksLikeModel reports whether a word has what names of models have and other words rarely do: digits behind letters.
func looksLikeModel(word string) bool {
	return nameLetters.MatchString(word) && strings.ContainsAny(word, "0123456789")
}

var nameLetters = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._:-]*$`)

// Run executes the command.
func (c *runCmd) Run(ctx context.Context, std stdio) error {
	if c.Context < 0 || c.MaxTokens < 0 {
		return usageError{fmt.Errorf("--ctx %d and --max-tokens %d must not be negative: 0 takes what there is", c.Context,
			c.MaxTokens)}
	}
	name, prompt, err := c.split(std.err)
	if err != nil {
		return err
	}
	piped, terminal, err := c.piped(std.in, prompt != "")
	if err != nil {
		return err
	}
	if prompt != "" && piped != "" {
		prompt += "\n\n"
	}
	if prompt += piped; prompt == "" && !terminal {
		return usageError{fmt.Errorf("no prompt: give one as words, or on standard input")}
	}
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	open := func(ctx context.Context, name string) (*hipengine.Model, error) {
		if err := c.fetch(ctx, std.err, name); err != nil {
			return nil, err
		}
		o := c.options()
		o.Sequences, o.Spec = 1, c.Spec
		if err := c.chatFlags.apply(&o); err != nil {
			return nil, err
		}
		return loadWith(ctx, h, name, o, std.err)
	}
	m, err := open(ctx, name)
	if err != nil {
		return err
	}
	params := c.params()
	c.limit(&params)
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
	if prompt == "" {
		return c.chat(ctx, &chatSession{model: m, conv: conv, params: params, system: c.System, open: open, std: std})
	}
	w := bufio.NewWriter(std.out)
	defer w.Flush()
	var how answered
	if err := answer(ctx, conv, prompt, w, how.add); err != nil {
		return err
	}
	if err := w.WriteByte('\n'); err != nil || !c.Verbose {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err = fmt.Fprintf(std.err, "hipengine: %v\n", &how); err != nil {
		return err
	}
	if u := m.ExpertUse(); u.Slots > 0 {
		_, err = fmt.Fprintf(std.err, "hipengine: %v\n", u)
	}
	return err
}

// piped returns what standard input holds, and whether it is a terminal. Beside words of a prompt, which say what to
// do with it, it is read if it is a pipe or a file.
func (c *runCmd) piped(in io.Reader, words bool) (text string, terminal bool, err error) {
	if f, ok := in.(*os.File); ok {
		if term.IsTerminal(int(f.Fd())) {
			return "", true, nil
		}
		st, err := f.Stat()
		if words && (err != nil || st.Mode()&os.ModeNamedPipe == 0 && !st.Mode().IsRegular()) {
			return "", false, nil
		}
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPiped+1))
	switch {
	case err != nil:
		return "", false, fmt.Errorf("reading the prompt: %w", err)
	case len(raw) > maxPiped:
		return "", false, fmt.Errorf("standard input has more than %d bytes", maxPiped)
	}
	return strings.TrimSpace(string(raw)), false, nil
}

// stdinWord is the last word of a prompt that is read from standard input, where it may stand or not.
const stdinWord = "-"

// maxPiped bounds a prompt on standard input, in bytes.
const maxPiped = 16 << 20

// chat runs a chat with the lines of earlier ones.
func (c *runCmd) chat(ctx context.Context, talk *chatSession) error {
	path := historyPath()
	if c.NoHistory {
		path = ""
	}
	h, err := openHistory(path)
	if err != nil {
		fmt.Fprintf(talk.std.err, "hipengine: %v; lines are not kept\n", err)
		h = &history{}
	}
	defer h.Close()
	return talk.run(ctx, h)
}

// answer writes the answer to a question piece by piece, and calls each for each of them.
func answer(ctx context.Context, conv *hipengine.Conversation, question string, w *bufio.Writer,
	each func(hipengine.Piece)) error {
	for piece, err := range conv.Ask(ctx, question) {
		if err == nil {
			each(piece)
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
