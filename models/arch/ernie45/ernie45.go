package ernie45

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("ernie4_5", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		d.Repeat(attention(k, d), nn.ReadMLPs(k, d, ops.SwiGLU)...)
		return d, k.Err()
	})
	models.Register("ernie4_5-moe", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		moe := nn.ReadMoE(k, d)
		moe.Norm = true
		moe.Shared = k.IntOr("expert_shared_feed_forward_length", 0, 0, models.MaxDim)
		if step := k.IntOr("interleave_moe_layer_step", 1, 0, models.MaxLayers); step > 1 {
			k.Fail("interleave_moe_layer_step %d: dense layers among sparse ones are not known", step)
		}
		d.Repeat(attention(k, d), nn.ReadLeadingDense(k, d, moe)...)
		return d, k.Err()
	})
}

func attention(k *models.Keys, d *nn.Decoder) *nn.Attention {
	a := nn.ReadAttention(k, d)
	a.RoPE = nn.ReadRoPE(k, d, a.HeadDim, ops.Interleaved)
	return a
}
