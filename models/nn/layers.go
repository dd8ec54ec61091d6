package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Linear returns x·wᵀ with w = name.weight and its factor, if it has one, plus name.bias if there is one. x: [tokens,
// in]; result [tokens, out].
func Linear(g *ops.Graph, w models.Weights, name string, x ops.Value) ops.Value {
	y := ops.MulMat(g, x, w.Get(g, name+".weight"))
	if factor := models.FactorName(name); w.Has(factor) {
		y = ops.Mul(g, y, w.Get(g, factor))
	}
	if w.Has(name + ".bias") {
		y = ops.Add(g, y, w.Get(g, name+".bias"))
	}
	return y
}

// RMSNorm normalizes x over its innermost dimension with name.weight.
func RMSNorm(g *ops.Graph, w models.Weights, name string, x ops.Value, eps float32) ops.Value {
	return ops.RMSNorm(g, x, w.Get(g, name+".weight"), eps)
}

// LayerNorm is RMSNorm of what x differs from its mean, plus name.bias if there is one.
func LayerNorm(g *ops.Graph, w models.Weights, name string, x ops.Value, eps float32) ops.Value {
	var bias ops.Value
	if w.Has(name + ".bias") {
		bias = w.Get(g, name+".bias")
	}
	return ops.LayerNorm(g, x, w.Get(g, name+".weight"), bias, eps)
}

// Logits multiplies h, [rows, n_embd], by output.weight, or by the token embedding where the file has none (tied).
func Logits(g *ops.Graph, w models.Weights, h ops.Value) ops.Value {
	if w.Has("output.weight") {
		return Linear(g, w, "output", h)
	}
	return Linear(g, w, "token_embd", h)
}
