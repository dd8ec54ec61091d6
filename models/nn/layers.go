package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Linear returns x·wᵀ with w = name.weight and its factor, if it has one, plus name.bias if there is one. x: [tokens,
// in]; result [tokens, out].
func Linear(g *ops.Graph, w models.Weights, name string, x ops.Value) ops.Value {
	return linear(g, w, name, x, w.Get)
}

// FirstLinear is Linear with the first n rows of w, factor and bias alone: [tokens, n].
func FirstLinear(g *ops.Graph, w models.Weights, name string, x ops.Value, n int) ops.Value {
	return linear(g, w, name, x, func(g *ops.Graph, name string) ops.Value { return w.First(g, name, n) })
}

// linear is Linear with tensors that get returns.
func linear(g *ops.Graph, w models.Weights, name string, x ops.Value,
	get func(*ops.Graph, string) ops.Value) ops.Value {
	y := ops.MulMat(g, x, get(g, name+".weight"))
	if factor := models.FactorName(name); w.Has(factor) {
		y = ops.Mul(g, y, get(g, factor))
	}
	if w.Has(name + ".bias") {
		y = ops.Add(g, y, get(g, name+".bias"))
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
	return Linear(g, w, outputMatrix(w), h)
}

// outputMatrix returns the name of that matrix.
func outputMatrix(w models.Weights) string {
	if w.Has("output.weight") {
		return "output"
	}
	return "token_embd"
}
