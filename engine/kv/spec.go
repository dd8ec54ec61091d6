package kv

import "github.com/hipengine/hipengine/tensor"

// Spec lists what a model keeps for each sequence. Names are unique over both lists.
type Spec struct {
	Paged []Paged // grows with the sequence: attention keys and values
	Slots []Slot  // of fixed size: recurrent state
}

// Paged is a tensor with one row of heads for each token, stored in pages.
type Paged struct {
	Name       string
	Heads, Dim int
}

// Slot is a tensor of which each sequence has one, always F32 (or wider): rounding it would drift over a long
// sequence.
type Slot struct {
	Name  string
	Shape tensor.Shape // of one sequence
}

// TokenBytes returns the memory of one token over all paged tensors in type dt.
func (s Spec) TokenBytes(dt tensor.DType) (int64, error) {
	var total int64
	for _, p := range s.Paged {
		n, err := tensor.Bytes(dt, tensor.Shape{p.Heads, p.Dim})
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// SlotElems returns the number of elements of recurrent state of one sequence.
func (s Spec) SlotElems() int64 {
	var n int64
	for _, t := range s.Slots {
		n += int64(t.Shape.Elems())
	}
	return n
}
