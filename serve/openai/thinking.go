package openai

import (
	"encoding/json"
	"strconv"
	"strings"
)

// thinkingBudgetNames are names of the most tokens of thoughts: Qwen's and those of llama.cpp's server. They mean one
// thing, as does the variable of templates.
var thinkingBudgetNames = []string{"thinking_budget", "reasoning_budget", "thinking_budget_tokens"}

// effortBudgets are the tokens of thoughts that efforts of reasoning stand for where the template does not know them;
// those that are missing, and no effort, bound nothing.
var effortBudgets = map[string]int{"none": 0, "minimal": 256, "low": 1024, "medium": 4096, "high": 16384}

// readThinking reads the budget of thoughts, and turns thoughts off where there shall be none.
func (c *ChatRequest) readThinking(f fields) {
	r := f.r
	for _, name := range thinkingBudgetNames {
		n := f.integer(name, -1, int64(r.limits.MaxTokens))
		if n == nil {
			continue
		}
		text := strconv.Itoa(*n)
		if old := c.Kwargs["thinking_budget"]; old != nil && string(old) != text {
			r.fail(name, CodeValue, "is another name of the budget of thoughts, which has another value")
		}
		c.Kwargs["thinking_budget"] = json.RawMessage(text)
	}
	if n, bounded := c.ThinkingBudget(""); bounded && n == 0 {
		for _, name := range []string{"enable_thinking", "thinking"} {
			if c.Kwargs[name] == nil {
				c.Kwargs[name] = json.RawMessage("false")
			}
		}
	}
}

// ThinkingBudget returns how many tokens of thoughts there may be, if that is bounded: by the request's budget, or
// else its effort, if that is not for the chat template to know.
func (c *ChatRequest) ThinkingBudget(template string) (tokens int, bounded bool) {
	if raw := c.Kwargs["thinking_budget"]; raw != nil {
		n, err := strconv.Atoi(string(raw))
		return n, err == nil && n >= 0
	}
	effort := strings.Trim(string(c.Kwargs["reasoning_effort"]), `"`)
	if effort != "none" && strings.Contains(template, "reasoning_effort") {
		return 0, false
	}
	tokens, bounded = effortBudgets[effort]
	return tokens, bounded
}
