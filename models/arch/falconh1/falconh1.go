package falconh1

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("falcon-h1", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	d.BareNorms = true
	attn := nn.ReadAttention(k, d)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	ssm := nn.ReadMamba2(k, d)
	ssm.NormIfThere = true
	d.Repeat(nn.Sum{attn, ssm}, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	return d, k.Err()
}
