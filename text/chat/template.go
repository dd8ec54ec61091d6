package chat

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
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

// Template is a parsed chat template. It does not change: any number of goroutines may render it at the same time.
type Template struct {
	body   []stmt
	names  []string // by symbol
	limits Limits
}

// Parse compiles a template with the default limits. An error names line, column and what was expected there.
func Parse(src string) (*Template, error) {
	return ParseLimits(src, Limits{})
}

// ParseLimits is Parse with limits of the caller's choice, which hold for parsing and for every rendering.
func ParseLimits(src string, limits Limits) (*Template, error) {
	limits = limits.withDefaults()
	if len(src) > limits.MaxSource {
		return nil, fmt.Errorf("chat: parse: source of %d bytes: %w", len(src),
			&LimitError{Limit: "source", Max: limits.MaxSource})
	}
	body, names, err := parse(src, limits.MaxDepth)
	if err != nil {
		return nil, err
	}
	return &Template{body: body, names: names, limits: limits}, nil
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
	// BOS and EOS are the texts of the special tokens bos_token and eos_token.
	BOS, EOS string
	// Now is the local time of strftime_now; zero means the time of rendering.
	Now time.Time
	// Kwargs are further variables by name, such as enable_thinking.
	Kwargs map[string]json.RawMessage
}

// Render returns the prompt for in. Errors name the place in the template; errors.As finds a [RaisedError] if
// the template refused the conversation and a [LimitError] if it ran into a limit.
func (t *Template) Render(in Input) (string, error) {
	if in.Now.IsZero() {
		in.Now = time.Now()
	}
	text, decoded, err := t.render(in, true)
	if err != nil && decoded && canRetry(err) {
		// The template may want the arguments as the client spelled them. If it does not, the first error is the
		// telling one.
		if second, _, secondErr := t.render(in, false); secondErr == nil {
			return second, nil
		}
	}
	return text, err
}

// render renders once. With decode, string arguments of tool calls become objects; decoded reports if there were any.
func (t *Template) render(input Input, decode bool) (text string, decoded bool, err error) {
	in := &interp{
		limits: t.limits,
		steps:  t.limits.MaxSteps,
		memory: t.limits.MaxMemory,
		now:    input.Now,
		out:    &buffer{},
		scope:  &scope{slots: make([]value, len(t.names))},
	}
	vars, err := in.variables(input)
	if err != nil {
		return "", false, err
	}
	if decode {
		if decoded, err = in.decodeArguments(vars["messages"]); err != nil {
			return "", false, fmt.Errorf("chat: messages: %w", err)
		}
	}
	for sym, name := range t.names {
		if v, ok := vars[name]; ok {
			in.scope.slots[sym] = v
		} else if fn, ok := globals[name]; ok {
			in.scope.slots[sym] = fn
		}
	}
	if _, err := in.run(t.body); err != nil {
		return "", decoded, located(err, position{1, 1})
	}
	return in.out.b.String(), decoded, nil
}

// variables decodes the input into the template's variables.
func (in *interp) variables(input Input) (map[string]value, error) {
	vars := map[string]value{
		"bos_token": input.BOS,
		"eos_token": input.EOS,
	}
	for _, name := range slices.Sorted(maps.Keys(input.Kwargs)) {
		switch name {
		case "messages", "tools", "documents", "add_generation_prompt":
			return nil, fmt.Errorf("chat: kwarg %q is a field of Input", name)
		}
		v, err := in.decodeJSON(input.Kwargs[name])
		if err != nil {
			return nil, fmt.Errorf("chat: kwarg %q: %w", name, err)
		}
		vars[name] = v
	}
	vars["add_generation_prompt"] = input.AddGenerationPrompt
	for _, field := range []struct {
		name     string
		src      json.RawMessage
		required bool
	}{
		{"messages", input.Messages, true},
		{"tools", input.Tools, false},
		{"documents", input.Documents, false},
	} {
		if len(field.src) == 0 && !field.required {
			vars[field.name] = none{}
			continue
		}
		v, err := in.decodeJSON(field.src)
		if err != nil {
			return nil, fmt.Errorf("chat: %s: %w", field.name, err)
		}
		_, isNone := v.(none)
		if _, isList := v.(*list); !isList && (field.required || !isNone) {
			return nil, fmt.Errorf("chat: %s: a JSON array is needed, not %s", field.name, typeName(v))
		}
		vars[field.name] = v
	}
	return vars, nil
}
