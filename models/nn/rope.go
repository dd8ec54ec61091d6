package nn

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Scaling says how rotary frequencies are stretched for contexts longer than those of the first training.
type Scaling uint8

// The scalings.
const (
	NoScaling     Scaling = iota
	LinearScaling         // all frequencies divided by Factor
	// low frequencies divided by Factor, high ones kept, a ramp between (Peng et al. 2023, arXiv 2309.00071)
	YaRN
	Llama3   // as YaRN, with a ramp over wavelengths: the scheme of Llama 3.1
	LongRoPE // two tables of factors, picked by the context (Ding et al. 2024, arXiv 2402.13753)
)

// RoPE describes rotary position embedding: a table of frequencies, computed in float64 at load and stored as F32,
// and a factor on cosine and sine. Zero fields take the defaults that their comments name.
type RoPE struct {
	Name    string // of the table among the weights; empty: "rope.freqs"
	NRot    int    // rotated elements of a head
	Pairs   int    // pairs that rotate, the first of NRot/2; 0: all
	Pairing ops.Pairing
	Base    float64

	// Factors is an optional tensor of the file, [NRot/2], that divides the frequencies; empty: none.
	Factors string

	Scaling    Scaling
	Factor     float64 // 0: 1
	Context    int     // of the first training, in tokens; needed for YaRN, Llama3 and LongRoPE
	AttnFactor float64 // on cosine and sine, besides what YaRN puts there; 0: 1

	// LongRoPE alone: files without the tensors of its factors are right, and mean factors of one.
	NoFactors bool

	// YaRN alone. The ramp spans the pairs that turn BetaSlow to BetaFast times over Context tokens.
	BetaFast, BetaSlow float64 // 0: 32 and 1
	NoExtrapolation    bool    // divide all frequencies by Factor (ext_factor 0)
	LogMultiplier      float64 // changes the factor on cosine and sine; 0: none
	Unrounded          bool    // the ends of the ramp are not rounded to whole pairs

	// Llama3 alone: wavelengths above Context/LowFreq are stretched, those below Context/HighFreq kept.
	LowFreq, HighFreq float64 // 0: 1 and 4
}

// The tensors of LongRoPE's factors, [NRot/2] each.
const (
	factorsShort = "rope_factors_short.weight"
	factorsLong  = "rope_factors_long.weight"
)

func (r *RoPE) name() string {
	if r.Name == "" {
		return "rope.freqs"
	}
	return r.Name
}

func (r *RoPE) longName() string { return r.name() + ".long" }

// Specs adds the table, or both tables of LongRoPE.
func (r *RoPE) Specs(s *Specs) {
	table := func(name, factors string, optional bool) {
		spec := models.WeightSpec{Name: name, Shape: tensor.Shape{r.NRot / 2}, Vector: true}
		if factors != "" {
			spec.Inputs = []models.WeightSpec{{Name: factors, Shape: spec.Shape, Vector: true, Optional: optional}}
		}
		spec.Derive = func(in [][]float32) ([]float32, error) {
			if len(in) == 1 && in[0] != nil {
				f, err := r.Freqs(in[0])
				if err != nil {
					err = fmt.Errorf("factors in %q: %w", factors, err)
				}
				return f, err
			}
			return r.Freqs(nil)
		}
		s.Add(spec)
	}
	if r.Scaling == LongRoPE {
		table(r.name(), factorsShort, r.NoFactors)
		table(r.longName(), factorsLong, r.NoFactors)
		return
	}
	table(r.name(), r.Factors, true)
}

// Apply rotates x, [tokens, heads, head dim], by the positions of b.
func (r *RoPE) Apply(g *ops.Graph, w models.Weights, b models.Batch, x ops.Value) ops.Value {
	name := r.name()
	if r.Scaling == LongRoPE && b.Context > r.Context {
		name = r.longName()
	}
	return ops.RoPE(g, x, b.Pos, w.Model().Get(g, name),
		ops.RoPEAttrs{NRot: r.NRot, Pairing: r.Pairing, MScale: float32(r.MScale())})
}

