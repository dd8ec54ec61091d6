package models

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// ExpertCacher is a model with experts of which the most used can have copies where they are read faster.
type ExpertCacher interface {
	Model

	// CacheExperts returns the model with slots for so many experts of each layer of experts, or for all of those where
	// there are fewer: for each stack of their tensors, called X_exps, one called X_slots, which holds copies of the
	// first experts when it is loaded, and [SlotTable] and [ExpertUses]. See [Weights.ExpertSlots]. The error says that
	// there are no experts.
	CacheExperts(slots int) (Model, error)
}

// Names of what a layer of experts with slots has, after blk.N.
const (
	SlotTable  = "ffn_expert_slots"    // I32 [experts]: the slot of each expert, -1 for none; see ops.ExpertSlots
	ExpertUses = "ffn_uses_exps.count" // I32 [experts, 1], a state: how often each was chosen; see ops.CountExperts
)

const stackSuffix, slotSuffix = "_exps.", "_slots."

// IsExpertSlots reports whether a weight is a stack of slots, by its name.
func IsExpertSlots(name string) bool { return strings.Contains(name, slotSuffix) }

// Slots returns the spec of slots for n of the experts in a stack, of which they hold the first; false if s is none.
func (s WeightSpec) Slots(n int) (WeightSpec, bool) {
	if !strings.Contains(s.Name, stackSuffix) || s.Share != nil || s.Derive != nil || len(s.Shape) < 2 || n > s.Shape[0] {
		return s, false
	}
	s.Share = &Share{Whole: s.Name, Of: s.Shape, Ranges: []Range{{0, n}}}
	s.Name = strings.Replace(s.Name, stackSuffix, slotSuffix, 1)
	s.Shape = slices.Clone(s.Shape)
	s.Shape[0] = n
	return s, true
}

// ExpertSlots are the slots of a layer of experts.
type ExpertSlots struct {
	Layer          int
	Experts, Slots int
	Bytes          int64         // that are copied of one expert
	Table, Uses    tensor.Tensor // SlotTable and ExpertUses
	stacks         []slotStack
}

// slotStack is a stack of experts' tensors, and its slots.
type slotStack struct{ all, slots tensor.Tensor }

// ExpertSlots lists the layers with slots, in order; none of a model that [ExpertCacher] did not return. The error says
// what an expert cannot be copied from.
func (w Weights) ExpertSlots() ([]ExpertSlots, error) {
	var list []ExpertSlots
	for _, name := range slices.Sorted(maps.Keys(w.tensors)) {
		prefix, ok := strings.CutSuffix(name, SlotTable)
		if !ok {
			continue
		}
		l := ExpertSlots{Table: w.tensors[name], Uses: w.tensors[prefix+ExpertUses]}
		if _, err := fmt.Sscanf(prefix, "blk.%d.", &l.Layer); err != nil {
			return nil, fmt.Errorf("models: %q is of no layer", name)
		}
		l.Experts = l.Table.Shape[0]
		for _, slots := range slices.Sorted(maps.Keys(w.tensors)) {
			if !strings.HasPrefix(slots, prefix) || !IsExpertSlots(slots) {
				continue
			}
			s := slotStack{w.tensors[strings.Replace(slots, slotSuffix, stackSuffix, 1)], w.tensors[slots]}
			if len(s.all.Shape) < 2 || s.all.Shape[0] != l.Experts || s.all.DType != s.slots.DType {
				return nil, fmt.Errorf("models: %q holds %v%v, not experts for %q", s.all.Name, s.all.DType, s.all.Shape,
					slots)
			}
			if _, err := tensor.Bytes(s.all.DType, s.all.Shape[1:]); err != nil {
				return nil, fmt.Errorf("models: tensor %q: %w", s.all.Name, err)
			}
			_, _, n := s.copied(0, 0)
			l.Bytes += n
			l.Slots = s.slots.Shape[0]
			l.stacks = append(l.stacks, s)
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b ExpertSlots) int { return a.Layer - b.Layer })
	return list, nil
}

// Fill enqueues the copy of an expert into a slot, through staging, which is grown if it has to be and returned; sync
// waits for s. What reads the slot must be enqueued before, or behind a new table.
func (l ExpertSlots) Fill(s ops.Stream, slot, expert int, staging []byte, sync func() error) ([]byte, error) {
	if slot < 0 || slot >= l.Slots || expert < 0 || expert >= l.Experts {
		return staging, fmt.Errorf("models: layer %d: expert %d of %d for slot %d of %d", l.Layer, expert, l.Experts, slot,
			l.Slots)
	}
	staging = slices.Grow(staging[:0], int(l.Bytes))[:l.Bytes]
	at := int64(0)
	for _, st := range l.stacks {
		from, _, n := st.copied(slot, expert)
		if err := s.Download(staging[at:at+n], from); err != nil {
			return staging, fmt.Errorf("models: expert %d of layer %d: %w", expert, l.Layer, err)
		}
		at += n
	}
	if err := sync(); err != nil {
		return staging, err
	}
	at = 0
	var errs []error
	for _, st := range l.stacks {
		_, to, n := st.copied(slot, expert)
		errs = append(errs, s.Upload(to, staging[at:at+n]))
		at += n
	}
	if err := errors.Join(errs...); err != nil {
		return staging, fmt.Errorf("models: slot %d of layer %d: %w", slot, l.Layer, err)
	}
	return staging, nil
}

// copied returns an expert and a slot, as they are copied: rows as files have them or, where both lie in one layout,
// bytes, and how many these are.
func (s slotStack) copied(slot, expert int) (from, to tensor.Tensor, bytes int64) {
	from, to = Element(s.all, expert), Element(s.slots, slot)
	if l := from.Layout; !l.IsZero() && l == to.Layout {
		for _, t := range []*tensor.Tensor{&from, &to} {
			t.DType, t.Shape, t.Layout = tensor.I8, tensor.Shape{int(l.Bytes)}, tensor.Layout{}
		}
		return from, to, l.Bytes
	}
	bytes, _ = tensor.Bytes(from.DType, from.Shape) // Weights.ExpertSlots checked it
	return from, to, bytes
}

// Element returns element i of the outermost dimension of a tensor, where it lies in the whole. Of one with a layout
// its rows must be whole runs of those that are repacked together.
func Element(t tensor.Tensor, i int) tensor.Tensor {
	n := int64(t.Shape[0])
	size, _ := ops.WeightBytes(t) // a tensor that exists has a size
	t.Off += size / n * int64(i)
	if !t.Layout.IsZero() {
		t.Layout.Bytes /= n
	}
	t.Shape = t.Shape[1:]
	return t
}
