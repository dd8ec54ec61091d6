package openai

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/engine/sample"
)

// TextBias is a bias for each token of a text.
type TextBias struct {
	Text string
	Bias float32 // minus infinity is never
}

// sampling reads the fields of samplers, under the names that llama.cpp's server and vLLM have for them.
func (f fields) sampling(o *Options) {
	r := f.r
	o.Sampling = sample.Overrides{
		Temperature:      f.number("temperature", 0, 5),
		TopP:             f.number("top_p", 0, 1),
		MinP:             f.number("min_p", 0, 1),
		TypicalP:         f.number("typical_p", 0, 1),
		TopNSigma:        f.number("top_n_sigma", -1, 100),
		DynatempRange:    f.number("dynatemp_range", 0, 5),
		DynatempExponent: f.number("dynatemp_exponent", 0, 10),
		XTCProbability:   f.number("xtc_probability", 0, 1),
		XTCThreshold:     f.number("xtc_threshold", 0, 1),
		DRYMultiplier:    f.number("dry_multiplier", 0, 100),
		DRYBase:          f.number("dry_base", 1, 100),
		DRYAllowedLength: f.integer("dry_allowed_length", 1, math.MaxInt32),
		DRYLastN:         f.integer("dry_penalty_last_n", -1, math.MaxInt32),
		PresencePenalty:  f.number("presence_penalty", -2, 2),
		FrequencyPenalty: f.number("frequency_penalty", -2, 2),
		RepeatPenalty:    f.number("repeat_penalty", 0.01, 10),
		Mirostat:         f.integer("mirostat", 0, 2),
		MirostatTau:      f.number("mirostat_tau", 0, 100),
		MirostatEta:      f.number("mirostat_eta", 0, 1),
		TopK:             f.integer("top_k", -1, math.MaxInt32),
		RepeatLastN:      f.integer("repeat_last_n", -1, math.MaxInt32),
		MinKeep:          f.integer("min_keep", 0, math.MaxInt32),
	}
	s := &o.Sampling
	for _, p := range []*float32{s.TopP, s.TypicalP} {
		if p != nil {
			// On the wire, 0 keeps one token; in sample.Params, it turns the filter off.
			*p = max(*p, math.SmallestNonzeroFloat32)
		}
	}
	if s.TopK != nil {
		*s.TopK = max(*s.TopK, 0) // -1 is vLLM's way to say off
	}
	if s.TopNSigma != nil {
		*s.TopNSigma = max(*s.TopNSigma, 0) // -1 is llama.cpp's
	}
	if p := f.number("repetition_penalty", 0.01, 10); p != nil {
		if s.RepeatPenalty != nil && *s.RepeatPenalty != *p {
			r.fail(f.path+"repetition_penalty", CodeValue,
				"is another name of repeat_penalty, which has another value")
		}
		s.RepeatPenalty = p
	}
	if s.RepeatLastN != nil && *s.RepeatLastN == 0 {
		// A window of no tokens: no penalty can apply. In sample.Params, 0 means the default window.
		s.RepeatLastN = nil
		s.RepeatPenalty, s.PresencePenalty, s.FrequencyPenalty = new(float32(1)), new(float32(0)), new(float32(0))
	}
	if s.DRYLastN != nil && *s.DRYLastN == 0 {
		s.DRYLastN, s.DRYMultiplier = nil, new(float32(0))
	}
	if raw := f.take("dry_sequence_breakers"); raw != nil {
		s.DRYBreakers = r.words(f.path+"dry_sequence_breakers", raw)
	}
	if raw := f.take("samplers"); raw != nil {
		s.Order = r.order(f.path+"samplers", raw)
	}
	if raw := f.take("seed"); raw != nil {
		// -1 is llama.cpp's for one at random.
		if n := r.integer(f.path+"seed", raw, math.MinInt64, math.MaxInt64); n != -1 {
			s.Seed = new(uint64(n))
		}
	}
	if raw := f.take("logit_bias"); raw != nil {
		r.logitBias(f.path+"logit_bias", raw, o)
	}
}

