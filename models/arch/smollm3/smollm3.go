package smollm3

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("smollm3", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	rotated := nn.ReadAttention(k, d)
	plain := *rotated
	rotated.RoPE = nn.ReadRoPE(k, d, rotated.HeadDim, ops.Interleaved)
	d.Alternate(nn.AllButEvery(4, d.Layers), rotated, &plain, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	return d, k.Err()
}
