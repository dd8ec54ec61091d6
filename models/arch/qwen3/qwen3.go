package qwen3

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	for _, name := range []string{"qwen3", "qwen3vl"} {
		models.Register(name, func(meta *gguf.Meta) (models.Model, error) {
			k := models.NewKeys(meta)
			d := nn.ReadDecoder(k)
			d.Repeat(attention(k, d), nn.ReadMLPs(k, d, ops.SwiGLU)...)
			return d, k.Err()
		})
	}
	for _, name := range []string{"qwen3moe", "qwen3vlmoe"} {
		models.Register(name, func(meta *gguf.Meta) (models.Model, error) {
			k := models.NewKeys(meta)
			d := nn.ReadDecoder(k)
			moe := nn.ReadMoE(k, d)
			moe.Norm = true
			d.Repeat(attention(k, d), moe)
			return d, k.Err()
		})
	}
}

func attention(k *models.Keys, d *nn.Decoder) *nn.Attention {
	a := nn.ReadAttention(k, d)
	a.QKNorm = nn.QKNormHeads
	a.RoPE = nn.ReadRoPE(k, d, a.HeadDim, ops.NeoX)
	return a
}
