package olmohybrid

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("olmo-hybrid", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadAttention(k, d)
	attn.QKNorm = nn.QKNormWhole
	if k.Has("rope.freq_base") {
		attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	}
	delta := nn.ReadUnevenDeltaNet(k, d)
	delta.NormEps = float32(k.FloatOr("ssm.norm_epsilon", 1e-5, 0, 1))
	delta.Twice = k.BoolOr("ssm.allow_negative", false)
	recurrent := nn.ReadRecurrent(k, d)
	d.Alternate(recurrent, delta, attn, nn.ReadMLPs(k, d, ops.SwiGLU)...)
	for i := range d.Blocks {
		if !recurrent[i] {
			d.Blocks[i].Norms = &nn.Norms{MixerOut: "post_attention_norm", FFNOut: "post_ffw_norm"}
		}
	}
	return d, k.Err()
}
