package arcee

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("arcee", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.Interleaved)
	attn.RoPE.Factors = "rope_freqs.weight"
	d.Repeat(attn, nn.ReadFeedForwards(k, d, nn.SquaredReLU)...)
	return d, k.Err()
}
