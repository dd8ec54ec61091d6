package serve

import (
	"crypto/rand"
	"slices"
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
	keep       func() bool              // stores the response, which is complete, and reports whether there was room
	seal       func(text string) string // of thoughts; nil if nobody asks
	out        *stream                  // nil: nobody hears of events
	number     int                      // of the next event

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
	if b.request.TokenTimings && (e.Delta != nil || e.Response != nil && e.Response.Status != openai.StatusInProgress) {
		e.Timings = b.generation.timings(0)
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

// progress implements progressTeller.
func (b *responseBuilder) progress(_ int, p promptProgress) {
	e := openai.ResponseEvent{Response: &b.response, Progress: p.wire()}
	if b.request.TokenTimings {
		e.Timings = p.timings()
	}
	b.event(openai.EventInProgress, e)
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
		b.response.IncompleteDetails = &openai.IncompleteInfo{Reason: openai.ReasonMaxTokens,
			Message: b.silence(b.said())}
	}
	b.end(status)
	b.response.Status, b.response.Usage = status, b.usage()
	if status == openai.StatusCompleted {
		b.response.CompletedAt = new(time.Now().Unix())
	}
	b.response.Store = b.response.Store && b.keep()
	b.event(kind, openai.ResponseEvent{Response: &b.response})
}

// said reports whether there is text.
func (b *responseBuilder) said() bool {
	return slices.ContainsFunc(b.response.Output, func(item openai.ResponseItem) bool {
		m, ok := item.(*openai.MessageItem)
		return ok && len(m.Content) > 0 && m.Content[0].Text != ""
	})
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
	r := &openai.ResponseUsage{InputTokens: u.PromptTokens, OutputTokens: u.CompletionTokens,
		TotalTokens: u.TotalTokens}
	if u.PromptTokensDetails != nil {
		r.InputTokensDetails = *u.PromptTokensDetails
	}
	r.OutputTokensDetails.ReasoningTokens = b.thoughts
	return r
}
