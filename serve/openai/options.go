package openai

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/hipengine/hipengine/engine/sample"
)

// Options are the fields that chat completions and completions share.
type Options struct {
	Model        string // empty if absent
	Stream       bool
	IncludeUsage bool // a chunk with the usage ends the stream
	N            int  // choices; at least 1
	MaxTokens    int  // 0 if absent
	Stop         []string
	Sampling     sample.Overrides
	IgnoreEOS    bool
	Logprobs     bool
	TopLogprobs  int
	Form         *Form // what the text must be; nil is any

	TokenTimings bool // each chunk of a stream has its timings
	Progress     bool // a stream says how far the prompt is
}

// noEffect are the fields that cannot change the answer of this server: bookkeeping of OpenAI's platform, hints for its
// caches, and what llama.cpp's server is told of slots and caches, which this one keeps by itself.
var noEffect = []string{
	"user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prediction",
	"cache_prompt", "id_slot", "n_cache_reuse", "n_keep", "backend_sampling", "reasoning_control", "speculative.n_max",
	"speculative.n_min", "speculative.p_min",
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
	o.Sampling = f.sampling()
	if o.Form = f.form(); o.Form != nil && o.IgnoreEOS {
		r.fail(f.path+"ignore_eos", CodeValue, "is not allowed with %s, which says where the text ends", o.Form.Param)
	}
	f.ignore(noEffect...)
	return o
}

// maxTokens reads a count of tokens to generate under a name; 0 if absent.
func (f fields) maxTokens(name string) int {
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

func (f fields) sampling() sample.Overrides {
	r := f.r
	o := sample.Overrides{
		Temperature:      f.number("temperature", 0, 5),
		TopP:             f.number("top_p", 0, 1),
		MinP:             f.number("min_p", 0, 1),
		PresencePenalty:  f.number("presence_penalty", -2, 2),
		FrequencyPenalty: f.number("frequency_penalty", -2, 2),
		RepeatPenalty:    f.number("repeat_penalty", 0.01, 10),
		TopK:             f.integer("top_k", -1, math.MaxInt32),
		RepeatLastN:      f.integer("repeat_last_n", -1, math.MaxInt32),
	}
	if o.TopP != nil {
		// On the wire, 0 keeps the most likely token; in sample.Params, it turns the filter off.
		*o.TopP = max(*o.TopP, math.SmallestNonzeroFloat32)
	}
	if o.TopK != nil {
		*o.TopK = max(*o.TopK, 0) // -1 is vLLM's way to say off
	}
	if p := f.number("repetition_penalty", 0.01, 10); p != nil {
		if o.RepeatPenalty != nil && *o.RepeatPenalty != *p {
			r.fail(f.path+"repetition_penalty", CodeValue, "is another name of repeat_penalty, which has another value")
		}
		o.RepeatPenalty = p
	}
	if o.RepeatLastN != nil && *o.RepeatLastN == 0 {
		// A window of no tokens: no penalty can apply. In sample.Params, 0 means the default window.
		o.RepeatLastN = nil
		o.RepeatPenalty, o.PresencePenalty, o.FrequencyPenalty = new(float32(1)), new(float32(0)), new(float32(0))
	}
	if raw := f.take("seed"); raw != nil {
		o.Seed = new(uint64(r.integer(f.path+"seed", raw, math.MinInt64, math.MaxInt64)))
	}
	if raw := f.take("logit_bias"); raw != nil {
		o.LogitBias = r.logitBias(f.path+"logit_bias", raw)
	}
	return o
}

// logitBias decodes an object of token ids and biases from -100 to 100.
func (r *reader) logitBias(param string, raw json.RawMessage) map[int32]float32 {
	b := r.object(param, raw)
	if len(b.members) > r.limits.LogitBias {
		r.fail(param, CodeValue, "has %d entries, at most %d are allowed", len(b.members), r.limits.LogitBias)
		return nil
	}
	bias := make(map[int32]float32, len(b.members))
	for _, key := range slices.Sorted(maps.Keys(b.members)) {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 || strconv.FormatInt(id, 10) != key {
			r.fail(param, CodeValue, "key %s must be a token id", quote(key))
			continue
		}
		bias[int32(id)] = float32(r.number(b.path+key, b.members[key], -100, 100))
	}
	return bias
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
