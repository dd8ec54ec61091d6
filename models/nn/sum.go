package nn

import (
	"fmt"

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

// Split gives each rank its part of all.
func (m Sum) Split(r Ranks) ([]Mixer, error) {
	out := make([]Mixer, r.N)
	for i := range out {
		out[i] = make(Sum, len(m))
	}
	for i, part := range m {
		ps, err := splitMixer(part, r)
		if err != nil {
			return nil, err
		}
		for rank, p := range ps {
			out[rank].(Sum)[i] = p
		}
	}
	return out, nil
}

// buildRanks records the parts of all mixers.
func (m Sum) buildRanks(g *ops.Graph, ranks []Rank, parts []Mixer, layer int, xs []ops.Value) []ops.Value {
	var out []ops.Value
	for i := range m {
		of := make([]Mixer, len(parts))
		for r, p := range parts {
			of[r] = p.(Sum)[i]
		}
		ys := mix(g, ranks, of, layer, xs)
		for r := range out {
			ys[r] = ops.Add(g, out[r], ys[r])
		}
		out = ys
	}
	return out
}

// Alone is a feed-forward network in the place of a mixer, for models whose layers have the one or the other.
type Alone struct{ FFN }

// State is empty.
func (Alone) State(int) kv.Spec { return kv.Spec{} }

// Split gives each rank its part of the network.
func (a Alone) Split(r Ranks) ([]Mixer, error) {
	ps, err := SplitFeed(a.FFN, r)
	if err != nil {
		return nil, err
	}
	if _, ok := ps[0].(JointFFN); ok {
		return nil, fmt.Errorf("%T is not known in the place of a mixer", a.FFN)
	}
	out := make([]Mixer, r.N)
	for i, p := range ps {
		out[i] = Alone{p}
	}
	return out, nil
}

// Build records the network over x, [tokens, n_embd].
func (a Alone) Build(g *ops.Graph, w models.Weights, _ *Step, _ int, x ops.Value) ops.Value {
	return a.FFN.Build(g, w, x)
}
