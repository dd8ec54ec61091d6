package gptoss

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("gpt-oss",
		func(meta *gguf.Meta) (models.Model, error) { return parse(meta, "post_attention_norm", false) })
	models.Register("gptoss", func(meta *gguf.Meta) (models.Model, error) { return parse(meta, "ffn_norm", true) })
}

// parse makes the model. inTurn says how files fuse the gate and up matrices of the experts.
func parse(meta *gguf.Meta, ffnNorm string, inTurn bool) (models.Model, error) {
	k := models.NewKeys(meta)
	k.Default("rope.scaling.type", "yarn")
	d := nn.ReadDecoder(k)
	d.Norms = nn.Norms{Mixer: "attn_norm", FFN: ffnNorm}

	full := nn.ReadAttention(k, d)
	full.QKVBias, full.Sinks = true, true
	full.RoPE = nn.ReadRoPE(k, d, full.HeadDim, ops.NeoX)
	full.RoPE.Unrounded = true
	local := *full
	local.Window = nn.ReadWindow(k)

	moe := nn.ReadMoE(k, d)
	moe.Gating, moe.Act, moe.InTurn = ops.SoftmaxTopK, swiglu, inTurn
	d.Alternate(nn.ReadSliding(k, d, 2), &local, full, moe)
	return d, k.Err()
}

func swiglu(g *ops.Graph, gate, up ops.Value) ops.Value {
	return ops.SwiGLUClamped(g, gate, up, ops.SwiGLUClampedAttrs{Alpha: 1.702, Limit: 7})
}
