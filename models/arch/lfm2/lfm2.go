package lfm2

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("lfm2", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		return decoder(k, d, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	})
	models.Register("lfm2moe", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		moe := nn.ReadMoE(k, d)
		moe.Gating = nn.ReadGating(k, ops.SigmoidGate)
		moe.Norm = k.BoolOr("expert_weights_norm", true)
		return decoder(k, d, nn.ReadLeadingDense(k, d, moe)...)
	})
}

func decoder(k *models.Keys, d *nn.Decoder, ffns ...nn.FFN) (models.Model, error) {
	d.OutputNorm = "token_embd_norm"
	attn := nn.ReadAttention(k, d)
	attn.QKNorm = nn.QKNormHeads
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	d.Alternate(nn.ReadHeadless(k, d), nn.ReadShortConv(k, d), attn, ffns...)
	return d, k.Err()
}
