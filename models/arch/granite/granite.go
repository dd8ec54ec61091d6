package granite

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("granite", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		return decoder(k, d, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	})
	models.Register("granitemoe", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		return decoder(k, d, readMoE(k, d))
	})
}

func readMoE(k *models.Keys, d *nn.Decoder) *nn.MoE {
	moe := nn.ReadMoE(k, d)
	moe.Norm = true
	moe.Shared = k.IntOr("expert_shared_feed_forward_length", 0, 0, models.MaxDim)
	return moe
}

func readFactors(k *models.Keys, d *nn.Decoder) {
	d.EmbdScale = float32(k.FloatOr("embedding_scale", 1, 1e-6, 1e6))
	d.ResidualScale = float32(k.FloatOr("residual_scale", 1, 1e-6, 1e6))
	d.LogitScale = float32(1 / k.FloatOr("logit_scale", 1, 1e-6, 1e6))
}

func decoder(k *models.Keys, d *nn.Decoder, ffns ...nn.FFN) (models.Model, error) {
	readFactors(k, d)
	attn := nn.ReadAttention(k, d)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.Interleaved)
	attn.RoPE.Factors = "rope_freqs.weight"
	d.Repeat(attn, ffns...)
	return d, k.Err()
}
