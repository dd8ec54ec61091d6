package nn

import (
	"math"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// PerLayerInput gives every layer an input of its own for each token, as in the small Gemma models: the mean, times
// √2, of an embedding of the token and a normalized projection of what enters the first layer. A layer ends by adding
// norm(proj·(gelu(inp_gate·h) ⊙ input)) to the residual stream.
type PerLayerInput struct {
	Embd, Vocab, Layers int
	Dim                 int     // of one layer's input
	Scale               float32 // on the token's embeddings
	Eps                 float32
}

// Specs adds the weights that all layers share.
func (p *PerLayerInput) Specs(s *Specs) {
	s.Add(models.WeightSpec{Name: "per_layer_token_embd.weight", Shape: tensor.Shape{p.Vocab, p.Layers * p.Dim}})
	s.Add(models.WeightSpec{Name: "per_layer_model_proj.weight", Shape: tensor.Shape{p.Layers * p.Dim, p.Embd}})
	s.Norm("per_layer_proj_norm", p.Dim)
}

// LayerSpecs adds the weights of one layer.
func (p *PerLayerInput) LayerSpecs(s *Specs) {
	s.Linear("inp_gate", p.Dim, p.Embd)
	s.Linear("proj", p.Embd, p.Dim)
	s.Norm("post_norm", p.Embd)
}

// Build records the inputs of all layers, [tokens, layers·dim]. h is what enters the first one, [tokens, n_embd].
func (p *PerLayerInput) Build(g *ops.Graph, w models.Weights, b models.Batch, h ops.Value) ops.Value {
	tokens, all := h.Shape().Rows(), p.Layers*p.Dim
	u := ops.Scale(g, Linear(g, w, "per_layer_model_proj", h), float32(1/math.Sqrt(float64(p.Embd))))
	u = RMSNorm(g, w, "per_layer_proj_norm", ops.Reshape(g, u, tokens, p.Layers, p.Dim), p.Eps)
	t := ops.Scale(g, ops.Embed(g, w.Get(g, "per_layer_token_embd.weight"), b.Tokens), p.Scale)
	return ops.Scale(g, ops.Add(g, ops.Reshape(g, u, tokens, all), t), float32(1/math.Sqrt2))
}

// BuildLayer records what a layer adds to h, [tokens, n_embd]. inputs is what Build returned.
func (p *PerLayerInput) BuildLayer(g *ops.Graph, w models.Weights, layer int, inputs, h ops.Value) ops.Value {
	input := ops.Slice(g, inputs, layer*p.Dim, (layer+1)*p.Dim)
	y := Linear(g, w, "proj", ops.GeGLU(g, Linear(g, w, "inp_gate", h), input))
	return RMSNorm(g, w, "post_norm", y, p.Eps)
}
