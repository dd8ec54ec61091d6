package apertus

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("apertus", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.QKNorm = nn.QKNormHeads
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	attn.RoPE.Factors = "rope_freqs.weight"
	var acts []nn.Unary
	for _, a := range activations(k, d.Layers) {
		acts = append(acts, func(g *ops.Graph, x ops.Value) ops.Value { return ops.XIELU(g, x, a) })
	}
	d.Repeat(attn, nn.ReadFeedForwards(k, d, acts...)...)
	return d, k.Err()
}

// activations reads the parameters of each layer.
func activations(k *models.Keys, layers int) []ops.XIELUAttrs {
	list := func(name string) []float64 {
		x, err := k.Meta.Floats(name)
		if err == nil && len(x) < layers {
			err = fmt.Errorf("key %q lists %d layers of %d", name, len(x), layers)
		}
		for i := 0; err == nil && i < layers; i++ {
			if !(math.Abs(x[i]) <= 1e3) {
				err = fmt.Errorf("key %q holds %v", name, x[i])
			}
		}
		if err != nil {
			k.Fail("%w", err)
			return make([]float64, layers)
		}
		return x
	}
	p, n, beta, eps := list("xielu.alpha_p"), list("xielu.alpha_n"), list("xielu.beta"), list("xielu.eps")
	out := make([]ops.XIELUAttrs, layers)
	for i := range out {
		if math.Abs(eps[i]) > 1e-4 {
			k.Fail("xielu.eps of layer %d is %v, which is not nearly zero", i, eps[i])
		}
		out[i] = ops.XIELUAttrs{Positive: softplus(p[i]), Negative: float32(beta[i]) + softplus(n[i]),
			Linear: float32(beta[i])}
	}
	return out
}

func softplus(x float64) float32 { return float32(max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))) }
