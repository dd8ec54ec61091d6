package gptneox

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("gptneox", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadLayerNormDecoder(k)
	d.Parallel = k.BoolOr("use_parallel_residual", true)
	attn := nn.ReadAttention(k, d)
	attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
	act := nn.Unary(ops.GELUErf)
	switch name := k.String("hidden_activation", "gelu"); name {
	case "gelu":
	case "gelu_new", "gelu_fast", "gelu_pytorch_tanh":
		act = ops.GELU
	default:
		k.Fail("hidden_activation %q is not known", name)
	}
	d.Repeat(attn, nn.ReadFeedForwards(k, d, act)...)
	return d, k.Err()
}
