package phi3

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("phi3", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	k.Default("rope.scaling.type", "longrope")
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.Window = nn.ReadWindow(k)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	attn.RoPE.NoFactors = true
	d.Repeat(attn, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	return d, k.Err()
}
