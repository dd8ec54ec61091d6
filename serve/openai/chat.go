package openai

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// ChatRequest is the body of POST /v1/chat/completions. Requests of other dialects become one.
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
	Verbose      bool // answer with the first choice as /completion has it, too

	// Continue is set if the last message is the assistant's and goes on; the answer is what comes then.
	Continue bool
	// Inputs are the grammars of tools that take free text, by their names.
	Inputs map[string]grammar.Spec

	// Kwargs are further variables for the template.
	Kwargs map[string]json.RawMessage
}

// ToolChoice says what must be called. The zero value leaves it to the model.
type ToolChoice struct {
	Required bool
	Names    []string // of the functions that may be called; nil is any
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
	c.MaxTokens = f.budget()
	c.Logprobs = f.boolean("logprobs")
	if n := f.integer("top_logprobs", 0, int64(r.limits.TopLogprobs)); n != nil {
		if c.TopLogprobs = *n; !c.Logprobs {
			r.fail("top_logprobs", CodeValue, "is only allowed when logprobs is true")
		}
	}
	var tools []string
	if raw := f.take("tools"); raw != nil {
		c.Tools, tools = r.tools("tools", raw)
	}
	if raw := f.take("tool_choice"); raw != nil {
		c.readToolChoice(r, "tool_choice", raw, tools)
	}
	if parallel := f.optional("parallel_tool_calls"); parallel != nil {
		c.OneCall = !*parallel
	}
	if raw := f.take("reasoning_format"); raw != nil {
		c.RawReasoning = r.oneOf("reasoning_format", raw, "auto", "deepseek", "none") == "none"
	}
	c.Kwargs = f.kwargs()
	f.documents(c.Kwargs)
	c.readThinking(f)
	c.readContinue(f)
	c.Verbose = f.boolean("verbose")
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
	for _, name := range []string{"enable_thinking", "thinking", "preserve_thinking", "clear_thinking",
		"drop_thinking", "tools_in_user_message"} {
		if raw := k.take(name); raw != nil {
			if kwargs[name] = raw; kind(raw) != "a boolean" {
				r.wrongType(k.path+name, "a boolean", raw)
			}
		}
	}
	k.documents(kwargs)
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

// documents reads the documents of a request, which stand beside the messages, as vLLM has them, or in the variables.
func (f fields) documents(kwargs map[string]json.RawMessage) {
	raw := f.take("documents")
	if raw == nil {
		return
	}
	path := f.path + "documents"
	for i, e := range f.r.elements(path, raw, f.r.limits.Members) {
		if kind(e) != "an object" {
			f.r.wrongType(index(path, i), "an object", e)
		}
	}
	if kwargs["documents"] != nil {
		f.r.fail(path, CodeValue, "is given twice; give documents alone")
	}
	kwargs["documents"] = raw
}

// Thinks reports whether the request asks for thoughts.
func (c *ChatRequest) Thinks() bool {
	effort, on := string(c.Kwargs["reasoning_effort"]), string(c.Kwargs["enable_thinking"])
	return on == "true" || string(c.Kwargs["thinking"]) == "true" || on != "false" && effort != "" &&
		effort != `"none"`
}

// effort checks a level of reasoning effort.
func (r *reader) effort(param string, raw json.RawMessage) {
	r.oneOf(param, raw, "none", "minimal", "low", "medium", "high", "xhigh", "max")
}

// readContinue reads whether the last message goes on.
func (c *ChatRequest) readContinue(f fields) {
	goesOn, starts := f.boolean("continue_final_message"), f.optional("add_generation_prompt")
	if starts != nil {
		c.Kwargs["add_generation_prompt"] = json.RawMessage(strconv.FormatBool(*starts))
	}
	if !goesOn {
		return
	}
	if starts != nil && *starts {
		f.r.fail("add_generation_prompt", CodeValue, "is not allowed with continue_final_message")
	}
	if f.r.err == nil {
		c.continueFinal(f.r, "continue_final_message")
	}
}

// continueFinal makes the answer go on with the last message, as param asks.
func (c *ChatRequest) continueFinal(r *reader, param string) {
	var list []Message
	r.unmarshal("messages", c.Messages, &list)
	if len(list) == 0 {
		return
	}
	last := list[len(list)-1]
	switch {
	case last.Role != "assistant" || last.Content == nil || *last.Content == "" || len(last.ToolCalls) > 0:
		r.fail(param, CodeValue, "the last message must be the assistant's, with text and without calls")
	case c.Form != nil:
		r.fail(param, CodeValue, "is not allowed with %s, which speaks of a whole answer", c.Form.Param)
	case c.ToolChoice.Required:
		r.fail(param, CodeValue, "is not allowed with a tool_choice that asks for a call")
	}
	c.Continue = true
	c.Kwargs["continue_final_message"] = json.RawMessage("true")
	c.Kwargs["add_generation_prompt"] = json.RawMessage("false")
}

// Prefill lets the answer go on with the last message if that is the assistant's text, as llama.cpp's server has it,
// unless the request says where the prompt ends. Two such messages are an *[Error].
func (c *ChatRequest) Prefill() error {
	r := &reader{limits: DefaultLimits()}
	var list []Message
	r.unmarshal("messages", c.Messages, &list)
	text := func(i int) bool {
		return i >= 0 && list[i].Role == "assistant" && len(list[i].ToolCalls) == 0 &&
			list[i].Content != nil && *list[i].Content != ""
	}
	last := len(list) - 1
	if !text(last) || c.Kwargs["add_generation_prompt"] != nil || c.Form != nil || c.ToolChoice.Required {
		return nil
	}
	if text(last - 1) {
		r.fail("messages", CodeValue, "must not end with two messages of the assistant, of which the last goes on")
	} else {
		c.continueFinal(r, "messages")
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// readToolChoice reads "auto", "none", "required", or an object that names one of the tools or lists several.
func (c *ChatRequest) readToolChoice(r *reader, param string, raw json.RawMessage, tools []string) {
	switch raw[0] {
	case '"':
		c.chooseMode(r.oneOf(param, raw, "auto", "none", "required", "any"))
	case '{':
		f := r.object(param, raw)
		kind := f.need("type")
		if kind == nil {
			return
		}
		switch t := r.oneOf(f.path+"type", kind, "function", "allowed_tools", "any", "auto", "none"); t {
		case "function":
			c.ToolChoice = ToolChoice{Required: true, Names: r.chosen(f, tools)}
		case "allowed_tools":
			if raw := f.need("allowed_tools"); raw != nil {
				a := r.object(f.path+"allowed_tools", raw)
				c.chooseAllowed(a, func(tool fields) []string {
					if raw := tool.need("type"); raw != nil {
						r.oneOf(tool.path+"type", raw, "function")
					}
					return r.chosen(tool, tools)
				})
				a.end()
			}
		default:
			c.chooseMode(t)
		}
		f.end()
	default:
		r.wrongType(param, "a string or an object", raw)
	}
	if (c.ToolChoice.Required || c.ToolChoice.Names != nil) && c.Tools == nil {
		r.fail(param, CodeValue, "asks for a call, and there are no tools")
	}
}

// chooseMode takes a tool choice that names no tool.
func (c *ChatRequest) chooseMode(mode string) {
	switch mode {
	case "none":
		c.Tools = nil
	case "required", "any":
		c.ToolChoice.Required = true
	}
}

// chooseAllowed reads a mode and a list of tools, each of which name reads. All tools stay in the prompt.
func (c *ChatRequest) chooseAllowed(f fields, name func(tool fields) []string) {
	r := f.r
	if raw := f.need("mode"); raw != nil {
		c.ToolChoice.Required = r.oneOf(f.path+"mode", raw, "auto", "required") == "required"
	}
	raw := f.need("tools")
	if raw == nil {
		return
	}
	list := r.elements(f.path+"tools", raw, r.limits.Tools)
	if len(list) == 0 {
		r.fail(f.path+"tools", CodeValue, "must not be empty")
	}
	for i, e := range list {
		tool := r.object(index(f.path+"tools", i), e)
		c.ToolChoice.Names = append(c.ToolChoice.Names, name(tool)...)
		tool.end()
	}
}

// chosen reads the function of a choice, which must be one of the tools.
func (r *reader) chosen(f fields, tools []string) []string {
	raw := f.need("function")
	if raw == nil {
		return nil
	}
	fn := r.object(f.path+"function", raw)
	defer fn.end()
	if raw := fn.need("name"); raw != nil {
		return []string{r.nameOf(fn.path+"name", raw, tools)}
	}
	return nil
}

// nameOf reads the name of one of the tools.
func (r *reader) nameOf(param string, raw json.RawMessage, tools []string) string {
	name := r.functionName(param, raw)
	if len(tools) > 0 && !slices.Contains(tools, name) {
		r.fail(param, CodeValue, "%s is none of the tools", quote(name))
	}
	return name
}

// tools checks a list of functions and returns it as it came, because the order of a schema's keys matters to
// templates, and the functions' names; nil if it is empty.
func (r *reader) tools(param string, raw json.RawMessage) (json.RawMessage, []string) {
	list := r.elements(param, raw, r.limits.Tools)
	var names []string
	for i, e := range list {
		t := r.object(index(param, i), e)
		if raw := t.need("type"); raw != nil {
			if typ := r.text(t.path+"type", raw, 256); typ != "function" {
				r.fail(t.path+"type", CodeUnsupported, "%s is not offered by this server; use function", quote(typ))
			}
		}
		if raw := t.need("function"); raw != nil {
			names = append(names, r.function(r.object(t.path+"function", raw), "parameters").Name)
		}
		t.end()
	}
	if len(list) == 0 {
		return nil, nil
	}
	return raw, names
}

// function reads the declaration of a function, whose schema has a name of its own in each dialect.
func (r *reader) function(f fields, schema string) (fn ToolFunction) {
	if raw := f.need("name"); raw != nil {
		fn.Name = r.functionName(f.path+"name", raw)
	}
	fn.Description = f.text("description", int(r.limits.BodyBytes))
	if fn.Parameters = f.take(schema); fn.Parameters != nil && fn.Parameters[0] != '{' {
		r.wrongType(f.path+schema, "an object", fn.Parameters)
	}
	// A schema is enforced anyway as far as it can be; with strict, one that cannot be is an error.
	fn.Strict = f.boolean("strict")
	f.end()
	return fn
}

// functionName decodes the name of a function: letters, digits and the characters "_", "-" and ".".
func (r *reader) functionName(param string, raw json.RawMessage) string {
	name := r.text(param, raw, 128)
	bad := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' ||
			c == '.')
	}
	if name == "" || strings.ContainsFunc(name, bad) {
		r.fail(param, CodeValue, "must be of letters, digits, _, - and ., not %s", quote(name))
	}
	return name
}
