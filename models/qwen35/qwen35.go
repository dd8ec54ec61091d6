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
		ffns := nn.ReadMLPs(k, d)
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
	attn := nn.ReadAttention(k, d)
	attn.QKNorm, attn.Gated = true, true
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	delta := nn.ReadDeltaNet(k, d)
	interval := k.IntOr("full_attention_interval", 4, 1, models.MaxLayers)
	recurrent := k.Bools("attention.recurrent_layers", d.Layers)
	for i := range d.Layers {
		b := nn.Block{Mixer: delta, FFN: ffn(i), FFNNorm: "post_attention_norm"}
		if recurrent == nil && (i+1)%interval == 0 || recurrent != nil && !recurrent[i] {
			b.Mixer = attn
		}
		d.Blocks = append(d.Blocks, b)
	}
	return d, k.Err()
}
