// Package reglu is an architecture of a third party ("reglu"): a plain decoder whose feed-forward networks are gated
// by the squared rectifier of package relu2. Keys and tensors are those of hipengine's other decoders.
package reglu

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"

	"example.com/thirdparty/relu2"
)

func init() { models.Register("reglu", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	d.Repeat(attn, nn.ReadMLPs(k, d, relu2.ReGLU2)...)
	return d, k.Err()
}
