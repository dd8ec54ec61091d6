package bench

import (
	"context"
	"fmt"
	"time"
)

// Agent is a conversation that grows turn by turn, as those of agents do: each request repeats all messages before it.
type Agent struct {
	Turns []Turn `json:"turns"`
}

// Turn is one request of a conversation.
type Turn struct {
	Prompt    int     `json:"prompt_tokens"`
	Cached    int     `json:"cached_tokens"` // of these, that the server did not read again
	Generated int     `json:"generated_tokens"`
	First     float64 `json:"first_token_seconds"`
	Whole     float64 `json:"request_seconds"`
	// Cold is the time to the first token of a conversation of the same length whose first words the server has not
	// seen; 0 if it was not measured.
	Cold float64 `json:"cold_first_token_seconds,omitempty"`
}

// agent has a conversation. tell is told after each turn.
func (c *client) agent(ctx context.Context, o Options, tell func(turn int)) (*Agent, error) {
	a := &Agent{}
	system := o.text("agent system", o.AgentSystem)
	var messages []message
	for turn := range o.Turns {
		content := o.text(fmt.Sprint("agent turn ", turn), o.AgentWords)
		if turn == 0 {
			content = system + " " + content
		}
		messages = append(messages, message{"user", content})
		s, err := c.chat(ctx, messages)
		if err != nil {
			return a, fmt.Errorf("turn %d: %w", turn+1, err)
		}
		t := Turn{Prompt: s.usage.Prompt, Cached: s.usage.Details.Cached, Generated: s.usage.Completion,
			First: s.first.Seconds(),
			Whole: s.whole.Seconds()}
		if turn == o.Turns-1 || o.ColdEvery > 0 && (turn+1)%o.ColdEvery == 0 {
			cold, err := c.cold(ctx, o, turn, messages)
			if err != nil {
				return a, fmt.Errorf("turn %d, cold: %w", turn+1, err)
			}
			t.Cold = cold.Seconds()
		}
		a.Turns = append(a.Turns, t)
		messages = append(messages, message{"assistant", s.text})
		tell(turn + 1)
	}
	return a, nil
}

// cold returns the time to the first token of a conversation with another beginning.
func (c *client) cold(ctx context.Context, o Options, turn int, messages []message) (time.Duration, error) {
	other := append([]message(nil), messages...)
	other[0].Content = o.text(fmt.Sprint("cold ", turn), 8) + " " + other[0].Content
	one := *c
	one.maxTokens = 1
	s, err := one.chat(ctx, other)
	return s.first, err
}
