package serve

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/toolcall"
)

// responseBuilder puts a response together, and tells of it as it grows if there is a stream.
type responseBuilder struct {
	*answer
	generation *generation
	request    *openai.ResponseRequest
	response   openai.Response
	keep       func() bool // stores the response, which is complete, and reports whether there was room
	out        *stream     // nil: nobody hears of events
	number     int         // of the next event

	queue    logprobQueue
	logprobs []engine.Token // of tokens that are not known to be text or not
	open     openItem       // the last of the output, while it is not complete; nil if there is none
}

// openItem is an item of the output that grows.
type openItem interface {
	item() openai.ResponseItem
	begin(b *responseBuilder)
	grow(b *responseBuilder, text string)
	end(b *responseBuilder, status string)
}

// event sends an event about the item that was begun last.
func (b *responseBuilder) event(kind string, e openai.ResponseEvent) {
	if b.out == nil {
		return
	}
	e.Type, e.SequenceNumber = kind, b.number
	b.number++
	if e.Response == nil {
		e.OutputIndex = new(len(b.response.Output) - 1)
	}
	b.out.named(kind, e)
}

// start tells that the response is on its way.
func (b *responseBuilder) start() {
	b.event(openai.EventCreated, openai.ResponseEvent{Response: &b.response})
	b.event(openai.EventInProgress, openai.ResponseEvent{Response: &b.response})
}

// token implements teller.
func (b *responseBuilder) token(_ int, t engine.Token) {
	if b.request.Logprobs {
		b.logprobs = append(b.logprobs, b.queue.add(t)...)
	}
	for _, e := range b.add(t) {
		b.take(e)
	}
}

// take adds an event to the output.
func (b *responseBuilder) take(e toolcall.Event) {
	if e.Kind != toolcall.Content {
		b.logprobs = nil // thoughts and calls have none
	}
	switch e.Kind {
	case toolcall.Content:
		if _, same := b.open.(*messageItem); !same {
			b.begin(newMessageItem())
		}
		b.open.grow(b, e.Text)
	case toolcall.Reasoning:
		if _, same := b.open.(*reasoningItem); !same {
			b.begin(newReasoningItem(b.request.Summaries))
		}
		b.open.grow(b, e.Text)
	case toolcall.Begin:
		tool, known := b.request.Known[e.Text]
		if !known {
			tool.Name = e.Text
		}
		if tool.Custom {
			b.begin(&customItem{call: &openai.CustomCallItem{ID: "ctc_" + rand.Text(), Type: openai.ItemCustomCall,
				Status: openai.StatusInProgress, CallID: e.ID, Name: tool.Name, Namespace: tool.Namespace}})
			return
		}
		b.begin(&functionItem{&openai.FunctionCallItem{ID: "fc_" + rand.Text(), Type: openai.ItemFunctionCall,
			Status: openai.StatusInProgress, CallID: e.ID, Name: tool.Name, Namespace: tool.Namespace}})
	case toolcall.Arguments:
		b.open.grow(b, e.Text)
	case toolcall.End:
		if b.answer.finish == engine.FinishLength { // it was broken off, or just in time
			b.end(openai.StatusIncomplete)
			return
		}
		b.end(openai.StatusCompleted)
	}
}

// begin starts an item behind the last.
func (b *responseBuilder) begin(o openItem) {
	b.end(openai.StatusCompleted)
	b.open = o
	b.response.Output = append(b.response.Output, o.item())
	o.begin(b)
}

// end completes the item that is open, if there is one.
func (b *responseBuilder) end(status string) {
	if b.open != nil {
		b.open.end(b, status)
		b.event(openai.EventItemDone, openai.ResponseEvent{Item: b.open.item()})
		b.open = nil
	}
}

// ready returns the log-probabilities of text that has come.
func (b *responseBuilder) ready() []openai.TokenLogprob {
	list := b.generation.model.chatLogprobs(b.logprobs)
	b.logprobs = nil
	return list
}

