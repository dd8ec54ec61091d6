package toolcall

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/text/grammar"
)

// Tool is a function that a model may call.
type Tool struct {
	Name   string
	Schema json.RawMessage // of the arguments; empty is that of a function without any
	Strict bool            // a schema that cannot be enforced is an error

	// Input is what the one argument of a tool that takes free text must be; nil is any, or a tool of another kind.
	Input *grammar.Spec
}

// InputName is the argument of tools that take free text.
const InputName = "input"

// Tools are the functions of a request.
type Tools struct {
	list  []Tool
	kinds map[string]map[string]valueKind // by function and parameter
}

// ParseTools reads a JSON array of tools in the form of OpenAI's chat completions.
func ParseTools(raw []byte) (*Tools, error) {
	var list []struct {
		Function struct {
			Name       string          `json:"name"`
			Parameters json.RawMessage `json:"parameters"`
			Strict     bool            `json:"strict"`
		} `json:"function"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("toolcall: tools: %w", err)
	}
	t := &Tools{kinds: map[string]map[string]valueKind{}}
	for _, l := range list {
		t.list = append(t.list, Tool{Name: l.Function.Name, Schema: l.Function.Parameters, Strict: l.Function.Strict})
		t.kinds[l.Function.Name] = kindsOf(l.Function.Parameters)
	}
	return t, nil
}

// List returns the tools in a new slice.
func (t *Tools) List() []Tool { return slices.Clone(t.list) }

// Select returns the tools of these names.
func (t *Tools) Select(names ...string) *Tools {
	s := &Tools{kinds: t.kinds}
	for _, x := range t.list {
		if slices.Contains(names, x.Name) {
			s.list = append(s.list, x)
		}
	}
	return s
}

// Hold holds the argument [InputName] of a tool to a grammar.
func (t *Tools) Hold(name string, input grammar.Spec) {
	for i := range t.list {
		if t.list[i].Name == name {
			t.list[i].Input, t.list[i].Strict = &input, true
		}
	}
}

// Has reports whether there is a tool of this name.
func (t *Tools) Has(name string) bool {
	return slices.ContainsFunc(t.list, func(x Tool) bool { return x.Name == name })
}

// valueKind says how the text of a parameter is read where it does not say so itself.
type valueKind uint8

const (
	autoValue valueKind = iota // JSON if it is that, else a string
	textValue                  // a string as it is
	jsonValue                  // JSON
)

// kindsOf returns the kinds of the parameters of a schema.
func kindsOf(schema json.RawMessage) map[string]valueKind {
	var s struct {
		Properties map[string]struct {
			Type json.RawMessage   `json:"type"`
			Enum []json.RawMessage `json:"enum"`
		} `json:"properties"`
	}
	kinds := map[string]valueKind{}
	if len(schema) == 0 || json.Unmarshal(schema, &s) != nil {
		return kinds
	}
	for name, p := range s.Properties {
		var one string
		var many []string
		switch {
		case json.Unmarshal(p.Type, &one) == nil && one == "string":
			kinds[name] = textValue
		case json.Unmarshal(p.Type, &one) == nil && one != "":
			kinds[name] = jsonValue
		case json.Unmarshal(p.Type, &many) == nil && len(many) > 0 && !slices.Contains(many, "string"):
			kinds[name] = jsonValue
		case p.Type == nil && len(p.Enum) > 0 &&
			!slices.ContainsFunc(p.Enum, func(e json.RawMessage) bool { return e[0] != '"' }):
			kinds[name] = textValue
		}
	}
	return kinds
}

// kind returns how a parameter's text is read.
func (t *Tools) kind(function, parameter string) valueKind {
	if t == nil {
		return autoValue
	}
	return t.kinds[function][parameter]
}

// schema returns the tool's schema, with which arguments are always an object.
func (t Tool) schema() []byte {
	switch string(t.Schema) {
	case "", "null":
		return []byte(`{"type":"object","properties":{}}`)
	case "{}":
		return []byte(`{"type":"object"}`)
	}
	return t.Schema
}

// arguments writes the tool's arguments as JSON. A schema that cannot be enforced and is not strict leaves any object.
func (t Tool) arguments(b *grammar.Builder) (grammar.Part, error) {
	if t.Input != nil {
		text, err := b.Quoted(*t.Input)
		if err != nil {
			return text, fmt.Errorf("toolcall: tool %q: %w", t.Name, err)
		}
		return b.Seq(b.Literal("{"+quote(InputName)+": "), text, b.Literal("}")), nil
	}
	p, err := b.Schema(t.schema())
	if err != nil && !t.Strict {
		return b.Object()
	}
	if err != nil {
		return p, fmt.Errorf("toolcall: tool %q: %w", t.Name, err)
	}
	return p, nil
}

// list returns the tool's arguments for forms that are not JSON. shut ends a value.
func (t Tool) list(b *grammar.Builder, shut string) ([]grammar.Member, error) {
	if t.Input == nil {
		return b.Members(t.schema(), shut)
	}
	text, err := b.Spec(*t.Input)
	return []grammar.Member{{Name: InputName, Required: true, IsText: true, Text: text}}, err
}
