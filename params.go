package hipengine

import (
	"encoding/json"
	"math/rand/v2"

	"github.com/hipengine/hipengine/engine/sample"
)

// Params say how an answer is made. What is nil or zero is the model's own choice, as its publisher names it, or else
// that of package engine/sample: temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalties.
type Params struct {
	Temperature *float32 // 0 always takes the most likely token
	TopK        *int     // sample from so many of the most likely tokens; 0 is all
	TopP        *float32 // sample from the most likely tokens that hold this much probability
	MinP        *float32 // drop tokens below this share of the most likely one's probability

	RepeatPenalty    *float32 // above 1 discourages what was said; 1 is off
	PresencePenalty  *float32
	FrequencyPenalty *float32
	RepeatLastN      *int // tokens that penalties look back on

	// Seed of the random numbers; the same seed gives the same answer. Nil draws one.
	Seed      *uint64
	LogitBias map[int32]float32 // added to the logits of these ids; it must not change while the answer is made

	// Constraint holds the answer to a form: JSON, a grammar or a regular expression. The zero value is none.
	Constraint Constraint

	MaxTokens int      // most tokens of the answer; 0 is what the context allows, which is never exceeded
	Stop      []string // texts that end the answer and are not part of it

	// Of Chat alone: tools that the model may call, a JSON array in the form of OpenAI's chat completions, and further
	// variables of the model's template, such as enable_thinking.
	Tools    json.RawMessage
	Template map[string]json.RawMessage
}

// CheckParams returns a *[ParamsError] if a sampling parameter is out of its range for this model. Chat and Generate
// check too.
func (m *Model) CheckParams(p Params) error {
	_, err := m.sampling(p)
	return err
}

// sampling applies p to the model's own parameters.
func (m *Model) sampling(p Params) (sample.Params, error) {
	s := m.defaults.Apply(sample.Defaults())
	if m.defaults.Seed == nil {
		s.Seed = rand.Uint64()
	}
	s = sample.Overrides{Temperature: p.Temperature, TopK: p.TopK, TopP: p.TopP, MinP: p.MinP,
		RepeatPenalty: p.RepeatPenalty, PresencePenalty: p.PresencePenalty, FrequencyPenalty: p.FrequencyPenalty,
		RepeatLastN: p.RepeatLastN, Seed: p.Seed, LogitBias: p.LogitBias}.Apply(s)
	if !p.Constraint.IsZero() {
		v, err := m.Vocabulary()
		if err != nil {
			return s, err
		}
		g, err := v.Compile(p.Constraint)
		if err != nil {
			return s, &ParamsError{err}
		}
		s.Constraint = g.NewMatcher()
	}
	if err := s.Validate(m.runner.Limits().Vocab); err != nil {
		return s, &ParamsError{err}
	}
	return s, nil
}
