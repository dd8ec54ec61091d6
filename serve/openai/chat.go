package openai

import (
	"encoding/json"
	"strings"
)

// ChatRequest is the body of POST /v1/chat/completions.
type ChatRequest struct {
	Options

	// Messages is an array of {role, content, name, reasoning_content, tool_calls, tool_call_id} for a chat template.
	// Content is a string or null: text parts are joined by newlines. The arguments of tool calls are objects, as
	// templates expect, not strings as on the wire. Role developer has become system.
	Messages json.RawMessage

	// Tools is the array as it came, or nil if there are none or tool_choice is "none".
	Tools json.RawMessage
	// ToolChoice is what of them must be called.
	ToolChoice ToolChoice
	// OneCall is set if there may be one call at most.
	OneCall bool
	// RawReasoning leaves thoughts in the text of the answer.
	RawReasoning bool

	// Kwargs are further variables for the template.
	Kwargs map[string]json.RawMessage
}

// ToolChoice says what must be called. The zero value leaves it to the model.
type ToolChoice struct {
	Required bool
	Name     string // of the one function that may be called; empty is any
}

// refusedChat are fields that would change the answer and that this server does not offer.
var refusedChat = map[string]string{
	"audio":              "audio output is not offered by this server",
	"function_call":      "is not offered by this server; use tool_choice",
	"functions":          "is not offered by this server; use tools",
	"verbosity":          "is not offered by this server",
	"web_search_options": "web search is not offered by this server",
}

// ParseChat reads a chat request. The error is an *[Error].
func ParseChat(body []byte, l Limits) (*ChatRequest, error) {
	var c ChatRequest
	if err := parse(body, l, func(f fields) { c.read(f) }); err != nil {
		return nil, err
	}
	return &c, nil
}

func (c *ChatRequest) read(f fields) {
	r := f.r
	c.Options = f.options()
	if raw := f.need("messages"); raw != nil {
		c.Messages = r.messages("messages", raw)
	}
	c.MaxTokens = f.maxTokens("max_completion_tokens")
	if n := f.maxTokens("max_tokens"); n != 0 {
		if c.MaxTokens != 0 && c.MaxTokens != n {
			r.fail("max_tokens", CodeValue, "is another name of max_completion_tokens, which has another value")
		}
		c.MaxTokens = n
	}
	c.Logprobs = f.boolean("logprobs")
	if n := f.integer("top_logprobs", 0, int64(r.limits.TopLogprobs)); n != nil {
		if c.TopLogprobs = *n; !c.Logprobs {
			r.fail("top_logprobs", CodeValue, "is only allowed when logprobs is true")
		}
	}
	if raw := f.take("tools"); raw != nil {
		c.Tools = r.tools("tools", raw)
	}
	if raw := f.take("tool_choice"); raw != nil {
		c.readToolChoice(r, "tool_choice", raw)
	}
	if raw := f.take("parallel_tool_calls"); raw != nil {
		if kind(raw) != "a boolean" {
			r.wrongType("parallel_tool_calls", "a boolean", raw)
		}
		c.OneCall = raw[0] == 'f'
	}
	if raw := f.take("reasoning_format"); raw != nil {
		c.RawReasoning = r.oneOf("reasoning_format", raw, "auto", "deepseek", "none") == "none"
	}
	c.Kwargs = f.kwargs()
	f.textOnly()
	f.refuse(refusedChat)
}

// textOnly accepts modalities if they ask for text.
func (f fields) textOnly() {
	r := f.r
	if raw := f.take("modalities"); raw != nil {
		for i, e := range r.elements("modalities", raw, 16) {
			if m := r.text(index("modalities", i), e, 256); m != "text" {
				r.fail(index("modalities", i), CodeUnsupported, "%s is not offered by this server; use text", quote(m))
			}
		}
	}
}

