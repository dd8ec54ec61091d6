package kv

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// PageSize is the number of tokens in a page.
const PageSize = 32

// Spec lists what a model keeps for each sequence. Names are unique over both lists.
type Spec struct {
	Paged []Paged // grows with the sequence: attention keys and values
	Slots []Slot  // of fixed size: recurrent state

	Recent []Recent // of the newest tokens alone
}

// Paged is a tensor with one row of heads for each token, stored in pages.
type Paged struct {
	Name       string
	Heads, Dim int

	// Window is how many tokens, itself included, a token looks back; 0: all. Tensors of one window share a page
	// table.
	Window int
}

// Slot is a tensor of which each sequence has one, always F32 (or wider): rounding it would drift over a long
// sequence.
type Slot struct {
	Name  string
	Shape tensor.Shape // of one sequence
}

// Recent is a tensor with one row for each of the RecentTokens newest tokens of a sequence, always F32: that of the
// token at position p is in place p mod RecentTokens. A sequence that is cut by few tokens so has all that it needs.
type Recent struct {
	Name string
	Dim  int
}

// RecentTokens is the number of tokens of a sequence that a Recent keeps.
const RecentTokens = PageSize

// Windows returns the windows of paged tensors, each once, in ascending order: one for each page table.
func (s Spec) Windows() []int {
	var ws []int
	for _, p := range s.Paged {
		if i, ok := slices.BinarySearch(ws, p.Window); !ok {
			ws = slices.Insert(ws, i, p.Window)
		}
	}
	return ws
}

// Storage says how much of a Spec there is memory for.
type Storage struct {
	Pages  func(window int) int // pages of the tensors of a window
	Slots  int                  // sequences
	KVType tensor.DType         // of keys and values
	Type   tensor.DType         // of recurrent state
	Recent int                  // sequences whose newest tokens are kept; 0: Slots
}

// Tensors returns the tensors of s, without memory: paged ones [pages, PageSize, heads, dim], then recurrent state
// [slots, ...] and what is recent [sequences, RecentTokens, 1, dim]. The error names one that is too large.
func (s Spec) Tensors(o Storage) ([]tensor.Tensor, error) {
	var ts []tensor.Tensor
	add := func(name string, dt tensor.DType, shape tensor.Shape) error {
		ts = append(ts, tensor.Tensor{Name: name, DType: dt, Shape: shape})
		if _, err := tensor.Bytes(dt, shape); err != nil {
			return fmt.Errorf("kv: state %q: %w", name, err)
		}
		return nil
	}
	for _, p := range s.Paged {
		if err := add(p.Name, o.KVType, tensor.Shape{o.Pages(p.Window), PageSize, p.Heads, p.Dim}); err != nil {
			return nil, err
		}
	}
	for _, t := range s.Slots {
		if err := add(t.Name, o.Type, append(tensor.Shape{o.Slots}, t.Shape...)); err != nil {
			return nil, err
		}
	}
	for _, t := range s.Recent {
		shape := tensor.Shape{cmp.Or(o.Recent, o.Slots), RecentTokens, 1, t.Dim}
		if err := add(t.Name, tensor.F32, shape); err != nil {
			return nil, err
		}
	}
	return ts, nil
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