// finish implements teller.
func (b *responseBuilder) finish() {
	if len(b.response.Output) == 0 { // clients look for a message
		b.begin(newMessageItem())
	}
	kind, status := openai.EventCompleted, openai.StatusCompleted
	if b.answer.finish == engine.FinishLength {
		kind, status = openai.EventIncomplete, openai.StatusIncomplete
		b.response.IncompleteDetails = &openai.IncompleteInfo{Reason: openai.ReasonMaxTokens}
	}
	b.end(status)
	b.response.Status, b.response.Usage = status, b.usage()
	if status == openai.StatusCompleted {
		b.response.CompletedAt = new(time.Now().Unix())
	}
	b.response.Store = b.response.Store && b.keep()
	b.event(kind, openai.ResponseEvent{Response: &b.response})
}

// ping implements teller.
func (b *responseBuilder) ping() { b.out.ping() }

// fail implements teller.
func (b *responseBuilder) fail(e *openai.Error) {
	b.response.Status, b.response.Usage, b.response.Store = openai.StatusFailed, b.usage(), false
	b.response.Error = &openai.ResponseError{Code: "server_error", Message: e.Message}
	b.event(openai.EventFailed, openai.ResponseEvent{Response: &b.response})
}

// usage counts the tokens so far.
func (b *responseBuilder) usage() *openai.ResponseUsage {
	u := b.generation.usage()
	r := &openai.ResponseUsage{InputTokens: u.PromptTokens, OutputTokens: u.CompletionTokens, TotalTokens: u.TotalTokens}
	if u.PromptTokensDetails != nil {
		r.InputTokensDetails = *u.PromptTokensDetails
	}
	r.OutputTokensDetails.ReasoningTokens = b.thoughts
	return r
}

// messageItem is a message that grows.
type messageItem struct {
	message *openai.MessageItem
	part    *openai.Part
}

func newMessageItem() *messageItem {
	return &messageItem{&openai.MessageItem{ID: "msg_" + rand.Text(), Type: openai.ItemMessage, Status: openai.StatusInProgress,
		Role: "assistant", Content: []*openai.Part{}}, openai.NewOutputText()}
}

func (m *messageItem) item() openai.ResponseItem { return m.message }

func (m *messageItem) begin(b *responseBuilder) {
	b.event(openai.EventItemAdded, openai.ResponseEvent{Item: m.message})
	b.event(openai.EventPartAdded, openai.ResponseEvent{ItemID: m.message.ID, ContentIndex: new(0), Part: m.part})
	m.message.Content = append(m.message.Content, m.part)
}

func (m *messageItem) grow(b *responseBuilder, text string) {
	m.part.Text += text
	logprobs := b.ready()
	*m.part.Logprobs = append(*m.part.Logprobs, logprobs...)
	b.event(openai.EventTextDelta, openai.ResponseEvent{ItemID: m.message.ID, ContentIndex: new(0), Delta: &text, Logprobs: &logprobs})
}

func (m *messageItem) end(b *responseBuilder, status string) {
	*m.part.Logprobs = append(*m.part.Logprobs, b.ready()...)
	b.event(openai.EventTextDone, openai.ResponseEvent{ItemID: m.message.ID, ContentIndex: new(0), Text: &m.part.Text, Logprobs: m.part.Logprobs})
	b.event(openai.EventPartDone, openai.ResponseEvent{ItemID: m.message.ID, ContentIndex: new(0), Part: m.part})
	m.message.Status = status
}

// reasoningItem are thoughts that grow.
type reasoningItem struct {
	reasoning *openai.ReasoningItem
	part      *openai.Part
	summary   bool
}

func newReasoningItem(summary bool) *reasoningItem {
	r := &reasoningItem{&openai.ReasoningItem{ID: "rs_" + rand.Text(), Type: openai.ItemReasoning, Status: openai.StatusInProgress,
		Summary: []*openai.Part{}}, &openai.Part{Type: openai.PartReasoningText}, summary}
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
	b.event(openai.EventArgumentsDone, openai.ResponseEvent{ItemID: f.call.ID, Name: f.call.Name, Arguments: &f.call.Arguments})
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
		if err := json.Unmarshal([]byte(c.arguments), &args); err != nil || len(args) != 1 || args[toolcall.InputName] == nil {
			c.say(b, c.arguments)
		}
	}
	c.call.Status = status
	b.event(openai.EventInputDone, openai.ResponseEvent{ItemID: c.call.ID, Input: &c.call.Input})
}
