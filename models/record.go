package models

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Record records a step of m of the given sizes. states are the storage of m.State() by name, and context is as in
// [Batch]; neither they nor the weights need memory.
func Record(m Model, w Weights, states map[string]tensor.Tensor, context int, n Sizes) (*ops.Graph, Outputs, error) {
	g := &ops.Graph{}
	b := Inputs(g, m, n)
	b.States, b.Context = states, context
	out := m.Build(g, w, b)
	if err := g.Err(); err != nil {
		return nil, Outputs{}, fmt.Errorf("models: recording %s: %w", m.Params().Arch, err)
	}
	return g, out, nil
}

// uses returns which ops read each weight of m, by name.
func uses(m Model, w Weights) (map[string][]*ops.Def, error) {
	ts, err := m.State().Tensors(kv.Storage{Pages: func(int) int { return 1 }, Slots: 1, KVType: tensor.F32,
		Type: tensor.F32})
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	states := map[string]tensor.Tensor{}
	for _, t := range ts {
		states[t.Name] = t
	}
	g, _, err := Record(m, w, states, 0, Sizes{Tokens: 1, Seqs: 1, Pages: 1, Rows: 1})
	if err != nil {
		return nil, err
	}
	readers := map[string][]*ops.Def{}
	for _, n := range g.Nodes {
		if n.Op == nil || n.Op.View {
			continue
		}
		for _, in := range n.In {
			leaf := in.Node()
			for leaf.Op != nil && leaf.Op.View {
				leaf = leaf.In[0].Node()
			}
			if leaf.Leaf == ops.Weight && !slices.Contains(readers[leaf.Name], n.Op) {
				readers[leaf.Name] = append(readers[leaf.Name], n.Op)
			}
		}
	}
	return readers, nil
}
