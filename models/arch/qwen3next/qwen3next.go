package qwen3next

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("qwen3next", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	d.Norms = nn.Norms{Mixer: "attn_norm", FFN: "post_attention_norm"}
	attn := nn.ReadAttention(k, d)
	attn.QKNorm, attn.Gated = nn.QKNormHeads, true
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	delta := nn.ReadDeltaNet(k, d, false)
	moe := nn.ReadMoE(k, d)
	moe.Norm = true
	moe.Shared = k.IntOr("expert_shared_feed_forward_length", 0, 0, models.MaxDim)
	moe.SharedGate = true
	d.Alternate(nn.ReadRecurrent(k, d), delta, attn, moe)
	nn.ReadNextN(k, d, attn, moe)
	return d, k.Err()
}
