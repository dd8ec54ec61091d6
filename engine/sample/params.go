package sample

import (
	"fmt"
	"math"
	"slices"
)

// DefaultRepeatLastN is the window of the penalties when Params.RepeatLastN is zero, as in llama.cpp.
const DefaultRepeatLastN = 64

// maxXTCThreshold is the share of probability that two tokens can both have: with a higher threshold, XTC is off.
const maxXTCThreshold = 0.5

// Params are the sampling parameters of one sequence. The zero value is greedy without penalties.
type Params struct {
	Temperature float32 // 0 is greedy
	TopP        float32 // in [0, 1]; 0 and 1 are off
	MinP        float32 // in [0, 1]; 0 is off
	TypicalP    float32 // in [0, 1]; 0 and 1 are off
	TopNSigma   float32 // 0 is off
	TopK        int     // 0 and negative are off
	MinKeep     int     // candidates that typical, top-p, min-p and XTC leave at least, as far as there are so many

	DynatempRange    float32 // 0 is off
	DynatempExponent float32 // of the entropy's share; 1 is linear

	XTCProbability float32 // in [0, 1]; 0 is off
	XTCThreshold   float32 // in [0, 1]; above 0.5 is off

	RepeatPenalty    float32 // 0 and 1 are off; above 1 discourages
	PresencePenalty  float32 // 0 is off
	FrequencyPenalty float32 // 0 is off
	// tokens that the penalties look back on; 0 is DefaultRepeatLastN, negative is all of them
	RepeatLastN int

	DRYMultiplier    float32  // 0 is off
	DRYBase          float32  // at least 1
	DRYAllowedLength int      // longest repetition without a penalty, at least 1
	DRYLastN         int      // tokens that DRY looks back on; 0 and negative are all of them
	DRYBreakers      []string // texts that no repetition reaches across; they need Piece

	// 1 or 2 is the version, which takes the place of the chain but for bias and temperature; 0 is off
	Mirostat    int
	MirostatTau float32 // surprise to aim at, in bits
	MirostatEta float32 // share of the error that a token corrects

	Order []Stage // of the chain; nil is the default order, and stages that it leaves out are off

	Seed uint64
	// LogitBias is added to the logits of these ids; minus infinity is never. It is not copied, so it must not change
	// while in use.
	LogitBias map[int32]float32

	MinTokens int       // tokens that are generated before one of Ends may come
	Ends      []int32   // tokens that end the generation
	BadWords  [][]int32 // what must not be said: the last token of each does not follow the others

	// Constraint says which tokens may come. It belongs to this one sequence. Nil allows all.
	Constraint Constraint
	// Piece returns the bytes of a token. Only DRYBreakers need it.
	Piece func(id int32) []byte
}

// Constraint holds a sequence to a form. One goroutine uses it.
type Constraint interface {
	// Mask returns the tokens that may come next, a bit for each id from the lowest of the first word on; ids beyond
	// its end may not. It is not changed, and valid until the next call. It is an error if no token may come.
	Mask() ([]uint64, error)
	// Accept goes on by a token that was taken.
	Accept(id int32) error
	// Forced returns the tokens that must come next, as far as there is no choice. They are not accepted yet.
	Forced() []int32
}

// DefaultDRYBreakers returns the texts that DRY's repetitions do not reach across unless others are given, as in
// llama.cpp.
func DefaultDRYBreakers() []string { return []string{"\n", ":", "\"", "*"} }

// Defaults returns the parameters that apply where neither the request nor the model says otherwise: temperature 0.8,
// top-k 40, top-p 0.95, min-p 0.05, all else off. Those of samplers that are off are what they have once they are on:
// DRY base 1.75, allowed length 2 and its breakers, XTC threshold 0.1, mirostat tau 5 and eta 0.1, linear dynamic
// temperature.
func Defaults() Params {
	return Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, DynatempExponent: 1, XTCThreshold: 0.1,
		DRYBase: 1.75, DRYAllowedLength: 2, DRYBreakers: DefaultDRYBreakers(), MirostatTau: 5, MirostatEta: 0.1}
}

