package openai

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/hipengine/hipengine/engine/sample"
)

// Options are the fields that chat completions and completions share.
type Options struct {
	Model        string // empty if absent
	Stream       bool
	IncludeUsage bool // a chunk with the usage ends the stream
	N            int  // choices; at least 1
	MaxTokens    int  // 0 if absent
	NoAnswer     bool // the prompt is read, and nothing follows
	Context      int  // most tokens of a prompt and its answer; 0 is what the model has
	Stop         []string
	Sampling     sample.Overrides
	BiasTexts    []TextBias // as Sampling.LogitBias, of the tokens of a text
	BadWords     []string   // which the text must not hold
	StopTokens   []int32    // which end the text, as end-of-generation tokens do
	IgnoreEOS    bool
	Logprobs     bool
	TopLogprobs  int
	EchoLogprobs bool  // log-probabilities of the prompt too
	Sampled      bool  // they are of what the samplers have left
	Form         *Form // what the text must be; nil is any

	TokenTimings bool // each chunk of a stream has its timings
	Progress     bool // a stream says how far the prompt is

	Drafter   string // what guesses tokens: "off", or a name of what the server has; empty is its choice
	MaxDrafts int    // most tokens that are guessed at once; 0 is the server's choice
}

// noEffect are the fields that cannot change the answer of this server: bookkeeping of OpenAI's platform, hints for
// its caches, and what llama.cpp's server is told of slots and caches, which this one keeps by itself.
var noEffect = []string{
	"user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
	"prediction",
	"cache_prompt", "id_slot", "n_cache_reuse", "n_keep", "backend_sampling", "reasoning_control",
	"speculative.n_min", "speculative.p_min", // how much is guessed is measured
	"client_metadata", "max_tool_calls", // of responses; the latter counts calls of tools that are left out
}

// options reads the shared fields.
func (f fields) options() Options {
	r := f.r
	o := Options{
		Model:     f.text("model", 256),
		Stream:    f.boolean("stream"),
		N:         1,
		IgnoreEOS: f.boolean("ignore_eos"),

		TokenTimings: f.boolean("timings_per_token"),
		Progress:     f.boolean("return_progress"),
	}
	if n := f.integer("n", 1, int64(r.limits.N)); n != nil {
		o.N = *n
	}
	if raw := f.take("stop"); raw != nil {
		o.Stop = r.stop(f.path+"stop", raw)
	}
	if raw := f.take("stream_options"); raw != nil {
		if !o.Stream {
			r.fail(f.path+"stream_options", CodeValue, "is only allowed when stream is true")
		}
		s := r.object(f.path+"stream_options", raw)
		o.IncludeUsage = s.boolean("include_usage")
		s.ignore("include_obfuscation")
		s.end()
	}
	f.speculation(&o)
	f.sampling(&o)
	f.ends(&o)
	if o.Form = f.form(); o.Form != nil && o.IgnoreEOS {
		r.fail(f.path+"ignore_eos", CodeValue, "is not allowed with %s, which says where the text ends", o.Form.Param)
	}
	if o.Form != nil && o.Sampling.MinTokens != nil && *o.Sampling.MinTokens > 0 {
		r.fail(f.path+"min_tokens", CodeValue, "is not allowed with %s, which says where the text ends", o.Form.Param)
	}
	f.ignore(noEffect...)
	return o
}

// speculation reads what is said of guesses, under llama.cpp's names.
func (f fields) speculation(o *Options) {
	o.Drafter = f.text("speculative.type", 64)
	if o.Drafter == "none" {
		o.Drafter = "off"
	} else if o.Drafter == "auto" {
		o.Drafter = ""
	}
	if n := f.integer("speculative.n_max", 0, math.MaxInt32); n != nil {
		if o.MaxDrafts = *n; *n == 0 {
			o.Drafter = "off"
		}
	}
}

// maxTokens reads a count of tokens to generate under a name; 0 if absent, or -1, which is llama.cpp's way to say
// open.
func (f fields) maxTokens(name string) int {
	if string(f.members[name]) == "-1" {
		f.ignore(name)
		return 0
	}
	if n := f.integer(name, 1, int64(f.r.limits.MaxTokens)); n != nil {
		return *n
	}
	return 0
}

// stop decodes a stop string or a list of them.
func (r *reader) stop(param string, raw json.RawMessage) []string {
	if raw[0] == '"' {
		raw = json.RawMessage("[" + string(raw) + "]")
	}
	if raw[0] != '[' {
		r.wrongType(param, "a string or an array of strings", raw)
		return nil
	}
	var stops []string
	for i, e := range r.elements(param, raw, r.limits.Stop) {
		s := r.text(index(param, i), e, r.limits.StopBytes)
		if s == "" {
			r.fail(index(param, i), CodeValue, "must not be empty")
		}
		stops = append(stops, s)
	}
	return stops
}

// parse checks a request's text and hands its members to read. Which of several errors is
// reported does not depend on chance.
func parse(body []byte, l Limits, read func(fields)) error {
	r := &reader{limits: l.WithDefaults()}
	if int64(len(body)) > r.limits.BodyBytes {
		return TooLarge(r.limits.BodyBytes)
	}
	if err := checkJSON(body, r.limits, ""); err != nil {
		return err
	}
	f := r.object("", bytes.Trim(body, " \t\r\n"))
	if r.err == nil {
		read(f)
		f.end()
	}
	if r.err != nil {
		return r.err
	}
	return nil
}
