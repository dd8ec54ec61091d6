package gemma3

import (
	"math"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("gemma3", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := read(k, false)
	return d, k.Err()
}

// read makes the model, with attention that sees all of a text or not.
func read(k *models.Keys, bidirectional bool) *nn.Decoder {
	k.Default("attention.layer_norm_rms_epsilon", float32(1e-6))
	k.Default("rope.freq_base", float32(k.FloatOr("rope.global.freq_base", 1e6, 1.001, 1e15)))
	d := nn.ReadDecoder(k)
	d.Norms = nn.SandwichNorms
	d.EmbdScale = float32(math.Sqrt(float64(d.Embd)))
	d.LogitSoftcap = float32(k.FloatOr("final_logit_softcapping", 0, 0, 1e6))

	full := nn.ReadAttention(k, d)
	full.QKNorm, full.Bidirectional = nn.QKNormHeads, bidirectional
	full.RoPE = nn.ReadRoPE(k, d, full.HeadDim, ops.NeoX)
	full.Softcap = float32(k.FloatOr("attn_logit_softcapping", 0, 0, 1e6))
	if full.Scale == 0 && d.Layers == 62 {
		full.Scale = float32(1 / math.Sqrt(float64(d.Embd/full.Heads)))
	}
	local := *full
	local.Window = nn.ReadWindow(k)
	local.RoPE = nn.ReadSlidingRoPE(k, d, full.HeadDim, ops.NeoX, k.FloatOr("rope.local.freq_base", 1e4, 1.001, 1e15))
	d.Alternate(nn.ReadSliding(k, d, 6), &local, full, nn.ReadMLPs(k, d, ops.GeGLU)...)
	return d
}