// Freqs returns the frequency of each of the NRot/2 pairs, in radians per position. factors divide them, nil for
// none; they must be positive and finite.
func (r *RoPE) Freqs(factors []float32) ([]float32, error) {
	n := r.NRot / 2
	if factors == nil && r.Scaling == Llama3 {
		factors = r.llama3Factors()
	}
	if factors != nil && len(factors) != n {
		return nil, fmt.Errorf("%d values for %d pairs", len(factors), n)
	}
	out := make([]float32, n)
	for i := range out {
		if r.Pairs > 0 && i >= r.Pairs {
			break // zero: no rotation
		}
		f := math.Pow(r.Base, -2*float64(i)/float64(r.NRot))
		if factors != nil {
			if x := float64(factors[i]); !(x > 0) || math.IsInf(x, 1) {
				return nil, fmt.Errorf("value %d is %v", i, x)
			}
			f /= float64(factors[i])
		}
		switch r.Scaling {
		case LinearScaling:
			f /= or(r.Factor, 1)
		case YaRN:
			keep := r.yarnRamp(i)
			f = f/or(r.Factor, 1)*(1-keep) + f*keep
		}
		if out[i] = float32(f); math.IsInf(float64(out[i]), 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("frequency %d is %v", i, f)
		}
	}
	return out, nil
}

// MScale returns the factor on cosine and sine.
func (r *RoPE) MScale() float64 {
	m := or(r.AttnFactor, 1)
	if r.Scaling != YaRN {
		return m
	}
	get := func(multiplier float64) float64 {
		if f := or(r.Factor, 1); f > 1 {
			return 0.1*multiplier*math.Log(f) + 1
		}
		return 1
	}
	switch {
	case r.LogMultiplier != 0:
		m *= get(1) / get(r.LogMultiplier)
	case !r.NoExtrapolation:
		m *= get(1)
	}
	return m
}

// yarnRamp returns how much of pair i's own frequency YaRN keeps, 0 to 1.
func (r *RoPE) yarnRamp(i int) float64 {
	if r.NoExtrapolation {
		return 0
	}
	lo, hi := r.yarnPair(or(r.BetaFast, 32)), r.yarnPair(or(r.BetaSlow, 1))
	if !r.Unrounded {
		lo, hi = math.Floor(lo), math.Ceil(hi)
	}
	lo, hi = max(lo, 0), min(hi, float64(r.NRot-1))
	return 1 - min(max((float64(i)-lo)/max(0.001, hi-lo), 0), 1)
}

// yarnPair returns the pair, as a real number, that turns the given number of times over Context tokens.
func (r *RoPE) yarnPair(turns float64) float64 {
	return float64(r.NRot) * math.Log(float64(r.Context)/(2*math.Pi*turns)) / (2 * math.Log(r.Base))
}

// llama3Factors returns what Llama 3.1's scheme divides the frequencies by. Files of llama.cpp hold them as a
// tensor; checkpoints name the parameters only.
func (r *RoPE) llama3Factors() []float32 {
	low, high, factor := or(r.LowFreq, 1), or(r.HighFreq, 4), or(r.Factor, 1)
	out := make([]float32, r.NRot/2)
	for i := range out {
		wavelength := 2 * math.Pi * math.Pow(r.Base, 2*float64(i)/float64(r.NRot))
		turns := float64(r.Context) / wavelength
		switch {
		case turns > high:
			out[i] = 1
		case turns < low:
			out[i] = float32(factor)
		default:
			s := (turns - low) / (high - low)
			out[i] = float32(1 / ((1-s)/factor + s))
		}
	}
	return out
}

// or returns x, or def if x is zero.
func or(x, def float64) float64 {
	if x == 0 {
		return def
	}
	return x
}
