package minimaxm2

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("minimax-m2", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.QKNorm = nn.QKNormWhole
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	moe := nn.ReadMoE(k, d)
	moe.Gating, moe.Norm = nn.ReadGating(k, ops.SigmoidGate), true
	d.Repeat(attn, moe)
	return d, k.Err()
}
