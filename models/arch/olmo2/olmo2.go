package olmo2

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("olmo2", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	d.Norms = nn.Norms{MixerOut: "post_attention_norm", FFNOut: "post_ffw_norm"}
	full := nn.ReadAttention(k, d)
	full.QKNorm = nn.QKNormWhole
	full.RoPE = nn.ReadRoPE(k, d, full.HeadDim, ops.NeoX)
	ffns := nn.ReadMLPs(k, d, ops.SwiGLU)
	window := nn.ReadWindow(k)
	if window == 0 {
		d.Repeat(full, ffns...)
		return d, k.Err()
	}
	local := *full
	local.Window = window
	local.RoPE = nn.ReadSlidingRoPE(k, d, full.HeadDim, ops.NeoX, full.RoPE.Base)
	d.Alternate(nn.ReadSliding(k, d, 4), &local, full, ffns...)
	return d, k.Err()
}
