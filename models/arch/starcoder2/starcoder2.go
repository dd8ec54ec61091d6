package starcoder2

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("starcoder2", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadLayerNormDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.Window = nn.ReadWindow(k)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	d.Repeat(attn, nn.ReadFeedForwards(k, d, ops.GELU)...)
	return d, k.Err()
}