// kwargs reads the variables for the template. Only known names are let through: a template is a program, and what
// reaches it is part of the interface.
func (f fields) kwargs() map[string]json.RawMessage {
	r := f.r
	kwargs := make(map[string]json.RawMessage)
	if raw := f.take("reasoning_effort"); raw != nil {
		r.effort("reasoning_effort", raw)
		kwargs["reasoning_effort"] = raw
	}
	raw := f.take("chat_template_kwargs")
	if raw == nil {
		return kwargs
	}
	k := r.object("chat_template_kwargs", raw)
	for _, name := range []string{"enable_thinking", "thinking", "preserve_thinking", "clear_thinking", "drop_thinking", "tools_in_user_message"} {
		if raw := k.take(name); raw != nil {
			if kwargs[name] = raw; kind(raw) != "a boolean" {
				r.wrongType(k.path+name, "a boolean", raw)
			}
		}
	}
	if raw := k.take("thinking_budget"); raw != nil {
		r.integer(k.path+"thinking_budget", raw, -1, int64(r.limits.MaxTokens))
		kwargs["thinking_budget"] = raw
	}
	if raw := k.take("reasoning_effort"); raw != nil {
		r.effort(k.path+"reasoning_effort", raw)
		if old := kwargs["reasoning_effort"]; old != nil && string(old) != string(raw) {
			r.fail(k.path+"reasoning_effort", CodeValue, "differs from reasoning_effort")
		}
		kwargs["reasoning_effort"] = raw
	}
	k.end()
	return kwargs
}

// Thinks reports whether the request asks for thoughts.
func (c *ChatRequest) Thinks() bool {
	effort := string(c.Kwargs["reasoning_effort"])
	return string(c.Kwargs["enable_thinking"]) == "true" || string(c.Kwargs["thinking"]) == "true" || effort != "" && effort != `"none"`
}

// effort checks a level of reasoning effort.
func (r *reader) effort(param string, raw json.RawMessage) {
	r.oneOf(param, raw, "none", "minimal", "low", "medium", "high", "xhigh", "max")
}

// readToolChoice reads "auto", "none", "required", or an object that names a function.
func (c *ChatRequest) readToolChoice(r *reader, param string, raw json.RawMessage) {
	switch raw[0] {
	case '"':
		switch r.oneOf(param, raw, "auto", "none", "required", "any") {
		case "none":
			c.Tools = nil
			return
		case "required", "any":
			c.ToolChoice.Required = true
		}
	case '{':
		f := r.object(param, raw)
		switch kind := f.need("type"); {
		case kind == nil:
		case r.oneOf(f.path+"type", kind, "function", "any", "auto", "none") == "function":
			if raw := f.need("function"); raw != nil {
				fn := r.object(f.path+"function", raw)
				if raw := fn.need("name"); raw != nil {
					c.ToolChoice = ToolChoice{Required: true, Name: r.functionName(fn.path+"name", raw)}
				}
				fn.end()
			}
		case string(kind) == `"any"`:
			c.ToolChoice.Required = true
		case string(kind) == `"none"`:
			c.Tools = nil
		}
		f.end()
	default:
		r.wrongType(param, "a string or an object", raw)
	}
	if c.ToolChoice.Required && c.Tools == nil {
		r.fail(param, CodeValue, "asks for a call, and there are no tools")
	}
}

// tools checks a list of functions and returns it as it came, because the order of a schema's keys matters to
// templates; nil if it is empty.
func (r *reader) tools(param string, raw json.RawMessage) json.RawMessage {
	list := r.elements(param, raw, r.limits.Tools)
	for i, e := range list {
		t := r.object(index(param, i), e)
		if raw := t.need("type"); raw != nil {
			if typ := r.text(t.path+"type", raw, 256); typ != "function" {
				r.fail(t.path+"type", CodeUnsupported, "%s is not offered by this server; use function", quote(typ))
			}
		}
		if raw := t.need("function"); raw != nil {
			r.function(t.path+"function", raw)
		}
		t.end()
	}
	if len(list) == 0 {
		return nil
	}
	return raw
}

// function checks the declaration of a function.
func (r *reader) function(param string, raw json.RawMessage) {
	f := r.object(param, raw)
	if raw := f.need("name"); raw != nil {
		r.functionName(f.path+"name", raw)
	}
	f.text("description", int(r.limits.BodyBytes))
	if raw := f.take("parameters"); raw != nil && raw[0] != '{' {
		r.wrongType(f.path+"parameters", "an object", raw)
	}
	f.boolean("strict") // what it asks for is done as far as the schema allows; with it, one that does not is an error
	f.end()
}

// functionName decodes the name of a function: letters, digits and the characters "_", "-" and ".".
func (r *reader) functionName(param string, raw json.RawMessage) string {
	name := r.text(param, raw, 128)
	bad := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if name == "" || strings.ContainsFunc(name, bad) {
		r.fail(param, CodeValue, "must be of letters, digits, _, - and ., not %s", quote(name))
	}
	return name
}
