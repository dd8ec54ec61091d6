package gemma2

import (
	"math"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("gemma2", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	d.Norms = nn.SandwichNorms
	d.EmbdScale = float32(math.Sqrt(float64(d.Embd)))
	d.LogitSoftcap = float32(k.FloatOr("final_logit_softcapping", 30, 0, 1e6))

	full := nn.ReadAttention(k, d)
	full.RoPE = nn.ReadRoPE(k, d, full.HeadDim, ops.NeoX)
	full.Softcap = float32(k.FloatOr("attn_logit_softcapping", 50, 0, 1e6))
	if full.Scale == 0 && d.Layers == 46 {
		full.Scale = float32(1 / math.Sqrt(float64(d.Embd/full.Heads)))
	}
	local := *full
	local.Window = nn.ReadWindow(k)
	d.Alternate(nn.ReadSliding(k, d, 2), &local, full, nn.ReadMLPs(k, d, ops.GeGLU)...)
	return d, k.Err()
}
