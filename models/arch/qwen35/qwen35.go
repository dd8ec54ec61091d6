package qwen35

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("qwen35", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		return hybrid(k, d, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	})
	models.Register("qwen35moe", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		moe := nn.ReadMoE(k, d)
		moe.Norm = true
		moe.Shared = k.IntOr("expert_shared_feed_forward_length", 0, 0, models.MaxDim)
		moe.SharedGate = true
		return hybrid(k, d, moe)
	})
}

// hybrid gives d its blocks: DeltaNet layers with gated attention in between.
func hybrid(k *models.Keys, d *nn.Decoder, ffns ...nn.FFN) (models.Model, error) {
	d.Norms = nn.Norms{Mixer: "attn_norm", FFN: "post_attention_norm"}
	attn := nn.ReadAttention(k, d)
	attn.QKNorm, attn.Gated = nn.QKNormHeads, true
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	d.Alternate(nn.ReadRecurrent(k, d), nn.ReadDeltaNet(k, d, true), attn, ffns...)
	nn.ReadNextN(k, d, attn, ffns[len(ffns)-1])
	return d, k.Err()
}
