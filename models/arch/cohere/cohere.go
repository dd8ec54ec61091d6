package cohere

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("command-r", parse)
	models.Register("cohere2", parse)
}

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadLayerNormDecoder(k)
	d.Parallel, d.Norms = true, nn.Norms{Mixer: "attn_norm"}
	d.LogitScale = float32(k.FloatOr("logit_scale", 1, 0, 1e6))
	rotated := nn.ReadAttention(k, d)
	global := *rotated
	rotated.RoPE = nn.ReadRoPE(k, d, rotated.HeadDim, ops.Interleaved)
	ffns := nn.ReadMLPs(k, d, ops.SwiGLU)
	if k.Arch == "command-r" {
		if d.Layers >= 64 {
			k.Fail("command-r with %d layers normalizes queries and keys, which is not known", d.Layers)
		}
		d.Repeat(rotated, ffns...)
		return d, k.Err()
	}
	rotated.Window = k.Int("attention.sliding_window", 1, models.MaxContext)
	d.Alternate(nn.ReadSliding(k, d, 4), rotated, &global, ffns...)
	return d, k.Err()
}
