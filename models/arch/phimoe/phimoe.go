package phimoe

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("phimoe", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	k.Default("rope.scaling.type", "longrope")
	d := nn.ReadDecoder(k)
	d.LayerNorm, d.OutputBias = true, true
	attn := nn.ReadAttention(k, d)
	attn.Window = nn.ReadWindow(k)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	attn.RoPE.NoFactors = true
	moe := nn.ReadMoE(k, d)
	if moe.Norm = true; k.IntOr("expert_gating_func", 0, 0, 1) == 0 {
		moe.Sparse = nn.ReadSparseMixer(k, moe)
	} else {
		moe.Gating = nn.ReadGating(k, ops.Softmax)
	}
	d.Repeat(attn, moe)
	return d, k.Err()
}
