package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Encoder is what stands around the blocks of a model that reads whole texts, in place of what makes logits. The norm
// behind the last block is left out where the blocks end with norms of their own (PostNorm).
type Encoder struct {
	Positions int  // rows of position_embd, one for each place in a text; 0: none
	Types     int  // rows of token_types, of which every token gets the one of its type; 0: none
	Norm      bool // token_embd_norm is applied to the sum of the embeddings

	// Dense are matrices that the result is multiplied by, one after the other.
	Dense []Dense
}

// Dense is the matrix Name.weight, [Out, In], with an optional bias.
type Dense struct {
	Name    string
	In, Out int
}

// typeRow is the first row of token_types, where there are no others.
const typeRow = "token_types.first"

// typeRows are all of them.
const typeRows = "token_types.weight"

func (e *Encoder) specs(s *Specs, d *Decoder) {
	if e.Positions > 0 {
		s.Add(models.WeightSpec{Name: "position_embd.weight", Shape: tensor.Shape{e.Positions, d.Embd}})
	}
	switch table := (models.WeightSpec{Name: typeRows, Shape: tensor.Shape{e.Types, d.Embd}}); {
	case e.Types > 1:
		s.Add(table)
	case e.Types == 1:
		table.Vector = true
		s.Add(models.WeightSpec{Name: typeRow, Shape: tensor.Shape{d.Embd}, Vector: true,
			Inputs: []models.WeightSpec{table},
			Derive: func(in [][]float32) ([]float32, error) { return in[0], nil }})
	}
	if e.Norm {
		d.normSpec(s, "token_embd_norm")
	}
	for _, m := range e.Dense {
		s.Linear(m.Name, m.Out, m.In)
	}
}

// input makes what enters the first block of the embeddings h of the tokens.
func (e *Encoder) input(g *ops.Graph, w models.Weights, d *Decoder, b models.Batch, h ops.Value) ops.Value {
	if e.Positions > 0 {
		h = ops.Add(g, h, ops.Embed(g, w.Get(g, "position_embd.weight"), b.Pos))
	}
	switch {
	case e.Types > 1:
		h = ops.Add(g, h, ops.Embed(g, w.Get(g, typeRows), b.Types))
	case e.Types == 1:
		h = ops.Add(g, h, w.Get(g, typeRow))
	}
	if e.Norm {
		h = d.norm(g, w, "token_embd_norm", h)
	}
	return h
}

// output makes the hidden states of what leaves the last block.
func (e *Encoder) output(g *ops.Graph, w models.Weights, d *Decoder, h ops.Value) ops.Value {
	if !d.PostNorm {
		h = d.norm(g, w, "output_norm", h)
	}
	for _, m := range e.Dense {
		h = Linear(g, w, m.Name, h)
	}
	return h
}
