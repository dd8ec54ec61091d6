package ollama

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/hipengine/hipengine/serve/openai"
)

// turns makes messages for chat templates of Ollama's. Calls get ids, by which templates find their results.
type turns struct {
	list []openai.Message
	open []openai.MessageCall // calls without a result so far
	next int
}

// message reads one message.
func (t *turns) message(f openai.Fields) {
	m := openai.Message{}
	if v, ok := f.Need("role"); ok {
		m.Role = v.OneOf("system", "user", "assistant", "tool")
	}
	content, given := f.Take("content")
	if given {
		m.Content = new(content.Text())
	}
	refuseImages(f)
	switch m.Role {
	case "assistant":
		m.ReasoningContent = f.Text("thinking")
		if v, ok := f.Take("tool_calls"); ok {
			for _, e := range v.List(f.Limits().ToolCalls) {
				m.ToolCalls = append(m.ToolCalls, t.call(e.Object()))
			}
		}
		t.open = append(t.open, m.ToolCalls...)
	case "tool":
		m.Name = f.Word("tool_name")
		m.ToolCallID = t.answered(m.Name, f.Word("tool_call_id"))
	}
	if m.Content == nil && len(m.ToolCalls) == 0 {
		if m.Role != "assistant" || m.ReasoningContent == "" {
			f.Fail("content", openai.CodeMissing, "is required")
		}
		m.Content = new("")
	}
	f.End()
	t.list = append(t.list, m)
}

// call reads a call, whose arguments are an object.
func (t *turns) call(f openai.Fields) openai.MessageCall {
	c := openai.MessageCall{ID: f.Word("id"), Type: "function"}
	if v, ok := f.Take("type"); ok {
		v.OneOf("function")
	}
	if c.ID == "" {
		t.next++
		c.ID = "call_" + strconv.Itoa(t.next)
	}
	if v, ok := f.Need("function"); ok {
		fn := v.Object()
		fn.Ignore("index") // the list has the order
		if name, ok := fn.Need("name"); ok {
			c.Function.Name = name.FunctionName()
		}
		c.Function.Arguments = json.RawMessage("{}")
		if args, ok := fn.Take("arguments"); ok {
			if !args.IsObject() {
				args.Fail(openai.CodeType, "must be an object")
			}
			c.Function.Arguments = args.Raw()
		}
		fn.End()
	}
	f.End()
	return c
}

// answered returns the id of the call that a result belongs to: the given one, or that of the oldest open call of the
// function, or of any if it is not named.
func (t *turns) answered(name, id string) string {
	i := slices.IndexFunc(t.open, func(c openai.MessageCall) bool {
		if id != "" {
			return c.ID == id
		}
		return name == "" || c.Function.Name == name
	})
	if i < 0 {
		return id
	}
	id = t.open[i].ID
	t.open = slices.Delete(slices.Clone(t.open), i, i+1)
	return id
}
