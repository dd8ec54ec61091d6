package hipengine

import (
	"encoding/json"
	"math/rand/v2"

	"github.com/hipengine/hipengine/engine/sample"
)

// Params say how an answer is made. What is nil or zero is the model's own choice, as its publisher names it, or else
// that of package engine/sample, whose documentation defines each: temperature 0.8, top-k 40, top-p 0.95, min-p 0.05,
// all other samplers off.
type Params struct {
	Temperature *float32 // 0 always takes the most likely token
	TopK        *int     // sample from so many of the most likely tokens; 0 and -1 are all
	TopP        *float32 // sample from the most likely tokens that hold this much probability
	MinP        *float32 // drop tokens below this share of the most likely one's probability
	TypicalP    *float32 // sample from the tokens of typical surprise that hold this much probability
	TopNSigma   *float32 // drop tokens that many standard deviations of the logits below the most likely one
	MinKeep     *int     // tokens that typical, top-p, min-p and XTC leave at least

	DynatempRange    *float32 // lets the temperature follow the entropy, so far up and down
	DynatempExponent *float32

	XTCProbability *float32 // of dropping all but the least of the tokens above XTCThreshold
	XTCThreshold   *float32

	RepeatPenalty    *float32 // above 1 discourages what was said; 1 is off
	PresencePenalty  *float32
	FrequencyPenalty *float32
	RepeatLastN      *int // tokens that penalties look back on

	DRYMultiplier    *float32 // discourages tokens that go on with a repetition; 0 is off
	DRYBase          *float32
	DRYAllowedLength *int
	DRYLastN         *int
	DRYBreakers      []string // texts that no repetition reaches across; nil is not set

	Mirostat    *int // 1 or 2 aims at a surprise in place of the other samplers; 0 is off
	MirostatTau *float32
	MirostatEta *float32

	// Samplers is their order by llama.cpp's names: penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc,
	// temperature, which is the default. Those that it leaves out are off. Nil is not set.
	Samplers []string

	// Seed of the random numbers; the same seed gives the same answer. Nil draws one.
	Seed      *uint64
	LogitBias map[int32]float32 // added to the logits of these ids; it must not change while the answer is made

	// Constraint holds the answer to a form: JSON, a grammar or a regular expression. The zero value is none.
	Constraint Constraint

	// Spec is what guesses tokens of the answer: empty is what the model was opened with, SpecOff nothing, and others are
	// names of what it was opened with. Without Seed, more guesses can be right. MaxGuesses is the most tokens that are
	// guessed at once; 0 leaves that to the engine.
	Spec       string
	MaxGuesses int

	MaxTokens  int      // most tokens of the answer; 0 is what the context allows, which is never exceeded
	MinTokens  int      // tokens before an end-of-generation token, a stop token or a stop text can end the answer
	Stop       []string // texts that end the answer and are not part of it
	StopTokens []int32  // tokens that end the answer, beside those of the model
	IgnoreEOS  bool     // end-of-generation tokens are tokens like any other; not with a constraint

	// ThinkingBudget is the most tokens that the model may think in Chat, if its template marks thoughts; 0 is none,
	// and nil and -1 are any number.
	ThinkingBudget *int

	// Of Chat alone: tools that the model may call, a JSON array in the form of OpenAI's chat completions, and further
	// variables of the model's template, such as enable_thinking.
	Tools    json.RawMessage
	Template map[string]json.RawMessage
}

// Overrides are the sampling parameters that are set, for servers. The error is a *[ParamsError].
func (p Params) Overrides() (sample.Overrides, error) {
	o := sample.Overrides{Temperature: p.Temperature, TopK: p.TopK, TopP: p.TopP, MinP: p.MinP, TypicalP: p.TypicalP,
		TopNSigma: p.TopNSigma, MinKeep: p.MinKeep, DynatempRange: p.DynatempRange,
		DynatempExponent: p.DynatempExponent,
		XTCProbability:   p.XTCProbability, XTCThreshold: p.XTCThreshold,
		RepeatPenalty: p.RepeatPenalty, PresencePenalty: p.PresencePenalty, FrequencyPenalty: p.FrequencyPenalty,
		RepeatLastN: p.RepeatLastN, DRYMultiplier: p.DRYMultiplier, DRYBase: p.DRYBase,
		DRYAllowedLength: p.DRYAllowedLength,
		DRYLastN:         p.DRYLastN, DRYBreakers: p.DRYBreakers, Mirostat: p.Mirostat, MirostatTau: p.MirostatTau,
		MirostatEta: p.MirostatEta, Seed: p.Seed, LogitBias: p.LogitBias}
	if p.Samplers != nil {
		o.Order = []sample.Stage{}
	}
	for _, name := range p.Samplers {
		stage, err := sample.ParseStage(name)
		if err != nil {
			return o, &ParamsError{err}
		}
		o.Order = append(o.Order, stage)
	}
	return o, nil
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
	o, err := p.Overrides()
	if err != nil {
		return s, err
	}
	s = o.Apply(s)
	s.MinTokens = p.MinTokens
	s.Piece = func(id int32) []byte { return m.tok.Piece(id, false) }
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
