package serve

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/text/toolcall"
)

// thoughtAnswer asks for an answer and returns its parts.
func thoughtAnswer(t *testing.T, s *site, members string) (thoughts, text, finish string, reasoningTokens int,
	logprobs string) {
	t.Helper()
	status, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`,"temperature":0,`+members+`}`)
	var a struct {
		Choices []struct {
			Message struct {
				Content          string
				ReasoningContent string `json:"reasoning_content"`
			}
			FinishReason string `json:"finish_reason"`
			Logprobs     struct{ Content []struct{ Bytes []byte } }
		}
		Usage struct {
			Details struct {
				ReasoningTokens int `json:"reasoning_tokens"`
			} `json:"completion_tokens_details"`
		}
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
		t.Fatalf("%s: %d %s", members, status, body)
	}
	c := a.Choices[0]
	for _, l := range c.Logprobs.Content {
		logprobs += string(l.Bytes)
	}
	return c.Message.ReasoningContent, c.Message.Content, c.FinishReason, a.Usage.Details.ReasoningTokens, logprobs
}

// TestThinkingBudget bounds the thoughts of a model that opens them by itself and never ends them. The fake's tokens
// are bytes, of which it says the next after the text so far, so that it goes on with its thoughts where the budget
// ended them.
func TestThinkingBudget(t *testing.T) {
	const long = "<think>one two three four five six"
	s := open(t, &fake.Runner{Reply: long}, func(c *Config) {
		c.Models[0].Format, _ = toolcall.ByName("hermes")
	})
	for _, c := range []struct {
		members, thoughts string
	}{
		{`"max_tokens":60`, "one two three four five six"},
		{`"thinking_budget":-1`, "one two three four five six"},
		{`"thinking_budget":3`, "one"},
		{`"reasoning_budget":7`, "one two"},
		{`"thinking_budget_tokens":1`, "o"},
		{`"chat_template_kwargs":{"thinking_budget":5}`, "one t"},
		{`"thinking_budget":0`, ""},
		{`"reasoning_effort":"none"`, ""},
		{`"reasoning_effort":"low"`, "one two three four five six"},
		{`"reasoning_effort":"none","thinking_budget":4`, "one"}, // a number goes before a word; the space is trimmed
	} {
		thoughts, text, finish, n, _ := thoughtAnswer(t, s, c.members)
		if strings.TrimSpace(thoughts) != c.thoughts || finish != "stop" || (n == 0) != (c.thoughts == "") &&
			c.thoughts != "" {
			t.Errorf("%s: thoughts %q, text %q, %s, %d reasoning tokens, want %q", c.members, thoughts, text, finish,
				n, c.thoughts)
		}
		// With log-probabilities the tokens come one by one, and are the same.
		again, other, _, _, listed := thoughtAnswer(t, s, c.members+`,"logprobs":true`)
		if again != thoughts || other != text || !strings.HasPrefix(listed, "<think>"+c.thoughts) {
			t.Errorf("%s: with logprobs %q and %q, %q", c.members, again, other, listed)
		}
	}
	for _, c := range []struct{ members, param string }{
		{`"thinking_budget":-2`, "thinking_budget"},
		{`"reasoning_budget":"x"`, "reasoning_budget"},
		{`"thinking_budget":3,"reasoning_budget":4`, "reasoning_budget"},
		{`"thinking_budget_tokens":3,"chat_template_kwargs":{"thinking_budget":4}`, "thinking_budget_tokens"},
		{`"reasoning_effort":"some"`, "reasoning_effort"},
	} {
		status, _, body := s.call(t, "POST", "/v1/chat/completions", hi+","+c.members+"}")
		if status != 400 || !strings.Contains(body, `"param":"`+c.param+`"`) {
			t.Errorf("%s: %d %s", c.members, status, body)
		}
	}
}
