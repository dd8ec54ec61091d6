package anthropic

import (
	"strings"

	"github.com/hipengine/hipengine/serve/openai"
)

// turns makes messages for chat templates of Anthropic's.
type turns struct {
	list  []openai.Message
	calls map[string]string // names of the functions that were called, by the ids of the calls
}

// readMessages reads the conversation behind the system prompt. If its last message is the assistant's, it goes on.
func (q *Request) readMessages(f openai.Fields, v openai.Value, before []openai.Message) {
	t := &turns{list: before, calls: make(map[string]string)}
	messages := v.List(f.Limits().Messages)
	if len(messages) == 0 {
		v.Fail(openai.CodeValue, "must not be empty")
	}
	role := ""
	for _, e := range messages {
		role = t.message(e.Object())
	}
	if f.Err() != nil {
		return
	}
	if n := len(t.list) - 1; role == "assistant" && len(t.list[n].ToolCalls) == 0 && *t.list[n].Content == "" {
		t.list, role = t.list[:n], "" // nothing to go on with
	}
	if len(t.list) == 0 {
		v.Fail(openai.CodeValue, "must have a text")
	}
	if err := q.SetMessages(t.list); err != nil {
		v.Fail(openai.CodeValue, "%v", err)
	}
	if role != "assistant" {
		return
	}
	last, text := messages[len(messages)-1], t.list[len(t.list)-1].Content
	switch {
	case string(q.Kwargs["enable_thinking"]) == "true":
		last.Fail(openai.CodeValue,
			"an answer that is begun cannot go on with thinking; end with a message of the user")
	case text != nil && strings.TrimRight(*text, " \t\r\n") != *text:
		last.Fail(openai.CodeValue, "the text of an answer that is begun cannot end in white space")
	}
	q.ContinueFinal(last)
}

// message reads one message and returns its role.
func (t *turns) message(f openai.Fields) (role string) {
	if v, ok := f.Need("role"); ok {
		role = v.OneOf("user", "assistant", "system")
	}
	content, ok := f.Need("content")
	if !ok {
		return role
	}
	blocks := []openai.Value{content}
	if !content.IsText() {
		if blocks = content.List(f.Limits().Parts); len(blocks) == 0 && role != "assistant" {
			content.Fail(openai.CodeValue, "must not be empty")
		}
	}
	if role == "assistant" {
		t.assistant(blocks)
	} else {
		t.user(role, blocks)
	}
	f.End()
	return role
}

// user adds a user's message, results of calls first as messages of their own.
func (t *turns) user(role string, blocks []openai.Value) {
	var texts []string
	flush := func() {
		if texts != nil {
			text := strings.Join(texts, "\n")
			t.list = append(t.list, openai.Message{Role: role, Content: &text})
			texts = nil
		}
	}
	for _, b := range blocks {
		if b.IsText() {
			texts = append(texts, b.Text())
			continue
		}
		f := b.Object()
		switch kind(f) {
		case "text":
			texts = append(texts, blockText(f))
		case "tool_result":
			flush()
			t.result(f)
		default:
			refuse(f)
		}
	}
	flush()
}

// assistant adds a message of the assistant.
func (t *turns) assistant(blocks []openai.Value) {
	m := openai.Message{Role: "assistant"}
	var texts, thoughts []string
	for _, b := range blocks {
		if b.IsText() {
			texts = append(texts, b.Text())
			continue
		}
		f := b.Object()
		switch kind(f) {
		case "text":
			texts = append(texts, blockText(f))
		case "thinking":
			thoughts = append(thoughts, f.Text("thinking"))
			f.Ignore("signature", "cache_control")
			f.End()
		case "redacted_thinking": // what nobody can read
			f.Ignore("data", "cache_control")
			f.End()
		case "tool_use":
			m.ToolCalls = append(m.ToolCalls, t.call(f))
		default:
			refuse(f)
		}
	}
	m.ReasoningContent = strings.Join(thoughts, "\n")
	if text := strings.Join(texts, "\n"); text != "" || len(m.ToolCalls) == 0 {
		m.Content = &text
	}
	t.list = append(t.list, m)
}

// kind reads the type of a block.
func kind(f openai.Fields) (kind string) {
	if v, ok := f.Need("type"); ok {
		kind = v.Text()
		if reason := refused[kind]; reason != "" {
			v.Fail(openai.CodeUnsupported, "%s", reason)
		}
	}
	return kind
}

// refused says of blocks that a client may send why they are not taken.
var refused = map[string]string{
	"image":    "images are not offered by this model; it reads text alone",
	"document": "documents are not offered by this model; it reads text alone",
}

// refuse reports a block of a type that has no place.
func refuse(f openai.Fields) {
	f.Fail("type", openai.CodeUnsupported, "blocks of this type are not offered in this role")
}

// blockText reads the rest of a block of text.
func blockText(f openai.Fields) (text string) {
	if v, ok := f.Need("text"); ok {
		text = v.Text()
	}
	f.Ignore("cache_control", "citations")
	f.End()
	return text
}

// call reads the rest of a call.
func (t *turns) call(f openai.Fields) openai.MessageCall {
	c := openai.MessageCall{Type: "function"}
	if v, ok := f.Need("id"); ok {
		c.ID = v.Text()
	}
	if v, ok := f.Need("name"); ok {
		c.Function.Name = v.Text()
	}
	if v, ok := f.Need("input"); ok {
		if c.Function.Arguments = v.Raw(); !v.IsObject() {
			v.Fail(openai.CodeType, "must be an object")
		}
	}
	f.Ignore("cache_control", "caller")
	f.End()
	t.calls[c.ID] = c.Function.Name
	return c
}

// failed stands before the result of a call that went wrong, since templates know no other way to say so.
const failed = "Error: "

// result adds the rest of a call's result as a message of its own.
func (t *turns) result(f openai.Fields) {
	m := openai.Message{Role: "tool", Content: new("")}
	if v, ok := f.Need("tool_use_id"); ok {
		name, called := t.calls[v.Text()]
		if m.ToolCallID, m.Name = v.Text(), name; !called {
			v.Fail(openai.CodeValue, "%s is the id of no tool_use before it", openai.Quoted(v.Text()))
		}
	}
	if v, ok := f.Take("content"); ok {
		m.Content = new(resultText(v))
	}
	if f.Boolean("is_error") {
		m.Content = new(failed + *m.Content)
	}
	f.Ignore("cache_control")
	f.End()
	t.list = append(t.list, m)
}

// resultText reads the content of a result.
func resultText(v openai.Value) string {
	if v.IsText() {
		return v.Text()
	}
	var texts []string
	for _, b := range v.List(v.Limits().Parts) {
		f := b.Object()
		if kind(f) != "text" {
			refuse(f)
			continue
		}
		texts = append(texts, blockText(f))
	}
	return strings.Join(texts, "\n")
}