// ends reads the fields that say what must not come, and what ends the text.
func (f fields) ends(o *Options) {
	r := f.r
	o.Sampling.MinTokens = f.integer("min_tokens", 0, int64(r.limits.MaxTokens))
	if raw := f.take("bad_words"); raw != nil {
		o.BadWords = r.words(f.path+"bad_words", raw)
	}
	if raw := f.take("stop_token_ids"); raw != nil {
		for i, e := range r.elements(f.path+"stop_token_ids", raw, r.limits.Words) {
			o.StopTokens = append(o.StopTokens,
				int32(r.integer(index(f.path+"stop_token_ids", i), e, 0, math.MaxInt32)))
		}
	}
}

// words decodes a list of words, none of them empty. The result is never nil.
func (r *reader) words(param string, raw json.RawMessage) []string {
	list := []string{}
	for i, e := range r.elements(param, raw, r.limits.Words) {
		s := r.text(index(param, i), e, r.limits.WordBytes)
		if s == "" {
			r.fail(index(param, i), CodeValue, "must not be empty")
		}
		list = append(list, s)
	}
	return list
}

// order decodes the order of samplers: a list of names, or a string of their letters.
func (r *reader) order(param string, raw json.RawMessage) []sample.Stage {
	order := []sample.Stage{}
	switch raw[0] {
	case '"':
		list, err := sample.ParseOrder(r.text(param, raw, 256))
		if err != nil {
			r.fail(param, CodeValue, "%s", strings.TrimPrefix(err.Error(), "sample: "))
		}
		return append(order, list...)
	case '[':
	default:
		r.wrongType(param, "an array of names or a string", raw)
		return order
	}
	for i, e := range r.elements(param, raw, sample.MaxOrder) {
		s, err := sample.ParseStage(r.text(index(param, i), e, 256))
		if err != nil {
			r.fail(index(param, i), CodeValue, "%s", strings.TrimPrefix(err.Error(), "sample: "))
		}
		order = append(order, s)
	}
	return order
}

// logitBias decodes an object from token ids or texts to biases, or a list of such pairs. A bias is from -100 to 100,
// or false for never.
func (r *reader) logitBias(param string, raw json.RawMessage, o *Options) {
	o.Sampling.LogitBias = make(map[int32]float32)
	switch raw[0] {
	case '{':
		b := r.object(param, raw)
		if r.tooManyBiases(param, len(b.members)) {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(b.members)) {
			if _, err := strconv.ParseInt(key, 10, 64); err == nil {
				r.biasOf(param, json.RawMessage(key), b.path+key, b.members[key], o)
				continue
			}
			text, _ := json.Marshal(key) // a string
			r.biasOf(param, text, b.path+clipName(key), b.members[key], o)
		}
	case '[':
		if r.tooManyBiases(param, count(raw)) {
			return
		}
		for i, e := range r.elements(param, raw, r.limits.LogitBias) {
			at := index(param, i)
			pair := r.elements(at, e, 2)
			if len(pair) != 2 {
				r.fail(at, CodeValue, "must be a token, or a text, and its bias")
				return
			}
			r.biasOf(index(at, 0), pair[0], index(at, 1), pair[1], o)
		}
	default:
		r.wrongType(param, "an object or an array", raw)
	}
}

func (r *reader) tooManyBiases(param string, n int) bool {
	if n > r.limits.LogitBias {
		r.fail(param, CodeValue, "has %d entries, at most %d are allowed", n, r.limits.LogitBias)
		return true
	}
	return false
}

// biasOf notes the bias of a token id or of a text. Biases of one token add up.
func (r *reader) biasOf(keyParam string, key json.RawMessage, param string, raw json.RawMessage, o *Options) {
	var bias float32
	switch raw[0] {
	case 'f':
		bias = float32(math.Inf(-1))
	case 't', 'n':
		r.fail(param, CodeType, "must be a number, or false for never, not %s", kind(raw))
	default:
		bias = float32(r.number(param, raw, -100, 100))
	}
	if key[0] == '"' {
		text := r.text(keyParam, key, r.limits.WordBytes)
		if text == "" {
			r.fail(keyParam, CodeValue, "must not be empty")
		}
		o.BiasTexts = append(o.BiasTexts, TextBias{text, bias})
		return
	}
	id, err := strconv.ParseInt(string(key), 10, 32)
	if err != nil || id < 0 || strconv.FormatInt(id, 10) != string(key) {
		r.fail(keyParam, CodeValue, "key %s must be a token id", quote(string(key)))
		return
	}
	o.Sampling.LogitBias[int32(id)] += bias
}
