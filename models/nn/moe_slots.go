package nn

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// CachedFFN is a feed-forward network with experts of which a device can have copies.
type CachedFFN interface {
	FFN
	// WithSlots returns the network with copies of so many experts, or of all if there are fewer.
	WithSlots(n int) FFN
}

// CacheExperts implements [models.ExpertCacher].
func (d *Decoder) CacheExperts(slots int) (models.Model, error) {
	if d.ranks != nil {
		return nil, fmt.Errorf("nn: %s is split over ranks", d.Arch)
	}
	out, found := *d, false
	out.Blocks = slices.Clone(d.Blocks)
	for i, b := range out.Blocks {
		if f, ok := b.FFN.(CachedFFN); ok {
			out.Blocks[i].FFN, found = f.WithSlots(slots), true
		}
		if alone, ok := b.Mixer.(Alone); ok {
			if f, ok := alone.FFN.(CachedFFN); ok {
				out.Blocks[i].Mixer, found = Alone{f.WithSlots(slots)}, true
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("nn: %s has no layers of experts", d.Arch)
	}
	return &out, nil
}

// WithSlots implements [CachedFFN].
func (m *MoE) WithSlots(n int) FFN {
	own := *m
	own.Slots = min(n, m.Experts)
	return &own
}

// slotSpecs adds the slots of stacks of experts, with the first experts in them, and what says which these are.
func (m *MoE) slotSpecs(s *Specs, stacks []models.WeightSpec) {
	for _, stack := range slices.Clone(stacks) {
		slot, ok := stack.Slots(m.Slots)
		if !ok {
			panic("nn: " + stack.Name + " is no stack of experts")
		}
		s.List = append(s.List, slot)
	}
	table := make([]int32, m.Experts)
	for e := range table {
		if table[e] = int32(e); e >= m.Slots {
			table[e] = -1
		}
	}
	s.Add(models.WeightSpec{Name: models.SlotTable, Shape: tensor.Shape{m.Experts}, Ints: table})
	s.Add(models.WeightSpec{Name: models.ExpertUses, Shape: tensor.Shape{m.Experts, 1}, Ints: make([]int32, m.Experts)})
}

// mixSlots is each of a mixture of which some experts have slots: those are multiplied where the slots are, the others
// where all experts are, and either's rows are put together in the order of the choices, so that the sum is the same
// whoever made them.
func (m *MoE) mixSlots(g *ops.Graph, w models.Weights, row, ids ops.Value) ops.Value {
	slots, rest, from := ops.ExpertSlots(g, ids, w.Get(g, models.SlotTable))
	ops.CountExperts(g, w.State(g, models.ExpertUses), rest)
	far := m.each(g, w, row, "exps", ops.MulMatSomeExperts, rest, ids)
	near := m.each(g, w, row, "slots", ops.MulMatExperts, slots, slots)
	s := far.Shape()
	if len(s) != 3 {
		return ops.Value{} // g has an error
	}
	rows := func(y ops.Value) ops.Value { return ops.Reshape(g, y, s[0]*s[1], s[2]) }
	return ops.Reshape(g, ops.ReplaceRows(g, rows(far), rows(near), from), s...)
}
