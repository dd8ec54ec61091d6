package exaone4

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("exaone4", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	d.Norms = nn.Norms{MixerOut: "post_attention_norm", FFNOut: "post_ffw_norm"}
	rotated := nn.ReadAttention(k, d)
	rotated.QKNorm = nn.QKNormHeads
	global := *rotated
	rotated.RoPE = nn.ReadRoPE(k, d, rotated.HeadDim, ops.NeoX)
	rotated.RoPE.Factors = "rope_freqs.weight"
	ffns := nn.ReadMLPs(k, d, ops.SwiGLU)
	if rotated.Window = nn.ReadWindow(k); rotated.Window == 0 {
		d.Repeat(rotated, ffns...)
	} else {
		d.Alternate(nn.ReadSliding(k, d, 4), rotated, &global, ffns...)
	}
	return d, k.Err()
}
