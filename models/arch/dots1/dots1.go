package dots1

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("dots1", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.QKNorm = nn.QKNormHeads
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	moe := nn.ReadMoE(k, d)
	moe.Gating = nn.ReadGating(k, ops.SigmoidGate)
	moe.Norm = k.BoolOr("expert_weights_norm", false)
	moe.Shared = moe.FF * k.IntOr("expert_shared_count", 0, 0, models.MaxDim/moe.FF)
	d.Repeat(attn, nn.ReadLeadingDense(k, d, moe)...)
	return d, k.Err()
}
