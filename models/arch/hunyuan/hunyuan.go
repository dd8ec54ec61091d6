package hunyuan

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("hunyuan-dense", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.QKNorm, attn.RoPEFirst = nn.QKNormHeads, true
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	d.Repeat(attn, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	return d, k.Err()
}
