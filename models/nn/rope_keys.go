package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// ReadRoPE reads the rotary keys. Defaults: rope.dimension_count the head dimension, rope.freq_base 10000,
// rope.scaling.type linear with rope.scaling.factor (or the older rope.scale_linear) 1,
// rope.scaling.original_context_length the context length. The scaling "llama3", which files of llama.cpp express
// as a tensor, takes its parameters from rope.scaling.low_freq_factor and high_freq_factor. The table joins those of
// d.
func ReadRoPE(k *models.Keys, d *Decoder, headDim int, pairing ops.Pairing) *RoPE {
	r := &RoPE{Pairing: pairing}
	r.NRot = k.IntOr("rope.dimension_count", headDim, 2, headDim)
	if r.NRot%2 != 0 {
		k.Fail("rope.dimension_count %d is odd", r.NRot)
	}
	r.Base = k.FloatOr("rope.freq_base", 10000, 1.001, 1e15)
	r.Factor = k.FloatOr("rope.scaling.factor", k.FloatOr("rope.scale_linear", 1, 0, 1e6), 0, 1e6)
	r.AttnFactor = k.FloatOr("rope.scaling.attn_factor", 1, 0, 1e3) *
		or(k.FloatOr("rope.scaling.yarn_attn_factor", 1, 0, 1e3), 1)
	r.Context = k.IntOr("rope.scaling.original_context_length", d.Context, 1, models.MaxContext)
	switch typ := k.String("rope.scaling.type", "linear"); typ {
	case "none":
	case "linear":
		r.Scaling = LinearScaling
	case "yarn":
		r.Scaling = YaRN
		r.BetaFast = k.FloatOr("rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6)
		r.BetaSlow = k.FloatOr("rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6)
		r.LogMultiplier = k.FloatOr("rope.scaling.yarn_log_multiplier", 0, 0, 1e3)
		switch ext := k.FloatOr("rope.scaling.yarn_ext_factor", 1, -1, 1); ext {
		case 0:
			r.NoExtrapolation = true
		case 1, -1: // -1 is llama.cpp's word for the default
		default:
			k.Fail("rope.scaling.yarn_ext_factor %v is neither 0 nor 1", ext)
		}
	case "longrope":
		r.Scaling = LongRoPE
	case "llama3":
		r.Scaling = Llama3
		r.LowFreq = k.FloatOr("rope.scaling.low_freq_factor", 1, 1e-3, 1e6)
		r.HighFreq = k.FloatOr("rope.scaling.high_freq_factor", 4, 1e-3, 1e6)
		if r.HighFreq <= r.LowFreq {
			k.Fail("rope.scaling.high_freq_factor %v is not above low_freq_factor %v", r.HighFreq, r.LowFreq)
		}
	default:
		k.Fail("rope.scaling.type %q is not known (known: none, linear, yarn, longrope, llama3)", typ)
	}
	d.RoPE = append(d.RoPE, r)
	return r
}

// ReadSlidingRoPE reads the rotary keys of layers with a sliding window, where those differ from the others':
// rope.freq_base_swa, base by default, and rope.dimension_count_swa, by default the head dimension. Frequencies are
// not scaled. The table joins those of d.
func ReadSlidingRoPE(k *models.Keys, d *Decoder, headDim int, pairing ops.Pairing, base float64) *RoPE {
	r := &RoPE{Name: "rope.freqs.swa", Pairing: pairing}
	r.NRot = k.IntOr("rope.dimension_count_swa", headDim, 2, headDim)
	if r.NRot%2 != 0 {
		k.Fail("rope.dimension_count_swa %d is odd", r.NRot)
	}
	r.Base = k.FloatOr("rope.freq_base_swa", base, 1.001, 1e15)
	d.RoPE = append(d.RoPE, r)
	return r
}
