package nn

import (
	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Sum is the mixer of models that run several ones side by side over one input and add what they make.
type Sum []Mixer

// Specs adds the weights of all.
func (m Sum) Specs(s *Specs) {
	for _, part := range m {
		part.Specs(s)
	}
}

// State lists what all keep.
func (m Sum) State(layer int) kv.Spec {
	var all kv.Spec
	for _, part := range m {
		s := part.State(layer)
		all.Paged = append(all.Paged, s.Paged...)
		all.Slots = append(all.Slots, s.Slots...)
	}
	return all
}

// Build records all over x, [tokens, n_embd].
func (m Sum) Build(g *ops.Graph, w models.Weights, s *Step, layer int, x ops.Value) ops.Value {
	y := m[0].Build(g, w, s, layer, x)
	for _, part := range m[1:] {
		y = ops.Add(g, y, part.Build(g, w, s, layer, x))
	}
	return y
}

// Alone is a feed-forward network in the place of a mixer, for models whose layers have the one or the other.
type Alone struct{ FFN }

// State is empty.
func (Alone) State(int) kv.Spec { return kv.Spec{} }

// Build records the network over x, [tokens, n_embd].
func (a Alone) Build(g *ops.Graph, w models.Weights, _ *Step, _ int, x ops.Value) ops.Value {
	return a.FFN.Build(g, w, x)
}
