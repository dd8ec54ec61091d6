package chat

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hipengine/hipengine/text/jinja"
)

// ChatML is the template for models that have none: each message between <|im_start|> with its role and <|im_end|>.
const ChatML = `{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content or [] %}
            {{- part.text if part.text is defined }}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
`

// Limits, LimitError and RaisedError are those of the template language.
type (
	Limits      = jinja.Limits
	LimitError  = jinja.LimitError
	RaisedError = jinja.RaisedError
)

// Template is a parsed chat template. It does not change: any number of goroutines may render it at the same time.
type Template struct{ t *jinja.Template }

// Parse compiles a template with the default limits. An error names line, column and what was expected there.
func Parse(src string) (*Template, error) {
	return ParseLimits(src, Limits{})
}

// ParseLimits is Parse with limits of the caller's choice, which hold for parsing and for every rendering.
func ParseLimits(src string, limits Limits) (*Template, error) {
	t, err := jinja.ParseLimits(src, limits)
	if err != nil {
		return nil, err
	}
	return &Template{t}, nil
}

// Input is what a template renders. The JSON fields are decoded anew for each rendering; they keep the order of keys
// and the difference between integers and floats.
type Input struct {
	// Messages is a JSON array of messages, oldest first: objects with role, content and what else the template knows.
	// Tool-call arguments that are JSON objects spelled as strings, as the OpenAI API has them, become
	// objects, since most templates expect that; where a template fails on objects it gets the strings.
	Messages json.RawMessage
	// Tools and Documents are JSON arrays; empty means none.
	Tools     json.RawMessage
	Documents json.RawMessage
	// AddGenerationPrompt asks for the start of the assistant's reply behind the messages.
	AddGenerationPrompt bool
	// ContinueFinal ends the prompt with the content of the last message, which must be the assistant's, for the model
	// to go on with it. It excludes AddGenerationPrompt.
	ContinueFinal bool
	// BOS and EOS are the texts of the special tokens bos_token and eos_token.
	BOS, EOS string
	// Now is the local time of strftime_now; zero means the time of rendering.
	Now time.Time
	// Kwargs are further variables by name, such as enable_thinking.
	Kwargs map[string]json.RawMessage
}

// Render returns the prompt for in. Its text is that of the template's reference implementation; its pieces say which
// parts of it the template wrote. Errors name the place in the template; errors.As finds a [RaisedError] if
// the template refused the conversation and a [LimitError] if it ran into a limit.
func (t *Template) Render(in Input) (Prompt, error) {
	if in.Now.IsZero() {
		in.Now = time.Now()
	}
	prompt, decoded, err := t.render(in, true)
	if err != nil && decoded && canRetry(err) {
		// The template may want the arguments as the client spelled them. If it does not, the first error is the
		// telling one.
		if second, _, secondErr := t.render(in, false); secondErr == nil {
			return second, nil
		}
	}
	return prompt, err
}

// render renders once. With decode, string arguments of tool calls become objects; decoded reports if there were any.
func (t *Template) render(in Input, decode bool) (prompt Prompt, decoded bool, err error) {
	r := t.t.NewRendering(in.Now)
	messages, err := setVariables(r, in)
	if err != nil {
		return nil, false, err
	}
	if decode {
		if decoded, err = decodeArguments(r, messages); err != nil {
			return nil, false, fmt.Errorf("chat: messages: %w", err)
		}
	}
	trustRoles(messages)
	var mark string
	if in.ContinueFinal {
		if mark, err = markFinal(r, messages); err != nil {
			return nil, false, err
		}
	}
	pieces, err := r.Run()
	if err != nil {
		return nil, decoded, err
	}
	prompt = promptOf(pieces)
	if in.ContinueFinal {
		prompt, err = prompt.cut(mark)
	}
	return prompt, decoded, err
}

// setVariables decodes the input into the template's variables, and returns the messages.
func setVariables(r *jinja.Rendering, in Input) (messages jinja.Value, err error) {
	r.Set("bos_token", jinja.Text(in.BOS))
	r.Set("eos_token", jinja.Text(in.EOS))
	for _, name := range slices.Sorted(maps.Keys(in.Kwargs)) {
		switch name {
		case "messages", "tools", "documents", "add_generation_prompt":
			return messages, fmt.Errorf("chat: kwarg %q is a field of Input", name)
		}
		v, err := r.DecodeJSON(in.Kwargs[name])
		if err != nil {
			return messages, fmt.Errorf("chat: kwarg %q: %w", name, err)
		}
		r.Set(name, v)
	}
	if in.ContinueFinal && in.AddGenerationPrompt {
		return messages, fmt.Errorf("%w: it and a new one are asked for", ErrContinue)
	}
	r.Set("add_generation_prompt", jinja.Bool(in.AddGenerationPrompt))
	for _, field := range []struct {
		name     string
		src      json.RawMessage
		required bool
	}{
		{"messages", in.Messages, true},
		{"tools", in.Tools, false},
		{"documents", in.Documents, false},
	} {
		if len(field.src) == 0 && !field.required {
			r.Set(field.name, jinja.None())
			continue
		}
		v, err := r.DecodeJSON(field.src)
		if err != nil {
			return messages, fmt.Errorf("chat: %s: %w", field.name, err)
		}
		if typ := v.Type(); typ != "list" && (field.required || typ != "NoneType") {
			return messages, fmt.Errorf("chat: %s: a JSON array is needed, not %s", field.name, typ)
		}
		r.Set(field.name, v)
		if field.name == "messages" {
			messages = v
		}
	}
	return messages, nil
}
