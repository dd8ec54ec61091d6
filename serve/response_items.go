package serve

import (
	"crypto/rand"
	"encoding/json"

	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/toolcall"
)

// messageItem is a message that grows.
type messageItem struct {
	message *openai.MessageItem
	part    *openai.Part
}

func newMessageItem() *messageItem {
	return &messageItem{&openai.MessageItem{ID: "msg_" + rand.Text(), Type: openai.ItemMessage,
		Status: openai.StatusInProgress, Role: "assistant", Content: []*openai.Part{}}, openai.NewOutputText()}
}

func (m *messageItem) item() openai.ResponseItem { return m.message }

// event sends an event about the text.
func (m *messageItem) event(b *responseBuilder, kind string, e openai.ResponseEvent) {
	e.ItemID, e.ContentIndex = m.message.ID, new(0)
	b.event(kind, e)
}

func (m *messageItem) begin(b *responseBuilder) {
	b.event(openai.EventItemAdded, openai.ResponseEvent{Item: m.message})
	m.event(b, openai.EventPartAdded, openai.ResponseEvent{Part: m.part})
	m.message.Content = append(m.message.Content, m.part)
}

func (m *messageItem) grow(b *responseBuilder, text string) {
	m.part.Text += text
	logprobs := b.ready()
	*m.part.Logprobs = append(*m.part.Logprobs, logprobs...)
	m.event(b, openai.EventTextDelta, openai.ResponseEvent{Delta: &text, Logprobs: &logprobs})
}

func (m *messageItem) end(b *responseBuilder, status string) {
	*m.part.Logprobs = append(*m.part.Logprobs, b.ready()...)
	m.event(b, openai.EventTextDone, openai.ResponseEvent{Text: &m.part.Text, Logprobs: m.part.Logprobs})
	m.event(b, openai.EventPartDone, openai.ResponseEvent{Part: m.part})
	m.message.Status = status
}

// reasoningItem are thoughts that grow.
type reasoningItem struct {
	reasoning *openai.ReasoningItem
	part      *openai.Part
	summary   bool
}

func newReasoningItem(summary bool) *reasoningItem {
	r := &reasoningItem{&openai.ReasoningItem{ID: "rs_" + rand.Text(), Type: openai.ItemReasoning,
		Status: openai.StatusInProgress, Summary: []*openai.Part{}}, &openai.Part{Type: openai.PartReasoningText},
		summary}
	if summary {
		r.part.Type = openai.PartSummaryText
	}
	return r
}

func (r *reasoningItem) item() openai.ResponseItem { return r.reasoning }

// event sends an event of one of two types, about the summary or the thoughts.
func (r *reasoningItem) event(b *responseBuilder, summary, content string, e openai.ResponseEvent) {
	e.ItemID = r.reasoning.ID
	if r.summary {
		e.SummaryIndex = new(0)
		b.event(summary, e)
	} else {
		e.ContentIndex = new(0)
		b.event(content, e)
	}
}

func (r *reasoningItem) begin(b *responseBuilder) {
	b.event(openai.EventItemAdded, openai.ResponseEvent{Item: r.reasoning})
	r.event(b, openai.EventSummaryAdded, openai.EventPartAdded, openai.ResponseEvent{Part: r.part})
	if r.summary {
		r.reasoning.Summary = append(r.reasoning.Summary, r.part)
	} else {
		r.reasoning.Content = append(r.reasoning.Content, r.part)
	}
}

func (r *reasoningItem) grow(b *responseBuilder, text string) {
	r.part.Text += text
	r.event(b, openai.EventSummaryDelta, openai.EventReasonDelta, openai.ResponseEvent{Delta: &text})
}

func (r *reasoningItem) end(b *responseBuilder, status string) {
	r.event(b, openai.EventSummaryText, openai.EventReasonDone, openai.ResponseEvent{Text: &r.part.Text})
	r.event(b, openai.EventSummaryDone, openai.EventPartDone, openai.ResponseEvent{Part: r.part})
	if b.seal != nil {
		r.reasoning.EncryptedContent = new(b.seal(r.part.Text))
	}
	r.reasoning.Status = status
}

// functionItem is a call of a function that grows.
type functionItem struct{ call *openai.FunctionCallItem }

func (f *functionItem) item() openai.ResponseItem { return f.call }

func (f *functionItem) begin(b *responseBuilder) {
	b.event(openai.EventItemAdded, openai.ResponseEvent{Item: f.call})
}

func (f *functionItem) grow(b *responseBuilder, text string) {
	f.call.Arguments += text
	b.event(openai.EventArgumentsDelta, openai.ResponseEvent{ItemID: f.call.ID, Delta: &text})
}

func (f *functionItem) end(b *responseBuilder, status string) {
	f.call.Status = status
	b.event(openai.EventArgumentsDone, openai.ResponseEvent{
		ItemID: f.call.ID, Name: f.call.Name, Arguments: &f.call.Arguments,
	})
}

// customItem is a call of a tool that takes free text, which grows.
type customItem struct {
	call      *openai.CustomCallItem
	text      freeText
	arguments string
}

func (c *customItem) item() openai.ResponseItem { return c.call }

func (c *customItem) begin(b *responseBuilder) {
	b.event(openai.EventItemAdded, openai.ResponseEvent{Item: c.call})
}

func (c *customItem) grow(b *responseBuilder, text string) {
	c.arguments += text
	c.say(b, c.text.add(text))
}

func (c *customItem) say(b *responseBuilder, text string) {
	if text != "" {
		c.call.Input += text
		b.event(openai.EventInputDelta, openai.ResponseEvent{ItemID: c.call.ID, Delta: &text})
	}
}

func (c *customItem) end(b *responseBuilder, status string) {
	if c.call.Input == "" { // a model that is not held to its tools may write anything
		var args map[string]any
		err := json.Unmarshal([]byte(c.arguments), &args)
		if err != nil || len(args) != 1 || args[toolcall.InputName] == nil {
			c.say(b, c.arguments)
		}
	}
	c.call.Status = status
	b.event(openai.EventInputDone, openai.ResponseEvent{ItemID: c.call.ID, Input: &c.call.Input})
}
