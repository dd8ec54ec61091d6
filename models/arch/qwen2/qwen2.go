package qwen2

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	for _, name := range []string{"qwen2", "qwen2vl"} {
		models.Register(name, func(meta *gguf.Meta) (models.Model, error) {
			k := models.NewKeys(meta)
			d := nn.ReadDecoder(k)
			d.Repeat(attention(k, d), nn.ReadMLPs(k, d, ops.SwiGLU)...)
			return d, k.Err()
		})
	}
	models.Register("qwen2moe", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		moe := nn.ReadMoE(k, d)
		moe.Norm = k.BoolOr("expert_weights_norm", false)
		moe.Shared = k.Int("expert_shared_feed_forward_length", 1, models.MaxDim)
		moe.SharedGate = true
		d.Repeat(attention(k, d), moe)
		return d, k.Err()
	})
}

func attention(k *models.Keys, d *nn.Decoder) *nn.Attention {
	a := nn.ReadAttention(k, d)
	a.QKVBias = true
	a.RoPE = nn.ReadRoPE(k, d, a.HeadDim, ops.NeoX)
	return a
}
