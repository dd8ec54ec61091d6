package openai

import (
	"crypto/rand"
	"encoding/json"
	"slices"
)

// HostedItems are the types of items of tools that OpenAI's servers run. They are left out of the conversation.
var HostedItems = []string{
	"web_search_call", "file_search_call", "image_generation_call", "code_interpreter_call", "computer_call",
	"computer_call_output", "local_shell_call", "local_shell_call_output", "mcp_list_tools", "mcp_approval_request",
	"mcp_approval_response", "mcp_call", "tool_search_call", "tool_search_output",
}

// input reads the input of a response: a text of the user, or items.
func (r *reader) input(param string, raw json.RawMessage) []ResponseItem {
	if raw[0] == '"' {
		return []ResponseItem{&MessageItem{ID: "msg_" + rand.Text(), Type: ItemMessage, Status: StatusCompleted,
			Role:    "user",
			Content: []*Part{{Type: PartInputText, Text: r.text(param, raw, int(r.limits.BodyBytes))}}}}
	}
	if raw[0] != '[' {
		r.wrongType(param, "a string or an array of items", raw)
		return nil
	}
	var list []ResponseItem
	for i, e := range r.elements(param, raw, r.limits.Messages) {
		if item := r.item(r.object(index(param, i), e)); item != nil {
			list = append(list, item)
		}
	}
	return list
}

// item reads an item; nil if it is left out.
func (r *reader) item(f fields) ResponseItem {
	if r.err != nil {
		return nil
	}
	kind := ItemMessage
	if raw := f.take("type"); raw != nil {
		kind = r.text(f.path+"type", raw, 256)
	}
	if slices.Contains(HostedItems, kind) {
		return nil
	}
	id := func(prefix string) string {
		if id := f.text("id", 256); id != "" {
			return id
		}
		return prefix + rand.Text()
	}
	word := func(name string) (s string) {
		if raw := f.need(name); raw != nil {
			s = r.text(f.path+name, raw, 256)
		}
		return s
	}
	text := func(name string) (s string) {
		if raw := f.need(name); raw != nil {
			s = r.text(f.path+name, raw, int(r.limits.BodyBytes))
		}
		return s
	}
	defer f.end()
	f.ignore("status")
	switch kind {
	case ItemMessage:
		m := &MessageItem{ID: id("msg_"), Type: kind, Status: StatusCompleted}
		if raw := f.need("role"); raw != nil {
			m.Role = r.oneOf(f.path+"role", raw, "user", "assistant", "system", "developer")
		}
		if raw := f.need("content"); raw != nil {
			m.Content = r.parts(f.path+"content", raw, m.Role)
		}
		f.ignore("phase")
		return m
	case ItemReasoning:
		m := &ReasoningItem{ID: id("rs_"), Type: kind, Summary: []*Part{}}
		if raw := f.take("summary"); raw != nil {
			m.Summary = append(m.Summary, r.texts(f.path+"summary", raw, PartSummaryText)...)
		}
		if raw := f.take("content"); raw != nil {
			m.Content = r.texts(f.path+"content", raw, PartReasoningText)
		}
		if raw := f.take("encrypted_content"); raw != nil {
			m.param = f.path + "encrypted_content"
			m.EncryptedContent = new(r.text(m.param, raw, int(r.limits.BodyBytes)))
		}
		return m
	case ItemFunctionCall:
		c := &FunctionCallItem{ID: id("fc_"), Type: kind, Status: StatusCompleted, CallID: word("call_id"),
			Name: word("name"), Namespace: f.text("namespace", 256)}
		if raw := f.need("arguments"); raw != nil {
			c.Arguments = string(r.arguments(f.path+"arguments", raw))
		}
		return c
	case ItemFunctionOutput:
		return &FunctionOutputItem{ID: id("fco_"), Type: kind, Status: StatusCompleted, CallID: word("call_id"),
			Output: r.output(f)}
	case ItemCustomCall:
		return &CustomCallItem{ID: id("ctc_"), Type: kind, Status: StatusCompleted, CallID: word("call_id"),
			Name: word("name"), Namespace: f.text("namespace", 256), Input: text("input")}
	case ItemCustomOutput:
		f.ignore("name")
		return &CustomOutputItem{ID: id("cto_"), Type: kind, Status: StatusCompleted, CallID: word("call_id"),
			Output: r.output(f)}
	case ItemReference:
		return &ReferenceItem{ID: word("id"), Type: kind}
	}
	r.fail(f.path+"type", CodeUnsupported, "items of type %s are not offered by this server", quote(kind))
	return nil
}

// output reads what a tool returned, which is joined by newlines if it comes in parts.
func (r *reader) output(f fields) string {
	raw := f.need("output")
	switch {
	case raw == nil:
		return ""
	case raw[0] == '"':
		return r.text(f.path+"output", raw, int(r.limits.BodyBytes))
	}
	return textOf(r.parts(f.path+"output", raw, "user"))
}

// parts reads the content of a message, which is a text or text parts.
func (r *reader) parts(param string, raw json.RawMessage, role string) []*Part {
	kind := PartInputText
	if role == "assistant" {
		kind = PartOutputText
	}
	newPart := func(text string) *Part {
		p := &Part{Type: kind}
		if role == "assistant" {
			p = NewOutputText()
		}
		p.Text = text
		return p
	}
	if raw[0] == '"' {
		return []*Part{newPart(r.text(param, raw, int(r.limits.BodyBytes)))}
	}
	var list []*Part
	for _, p := range r.texts(param, raw, PartInputText, PartOutputText, "text", "refusal") {
		list = append(list, newPart(p.Text))
	}
	return list
}

// texts reads parts that are texts of the given types.
func (r *reader) texts(param string, raw json.RawMessage, kinds ...string) []*Part {
	var list []*Part
	for i, e := range r.elements(param, raw, r.limits.Parts) {
		f := r.object(index(param, i), e)
		p := &Part{}
		if raw := f.need("type"); raw != nil {
			if p.Type = r.text(f.path+"type", raw, 256); !slices.Contains(kinds, p.Type) {
				r.fail(f.path+"type", CodeUnsupported, "parts of type %s are not offered here; use %s", quote(p.Type),
					kinds[0])
			}
		}
		name := "text"
		if p.Type == "refusal" {
			name = p.Type
		}
		if raw := f.need(name); raw != nil {
			p.Text = r.text(f.path+name, raw, int(r.limits.BodyBytes))
		}
		f.ignore("annotations", "logprobs")
		f.end()
		list = append(list, p)
	}
	return list
}
