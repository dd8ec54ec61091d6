package modernbert

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("modern-bert", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadLayerNormDecoder(k)
	nn.ReadEncoder(k, d)
	d.Encoder.Norm = true

	full := nn.ReadAttention(k, d)
	full.Bidirectional = true
	full.RoPE = nn.ReadRoPE(k, d, full.HeadDim, ops.NeoX)
	local := *full
	local.Window = nn.ReadWindow(k)
	local.RoPE = nn.ReadSlidingRoPE(k, d, full.HeadDim, ops.NeoX, 1e4)
	act := nn.Activation(ops.GeGLUErf)
	switch name := k.String("hidden_activation", "gelu"); name {
	case "gelu":
	case "silu":
		act = ops.SwiGLU
	default:
		k.Fail("hidden_activation %q is not known", name)
	}
	d.Alternate(sliding(k, d), &local, full, nn.ReadMLPs(k, d, act)...)
	if len(d.Blocks) > 0 {
		d.Blocks[0].Bare = true
	}
	return d, k.Err()
}

// sliding reports which layers have a window. A number n for a pattern stands for all but every n-th, which here is the
// first of its group.
func sliding(k *models.Keys, d *nn.Decoder) []bool {
	const key = "attention.sliding_window_pattern"
	if k.Has(key) {
		if _, err := k.Meta.Int(k.Arch + "." + key); err != nil {
			return k.Bools(key, d.Layers)
		}
	}
	period := k.IntOr(key, 3, 1, models.MaxLayers)
	out := make([]bool, d.Layers)
	for i := range out {
		out[i] = i%period != 0
	}
	return out
}
