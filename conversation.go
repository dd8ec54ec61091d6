package hipengine

import (
	"context"
	"iter"
	"slices"
	"strings"
)

// Conversation is a chat that remembers what was said. It serves one goroutine; several conversations with one model
// may go on at the same time.
type Conversation struct {
	model    *Model
	params   Params
	messages []Message
}

// NewConversation starts a conversation whose answers are made with p. system is the first message; empty for none.
// It is for the caller to keep messages within the context. The error is a *[ParamsError].
func (m *Model) NewConversation(system string, p Params) (*Conversation, error) {
	if err := m.CheckParams(p); err != nil {
		return nil, err
	}
	c := &Conversation{model: m, params: p}
	if system != "" {
		c.messages = append(c.messages, Message{Role: "system", Content: system})
	}
	return c, nil
}

// Messages returns what was said so far, in a new slice.
func (c *Conversation) Messages() []Message { return slices.Clone(c.messages) }

// SetMessages replaces what was said, with a copy of messages.
func (c *Conversation) SetMessages(messages []Message) { c.messages = slices.Clone(messages) }

// Ask adds a question and answers it, as [Model.Chat] does. An answer that the end of ctx or of the caller's loop cuts
// short stays in the conversation as far as it came; any other failure leaves the conversation as it was.
func (c *Conversation) Ask(ctx context.Context, question string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		messages := append(slices.Clone(c.messages), Message{Role: "user", Content: question})
		var answer strings.Builder
		remember := func() {
			c.messages = append(messages, Message{Role: "assistant", Content: answer.String()})
		}
		for p, err := range c.model.Chat(ctx, messages, c.params) {
			if err != nil {
				if ctx.Err() != nil && answer.Len() > 0 {
					remember()
				}
				yield(Piece{}, err)
				return
			}
			answer.WriteString(p.Text)
			if !yield(p, nil) {
				if answer.Len() > 0 {
					remember()
				}
				return
			}
		}
		remember()
	}
}
