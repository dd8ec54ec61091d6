package sample

import (
	"fmt"
	"math"
)

// DefaultRepeatLastN is the window of the penalties when Params.RepeatLastN is zero, as in llama.cpp.
const DefaultRepeatLastN = 64

// Params are the sampling parameters of one sequence. The zero value is greedy without penalties.
type Params struct {
	Temperature float32 // 0 is greedy
	TopP        float32 // in [0, 1]; 0 and 1 are off
	MinP        float32 // in [0, 1]; 0 is off
	TopK        int     // 0 is off

	RepeatPenalty    float32 // 0 and 1 are off; above 1 discourages
	PresencePenalty  float32 // 0 is off
	FrequencyPenalty float32 // 0 is off
	RepeatLastN      int     // tokens that the penalties look back on; 0 is DefaultRepeatLastN, negative is all of them

	Seed      uint64
	LogitBias map[int32]float32 // added to the logits of these ids; not copied, so it must not change while in use

	// Constraint says which tokens may come. It belongs to this one sequence. Nil allows all.
	Constraint Constraint
}

// Constraint holds a sequence to a form. One goroutine uses it.
type Constraint interface {
	// Mask returns the tokens that may come next, a bit for each id from the lowest of the first word on; ids beyond its
	// end may not. It is not changed, and valid until the next call. It is an error if no token may come.
	Mask() ([]uint64, error)
	// Accept goes on by a token that was taken.
	Accept(id int32) error
	// Forced returns the tokens that must come next, as far as there is no choice. They are not accepted yet.
	Forced() []int32
}

// Defaults returns the parameters that apply where neither the request nor the model says otherwise: temperature 0.8,
// top-k 40, top-p 0.95, min-p 0.05, penalties off.
func Defaults() Params {
	return Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05}
}

// Validate reports the first parameter that is out of its range, for a vocabulary of vocab ids.
func (p Params) Validate(vocab int) error {
	for _, c := range []struct {
		name     string
		v        float32
		min, max float32
	}{
		{"temperature", p.Temperature, 0, math.MaxFloat32},
		{"top_p", p.TopP, 0, 1},
		{"min_p", p.MinP, 0, 1},
		{"repeat_penalty", p.RepeatPenalty, 0, math.MaxFloat32},
		{"presence_penalty", p.PresencePenalty, -math.MaxFloat32, math.MaxFloat32},
		{"frequency_penalty", p.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32},
	} {
		if !(c.v >= c.min && c.v <= c.max) {
			return fmt.Errorf("sample: %s %v: must be from %v to %v", c.name, c.v, c.min, c.max)
		}
	}
	if p.TopK < 0 {
		return fmt.Errorf("sample: top_k %d: must not be negative", p.TopK)
	}
	for id, b := range p.LogitBias {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("sample: logit_bias of token %d: the vocabulary has ids 0 to %d", id, vocab-1)
		}
		if !finite(b) {
			return fmt.Errorf("sample: logit_bias of token %d: %v is not finite", id, b)
		}
	}
	return nil
}

// penalises reports whether any penalty is on.
func (p Params) penalises() bool {
	return (p.RepeatPenalty != 0 && p.RepeatPenalty != 1) || p.PresencePenalty != 0 || p.FrequencyPenalty != 0
}

// finite reports whether v is neither NaN nor an infinity: only for those is v-v not zero.
func finite(v float32) bool { return v-v == 0 }

// Overrides are parameters of which some are set, such as those that a request or a model's generation_config names.
type Overrides struct {
	Temperature, TopP, MinP                          *float32
	RepeatPenalty, PresencePenalty, FrequencyPenalty *float32
	TopK, RepeatLastN                                *int
	Seed                                             *uint64
	LogitBias                                        map[int32]float32 // nil is not set
}

// Apply returns p with the parameters that are set in o put in place of its own.
func (o Overrides) Apply(p Params) Params {
	set(&p.Temperature, o.Temperature)
	set(&p.TopP, o.TopP)
	set(&p.MinP, o.MinP)
	set(&p.RepeatPenalty, o.RepeatPenalty)
	set(&p.PresencePenalty, o.PresencePenalty)
	set(&p.FrequencyPenalty, o.FrequencyPenalty)
	set(&p.TopK, o.TopK)
	set(&p.RepeatLastN, o.RepeatLastN)
	set(&p.Seed, o.Seed)
	if o.LogitBias != nil {
		p.LogitBias = o.LogitBias
	}
	return p
}

func set[T float32 | int | uint64](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}
