package main

import (
	"strings"

	"github.com/hipengine/hipengine"
)

// samplerFlags set sampling parameters; what is not given is the model's own.
type samplerFlags struct {
	Temperature      *float32 `name:"temp" help:"Temperature; 0 always takes the most likely token."`
	TopK             *int     `help:"Sample from the K most likely tokens; 0 or -1 for all."`
	TopP             *float32 `help:"Sample from the most likely tokens that hold this much probability."`
	MinP             *float32 `help:"Drop tokens below this share of the most likely one's probability."`
	TypicalP         *float32 `name:"typical-p" help:"Sample from the tokens of typical surprise that hold this much probability; 1 is off."`
	TopNSigma        *float32 `name:"top-n-sigma" help:"Drop tokens whose logit is so many standard deviations below the highest; 0 is off."`
	MinKeep          *int     `name:"min-keep" help:"Tokens that typical-p, top-p, min-p and XTC leave at least."`
	DynatempRange    *float32 `name:"dynatemp-range" help:"Let the temperature follow the entropy, so far up and down; 0 is off."`
	DynatempExponent *float32 `name:"dynatemp-exponent" help:"Exponent of the entropy's share in that; 1 is linear."`
	XTCProbability   *float32 `name:"xtc-probability" help:"Probability of dropping all but the least likely of the tokens above --xtc-threshold; 0 is off."`
	XTCThreshold     *float32 `name:"xtc-threshold" help:"Probability of tokens that XTC may drop; above 0.5 is off."`
	RepeatPenalty    *float32 `name:"repeat-penalty" help:"Above 1 discourages tokens of the last --repeat-last-n; 1 is off."`
	PresencePenalty  *float32 `name:"presence-penalty" help:"Taken from the logits of those tokens once; 0 is off."`
	FrequencyPenalty *float32 `name:"frequency-penalty" help:"Taken from them for each time that they came; 0 is off."`
	RepeatLastN      *int     `name:"repeat-last-n" help:"Tokens that these penalties look back on, prompt included; 0 is 64, -1 is all."`
	DRYMultiplier    *float32 `name:"dry-multiplier" help:"Strength of DRY, which discourages what goes on with a repetition; 0 is off."`
	DRYBase          *float32 `name:"dry-base" help:"Base of DRY's growth with the length of the repetition."`
	DRYAllowedLength *int     `name:"dry-allowed-length" help:"Longest repetition that DRY lets pass."`
	DRYLastN         *int     `name:"dry-penalty-last-n" help:"Tokens that DRY looks back on; -1 is all."`
	DRYBreakers      []string `name:"dry-sequence-breaker" sep:"none" placeholder:"TEXT" help:"Text that no repetition reaches across, in place of line ends, colons, quotes and asterisks; may be given several times, and is none for no text."`
	Mirostat         *int     `help:"1 or 2 aims at a surprise in place of the other samplers; 0 is off."`
	MirostatTau      *float32 `name:"mirostat-tau" help:"Surprise in bits that mirostat aims at."`
	MirostatEta      *float32 `name:"mirostat-eta" help:"Share of its error that mirostat corrects with each token."`
	Samplers         string   `placeholder:"NAMES" help:"Order of the samplers, with ; between them: penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature unless told otherwise. Those left out are off."`
	Seed             *uint64  `help:"Seed of the random numbers; the same seed gives the same answer."`
}

// params are the flags as the library has them.
func (f samplerFlags) params() hipengine.Params {
	p := hipengine.Params{Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP, TypicalP: f.TypicalP,
		TopNSigma: f.TopNSigma, MinKeep: f.MinKeep, DynatempRange: f.DynatempRange,
		DynatempExponent: f.DynatempExponent,
		XTCProbability:   f.XTCProbability, XTCThreshold: f.XTCThreshold, RepeatPenalty: f.RepeatPenalty,
		PresencePenalty: f.PresencePenalty, FrequencyPenalty: f.FrequencyPenalty, RepeatLastN: f.RepeatLastN,
		DRYMultiplier: f.DRYMultiplier, DRYBase: f.DRYBase, DRYAllowedLength: f.DRYAllowedLength, DRYLastN: f.DRYLastN,
		DRYBreakers: f.DRYBreakers, Mirostat: f.Mirostat, MirostatTau: f.MirostatTau,
		MirostatEta: f.MirostatEta, Seed: f.Seed}
	if len(p.DRYBreakers) == 1 && p.DRYBreakers[0] == "none" {
		p.DRYBreakers = []string{}
	}
	if f.Samplers != "" {
		for name := range strings.SplitSeq(f.Samplers, ";") {
			p.Samplers = append(p.Samplers, strings.TrimSpace(name))
		}
	}
	return p
}

// answerFlags bound the answer.
type answerFlags struct {
	MaxTokens int      `short:"n" help:"Most tokens of an answer, which ends earlier where the context does; 0 for what fits."`
	MinTokens int      `name:"min-tokens" help:"Tokens before an answer can end."`
	Stop      []string `sep:"none" placeholder:"TEXT" help:"Text that ends the answer and is not part of it; may be given several times."`
	IgnoreEOS bool     `name:"ignore-eos" help:"Go on when the model ends its answer."`
	Budget    *int     `name:"think-budget" help:"Most tokens that the model may think before it answers; 0 is none, -1 any number."`
}

// limit sets the bounds.
func (f answerFlags) limit(p *hipengine.Params) {
	p.ThinkingBudget = f.Budget
	p.MaxTokens, p.MinTokens, p.Stop, p.IgnoreEOS = f.MaxTokens, f.MinTokens, f.Stop, f.IgnoreEOS
}
