package llama

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("llama", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.Interleaved)
	attn.RoPE.Factors = "rope_freqs.weight"
	if k.IntOr("expert_count", 0, 0, models.MaxExperts) > 0 {
		moe := nn.ReadMoE(k, d)
		moe.Norm = true
		d.Repeat(attn, moe)
		return d, k.Err()
	}
	local := *attn
	local.Window = nn.ReadWindow(k)
	sliding := make([]bool, d.Layers)
	if k.Has("attention.sliding_window_pattern") {
		sliding = nn.ReadSliding(k, d, 1)
	}
	d.Alternate(sliding, &local, attn, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	return d, k.Err()
}
