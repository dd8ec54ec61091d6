package openai

import (
	"encoding/json"
	"slices"
)

// LlamaCompletionRequest is the body of POST /completion of llama.cpp's server, and of /infill.
type LlamaCompletionRequest struct {
	Options
	Prompts    [][]Prompt // at least one, each of parts that follow on each other
	Many       bool       // the answer is a list
	Tokens     bool       // answer with the ids of what was generated
	Fields     []string   // of the answer; nil is all
	Infill     *Infill    // of /infill; nil elsewhere
	BudgetOpen bool       // the request leaves open how many tokens there may be
}

// Infill is what a text is to be put between.
type Infill struct {
	Prefix, Suffix []Prompt
	Extra          []InfillFile // that the text may refer to
	Prompt         string       // what is known of the text: it begins so
}

// InfillFile is a file beside the one that is worked on.
type InfillFile struct{ Name, Text string }

// refusedLlama are fields of llama.cpp's server that would change the answer and that this one does not offer.
var refusedLlama = map[string]string{
	"n_discard":        "is for contexts that shift, which this server does not offer",
	"n_indent":         "is not offered by this server",
	"t_max_predict_ms": "is not offered by this server; use the header X-Request-Timeout",
}

// ParseLlamaCompletion reads a request of /completion. The error is an *[Error].
func ParseLlamaCompletion(body []byte, l Limits) (*LlamaCompletionRequest, error) {
	var c LlamaCompletionRequest
	err := parse(body, l, func(f fields) {
		if raw := f.need("prompt"); raw != nil {
			c.Prompts, c.Many = f.r.llamaPrompts("prompt", raw)
		}
		c.read(f)
	})
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// ParseInfill reads a request of /infill. The error is an *[Error].
func ParseInfill(body []byte, l Limits) (*LlamaCompletionRequest, error) {
	c := LlamaCompletionRequest{Infill: &Infill{}}
	err := parse(body, l, func(f fields) {
		r := f.r
		if raw := f.need("input_prefix"); raw != nil {
			c.Infill.Prefix = r.mixed("input_prefix", raw)
		}
		if raw := f.need("input_suffix"); raw != nil {
			c.Infill.Suffix = r.mixed("input_suffix", raw)
		}
		c.Infill.Prompt = f.text("prompt", int(r.limits.BodyBytes))
		if raw := f.take("input_extra"); raw != nil {
			for i, e := range r.elements("input_extra", raw, r.limits.Parts) {
				x := r.object(index("input_extra", i), e)
				file := InfillFile{Name: x.text("filename", 4096)}
				if raw := x.need("text"); raw != nil {
					file.Text = r.text(x.path+"text", raw, int(r.limits.BodyBytes))
				}
				x.end()
				c.Infill.Extra = append(c.Infill.Extra, file)
			}
		}
		c.read(f)
	})
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// read reads what both have.
func (c *LlamaCompletionRequest) read(f fields) {
	r := f.r
	if raw := f.members["stop"]; string(raw) == "[]" {
		f.ignore("stop")
	}
	c.Options = f.options()
	c.BudgetOpen = true
	if n := f.integer("n_predict", -1, int64(r.limits.MaxTokens)); n != nil {
		for _, name := range budgetNames { // as llama.cpp has it, other names of this one, which goes before them
			f.maxTokens(name)
		}
		if c.BudgetOpen = *n < 0; !c.BudgetOpen {
			c.MaxTokens = *n
		}
		if *n == 0 {
			r.fail("n_predict", CodeValue, "must be -1 or at least 1: this server generates one token or more")
		}
	} else if n := f.budget(); n != 0 {
		c.MaxTokens, c.BudgetOpen = n, false
	}
	if n := f.integer("n_cmpl", 1, int64(r.limits.N)); n != nil {
		c.N = *n
	}
	if n := len(c.Prompts) * c.N; n > r.limits.Choices {
		r.fail("n_cmpl", CodeValue, "%d choices of %d prompts are %d, at most %d are allowed", c.N, len(c.Prompts),
			n, r.limits.Choices)
	}
	c.Many = c.Many || c.N > 1
	if n := f.integer("n_probs", 0, int64(r.limits.TopLogprobs)); n != nil && *n > 0 {
		c.Logprobs, c.TopLogprobs = true, *n
	}
	if c.Sampled = f.boolean("post_sampling_probs"); c.Sampled && !c.Logprobs {
		r.fail("post_sampling_probs", CodeValue, "is only allowed with n_probs")
	}
	c.Tokens = f.boolean("return_tokens")
	if raw := f.take("response_fields"); raw != nil {
		for i, e := range r.elements("response_fields", raw, 256) {
			c.Fields = append(c.Fields, r.text(index("response_fields", i), e, 256))
		}
	}
	f.noLora()
	f.refuse(refusedLlama)
}

// noLora refuses adapters, of which this server has none.
func (f fields) noLora() {
	raw := f.take("lora")
	if raw != nil && len(f.r.elements("lora", raw, 256)) > 0 {
		f.r.fail("lora", CodeUnsupported, "adapters are not offered by this server")
	}
}

// llamaPrompts reads one prompt, which is a string, an array of token ids and strings, or an object with
// prompt_string; or a list of them, which many reports. Strings alone are a list.
func (r *reader) llamaPrompts(param string, raw json.RawMessage) (prompts [][]Prompt, many bool) {
	if raw[0] != '[' {
		return [][]Prompt{r.llamaPrompt(param, raw)}, false
	}
	list := r.elements(param, raw, max(r.limits.PromptTokens, r.limits.Prompts))
	isNumber := func(e json.RawMessage) bool { return kind(e) == "a number" }
	isWhole := func(e json.RawMessage) bool { return e[0] == '[' || e[0] == '{' }
	switch {
	case len(list) == 0:
		r.fail(param, CodeValue, "must not be empty")
		return nil, false
	case slices.ContainsFunc(list, isNumber) && !slices.ContainsFunc(list, isWhole):
		return [][]Prompt{r.mixed(param, raw)}, false
	case len(list) > r.limits.Prompts:
		r.fail(param, CodeValue, "has %d prompts, at most %d are allowed", len(list), r.limits.Prompts)
		return nil, false
	}
	for i, e := range list {
		prompts = append(prompts, r.llamaPrompt(index(param, i), e))
	}
	return prompts, true
}

// llamaPrompt reads one prompt.
func (r *reader) llamaPrompt(param string, raw json.RawMessage) []Prompt {
	if raw[0] != '{' {
		return r.mixed(param, raw)
	}
	f := r.object(param, raw)
	defer f.end()
	f.refuse(map[string]string{"multimodal_data": "images and sounds are not offered by this server"})
	if raw := f.need("prompt_string"); raw != nil {
		return []Prompt{{Text: r.text(f.path+"prompt_string", raw, int(r.limits.BodyBytes))}}
	}
	return nil
}
