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
		ffns := nn.ReadMLPs(k, d, ops.SwiGLU)
		return hybrid(k, d, func(layer int) nn.FFN { return ffns[layer] })
	})
	models.Register("qwen35moe", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		moe := nn.ReadMoE(k, d)
		moe.Norm = true
		moe.Shared = k.IntOr("expert_shared_feed_forward_length", 0, 0, models.MaxDim)
		moe.SharedGate = true
		return hybrid(k, d, func(int) nn.FFN { return moe })
	})
}

// hybrid gives d its blocks: DeltaNet layers with gated attention in between.
func hybrid(k *models.Keys, d *nn.Decoder, ffn func(layer int) nn.FFN) (models.Model, error) {
	d.Norms = nn.Norms{Mixer: "attn_norm", FFN: "post_attention_norm"}
	attn := nn.ReadAttention(k, d)
	attn.QKNorm, attn.Gated = nn.QKNormHeads, true
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	delta := nn.ReadDeltaNet(k, d, true)
	for i, recurrent := range nn.ReadRecurrent(k, d) {
		b := nn.Block{Mixer: attn, FFN: ffn(i)}
		if recurrent {
			b.Mixer = delta
		}
		d.Blocks = append(d.Blocks, b)
	}
	return d, k.Err()
}
