package openai

import (
	"encoding/json"
	"math"
	"strconv"
)

// DefaultCompletionTokens is max_tokens of a completion that does not give it, as in OpenAI's reference.
const DefaultCompletionTokens = 16

// Prompt is text or token ids.
type Prompt struct {
	Text   string
	Tokens []int32 // if not nil, the prompt is these
}

// CompletionRequest is the body of POST /v1/completions.
type CompletionRequest struct {
	Options
	Prompts []Prompt // at least one
	Echo    bool     // the text begins with the prompt
}

// refusedCompletion are fields that would change the answer and that this server does not offer.
var refusedCompletion = map[string]string{
	"suffix": "is not offered by this server",
}

// ParseCompletion reads a completion request. The error is an *[Error].
func ParseCompletion(body []byte, l Limits) (*CompletionRequest, error) {
	var c CompletionRequest
	if err := parse(body, l, func(f fields) { c.read(f) }); err != nil {
		return nil, err
	}
	return &c, nil
}

func (c *CompletionRequest) read(f fields) {
	r := f.r
	c.Options = f.options()
	if raw := f.need("prompt"); raw != nil {
		c.Prompts = r.prompts("prompt", raw, r.limits.Prompts)
	}
	if n := len(c.Prompts) * c.N; n > r.limits.Choices {
		r.fail("n", CodeValue, "%d choices of %d prompts are %d, at most %d are allowed", c.N, len(c.Prompts), n,
			r.limits.Choices)
	}
	all := f.unbounded()
	c.NoAnswer = f.noTokens()
	switch c.MaxTokens = f.budget(); {
	case c.NoAnswer && (c.MaxTokens > 0 || all):
		r.fail("max_tokens", CodeValue, "has other names, of which one is 0 and one is not")
	case c.NoAnswer && c.Sampling.MinTokens != nil && *c.Sampling.MinTokens > 0:
		r.fail("min_tokens", CodeValue, "is more than max_tokens, which is 0")
	case c.MaxTokens == 0 && !all:
		c.MaxTokens = DefaultCompletionTokens
	}
	if n := f.integer("logprobs", 0, int64(r.limits.TopLogprobs)); n != nil {
		c.Logprobs, c.TopLogprobs = true, *n
	}
	c.Echo = f.boolean("echo")
	c.EchoLogprobs = c.Echo && c.Logprobs
	if n := f.integer("best_of", 1, math.MaxInt32); n != nil && *n != c.N {
		r.fail("best_of", CodeUnsupported, "is not offered by this server; leave it out or give it the value of n")
	}
	f.refuse(refusedCompletion)
}

// prompts decodes a string, an array of strings, an array of token ids or an array of such arrays, at most most of
// them.
func (r *reader) prompts(param string, raw json.RawMessage, most int) []Prompt {
	const want = "a string, or an array of strings, of token ids, or of arrays of token ids"
	switch raw[0] {
	case '"':
		return []Prompt{{Text: r.text(param, raw, int(r.limits.BodyBytes))}}
	case '[':
	default:
		r.wrongType(param, want, raw)
		return nil
	}
	list := r.elements(param, raw, max(r.limits.PromptTokens, most))
	if len(list) == 0 {
		r.fail(param, CodeValue, "must not be empty") // or too long, which elements has reported
		return nil
	}
	if kind(list[0]) == "a number" {
		return []Prompt{{Tokens: r.tokens(param, list)}}
	}
	if len(list) > most {
		r.fail(param, CodeValue, "has %d prompts, at most %d are allowed", len(list), most)
		return nil
	}
	prompts := make([]Prompt, len(list))
	for i, e := range list {
		at := index(param, i)
		switch {
		case e[0] != list[0][0]:
			r.fail(at, CodeType, "must be %s, as the first element is, not %s", kind(list[0]), kind(e))
		case e[0] == '"':
			prompts[i].Text = r.text(at, e, int(r.limits.BodyBytes))
		case e[0] == '[':
			prompts[i].Tokens = r.tokens(at, r.elements(at, e, r.limits.PromptTokens))
		default:
			r.wrongType(at, "a string, a token id or an array of token ids", e)
		}
	}
	return prompts
}

// tokens decodes token ids. Whether the vocabulary holds them is for the model to say.
func (r *reader) tokens(param string, list []json.RawMessage) []int32 {
	if len(list) == 0 {
		r.fail(param, CodeValue, "must not be empty")
	}
	ids := make([]int32, len(list))
	for i, e := range list {
		if ids[i] = r.token(param, i, e); r.err != nil {
			return nil
		}
	}
	return ids
}

// token decodes a token id, which is element i of a list.
func (r *reader) token(param string, i int, raw json.RawMessage) int32 {
	id, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil || id < 0 {
		r.integer(index(param, i), raw, 0, math.MaxInt32) // says what is wrong
		return 0
	}
	return int32(id)
}
