package openai

import (
	"encoding/json"
	"strings"
)

// Message is one message as a chat template sees it.
type Message struct {
	Role             string        `json:"role"`
	Content          *string       `json:"content"`
	Name             string        `json:"name,omitempty"`
	ReasoningContent string        `json:"reasoning_content,omitempty"`
	ToolCalls        []MessageCall `json:"tool_calls,omitempty"`
	ToolCallID       string        `json:"tool_call_id,omitempty"`
}

// MessageCall is a call in a message of the assistant. Its type is "function".
type MessageCall struct {
	ID       string          `json:"id,omitempty"`
	Type     string          `json:"type"`
	Function MessageFunction `json:"function"`
}

// MessageFunction is the function of a call, with the object of its arguments.
type MessageFunction struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// messages checks a conversation and returns it in the form for templates.
func (r *reader) messages(param string, raw json.RawMessage) json.RawMessage {
	list := r.elements(param, raw, r.limits.Messages)
	if len(list) == 0 {
		r.fail(param, CodeValue, "must not be empty")
	}
	out := make([]Message, len(list))
	for i, e := range list {
		out[i] = r.message(index(param, i), e)
	}
	if r.err != nil {
		return nil
	}
	text, err := json.Marshal(out)
	if err != nil {
		r.fail(param, CodeInvalidJSON, "%v", err)
	}
	return text
}

func (r *reader) message(param string, raw json.RawMessage) Message {
	f := r.object(param, raw)
	m := Message{Name: f.text("name", 256)}
	if raw := f.need("role"); raw != nil {
		m.Role = r.oneOf(f.path+"role", raw, "system", "developer", "user", "assistant", "tool")
	}
	if raw := f.take("content"); raw != nil {
		m.Content = new(r.content(f.path+"content", raw))
	}
	switch m.Role {
	case "developer":
		m.Role = "system"
	case "assistant":
		m.ReasoningContent = f.text("reasoning_content", int(r.limits.BodyBytes))
		if raw := f.take("tool_calls"); raw != nil {
			m.ToolCalls = r.toolCalls(f.path+"tool_calls", raw)
		}
		// A client may send back a message of a response, where these are empty.
		f.ignore("annotations")
		f.refuse(map[string]string{
			"audio":         "audio is not offered by this server",
			"function_call": "is not offered by this server; use tool_calls",
			"refusal":       "is not offered by this server; use content",
		})
	case "tool":
		if raw := f.need("tool_call_id"); raw != nil {
			m.ToolCallID = r.text(f.path+"tool_call_id", raw, 256)
		}
	}
	if m.Content == nil && len(m.ToolCalls) == 0 {
		r.fail(f.path+"content", CodeMissing, "is required")
	}
	f.end()
	return m
}

// content decodes a string, or an array of text parts, which it joins by newlines.
func (r *reader) content(param string, raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return r.text(param, raw, int(r.limits.BodyBytes))
	case '[':
	default:
		r.wrongType(param, "a string or an array of text parts", raw)
		return ""
	}
	var texts []string
	for i, e := range r.elements(param, raw, r.limits.Parts) {
		p := r.object(index(param, i), e)
		if raw := p.need("type"); raw != nil {
			if t := r.text(p.path+"type", raw, 256); t != "text" {
				r.fail(p.path+"type", CodeUnsupported, "parts of type %s are not offered by this server; use text",
					quote(t))
			}
		}
		if raw := p.need("text"); raw != nil {
			texts = append(texts, r.text(p.path+"text", raw, int(r.limits.BodyBytes)))
		}
		p.end()
	}
	return strings.Join(texts, "\n")
}

func (r *reader) toolCalls(param string, raw json.RawMessage) []MessageCall {
	var calls []MessageCall
	for i, e := range r.elements(param, raw, r.limits.ToolCalls) {
		f := r.object(index(param, i), e)
		c := MessageCall{ID: f.text("id", 256), Type: "function"}
		if raw := f.take("type"); raw != nil {
			r.oneOf(f.path+"type", raw, "function")
		}
		f.ignore("index") // of a stream's deltas; the array has the order
		if raw := f.need("function"); raw != nil {
			fn := r.object(f.path+"function", raw)
			if raw := fn.need("name"); raw != nil {
				c.Function.Name = r.functionName(fn.path+"name", raw)
			}
			if raw := fn.need("arguments"); raw != nil {
				c.Function.Arguments = r.arguments(fn.path+"arguments", raw)
			}
			fn.end()
		}
		f.end()
		calls = append(calls, c)
	}
	return calls
}

// arguments decodes a string that holds a JSON object, and returns the object. An empty string is an empty object.
func (r *reader) arguments(param string, raw json.RawMessage) json.RawMessage {
	text := strings.TrimSpace(r.text(param, raw, int(r.limits.BodyBytes)))
	if r.err != nil {
		return nil
	}
	if text == "" {
		return json.RawMessage("{}")
	}
	if err := checkJSON([]byte(text), r.limits, param); err != nil {
		r.err = err
		return nil
	}
	if text[0] != '{' {
		r.fail(param, CodeType, "must be a string that holds a JSON object, not %s", kind(json.RawMessage(text)))
		return nil
	}
	return json.RawMessage(text)
}