// Validate reports the first parameter that is out of its range, for a vocabulary of vocab ids.
func (p Params) Validate(vocab int) error {
	const most = math.MaxFloat32
	base, allowed := p.DRYBase, p.DRYAllowedLength
	if p.DRYMultiplier == 0 {
		base, allowed = 1, 1 // it is off
	}
	for _, c := range []struct {
		name     string
		v        float32
		min, max float32
	}{
		{"temperature", p.Temperature, 0, most},
		{"top_p", p.TopP, 0, 1},
		{"min_p", p.MinP, 0, 1},
		{"typical_p", p.TypicalP, 0, 1},
		{"top_n_sigma", p.TopNSigma, 0, most},
		{"dynatemp_range", p.DynatempRange, 0, most},
		{"dynatemp_exponent", p.DynatempExponent, 0, most},
		{"xtc_probability", p.XTCProbability, 0, 1},
		{"xtc_threshold", p.XTCThreshold, 0, 1},
		{"repeat_penalty", p.RepeatPenalty, 0, most},
		{"presence_penalty", p.PresencePenalty, -most, most},
		{"frequency_penalty", p.FrequencyPenalty, -most, most},
		{"dry_multiplier", p.DRYMultiplier, 0, most},
		{"dry_base", base, 1, most},
		{"mirostat_tau", p.MirostatTau, 0, most},
		{"mirostat_eta", p.MirostatEta, 0, most},
	} {
		if !(c.v >= c.min && c.v <= c.max) {
			return fmt.Errorf("sample: %s %v: must be from %v to %v", c.name, c.v, c.min, c.max)
		}
	}
	for _, c := range []struct {
		name   string
		v      int
		lo, hi int
	}{
		{"min_keep", p.MinKeep, 0, math.MaxInt},
		{"min_tokens", p.MinTokens, 0, math.MaxInt},
		{"dry_allowed_length", allowed, 1, math.MaxInt},
		{"mirostat", p.Mirostat, 0, 2},
		{"samplers", len(p.Order), 0, MaxOrder},
	} {
		if c.v < c.lo || c.v > c.hi {
			return fmt.Errorf("sample: %s %d: must be from %d to %d", c.name, c.v, c.lo, c.hi)
		}
	}
	for _, s := range p.Order {
		if int(s) >= stages {
			return fmt.Errorf("sample: samplers: there is no %v", s)
		}
	}
	for id, b := range p.LogitBias {
		if err := inside("logit_bias", id, vocab); err != nil {
			return err
		}
		if !finite(b) && !never(b) {
			return fmt.Errorf("sample: logit_bias of token %d: %v is not finite", id, b)
		}
	}
	for _, ids := range append(slices.Clip(p.BadWords), p.Ends) {
		for _, id := range ids {
			if err := inside("bad_words or ends", id, vocab); err != nil {
				return err
			}
		}
	}
	return nil
}

// inside reports an id that the vocabulary does not have.
func inside(what string, id int32, vocab int) error {
	if id < 0 || int(id) >= vocab {
		return fmt.Errorf("sample: %s of token %d: the vocabulary has ids 0 to %d", what, id, vocab-1)
	}
	return nil
}

// penalises reports whether any penalty is on.
func (p *Params) penalises() bool {
	return (p.RepeatPenalty != 0 && p.RepeatPenalty != 1) || p.PresencePenalty != 0 || p.FrequencyPenalty != 0
}

// finite reports whether v is neither NaN nor an infinity: only for those is v-v not zero.
func finite(v float32) bool { return v-v == 0 }

// never reports whether v is the bias, and the logit, of what must not come.
func never(v float32) bool { return v < -math.MaxFloat32 }
