package tensor

import (
	"fmt"
	"math"
	"slices"
)

// Shape lists dimensions outermost first: a weight matrix is [out, in]. The reversed order of GGUF files never
// leaves package gguf.
type Shape []int

// Elems returns the number of elements; the empty shape is a scalar of one element.
func (s Shape) Elems() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Rows returns the number of innermost rows, the product of all dimensions but the last.
func (s Shape) Rows() int {
	if len(s) == 0 {
		return 1
	}
	return s[:len(s)-1].Elems()
}

// Last returns the innermost dimension, the length of a row.
func (s Shape) Last() int {
	if len(s) == 0 {
		return 1
	}
	return s[len(s)-1]
}

// Equal reports whether both shapes have the same dimensions.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// String formats s as [2 3].
func (s Shape) String() string { return fmt.Sprint([]int(s)) }

// Bytes returns the storage size of a tensor, or an error for an unknown type, a dimension below one, a row
// that is not a whole number of blocks, or a size that does not fit in an int64.
func Bytes(d DType, s Shape) (int64, error) {
	f, ok := d.Format()
	if !ok {
		return 0, fmt.Errorf("tensor: type %v is not registered", d)
	}
	if s.Last()%f.Block != 0 {
		return 0, fmt.Errorf("tensor: row length %d is not a multiple of the %d-element blocks of %v", s.Last(),
			f.Block, d)
	}
	n := int64(f.Bytes)
	for i, dim := range s {
		if dim < 1 {
			return 0, fmt.Errorf("tensor: dimension %d in shape %v", dim, s)
		}
		m := int64(dim)
		if i == len(s)-1 {
			m /= int64(f.Block)
		}
		if n > math.MaxInt64/m {
			return 0, fmt.Errorf("tensor: size of %v %v overflows", d, s)
		}
		n *= m
	}
	return n, nil
}

// Buffer is device memory. The backend that made it owns it; Free releases it and is called once.
type Buffer interface {
	Size() int64 // bytes
	Free() error
}

// Tensor is a typed view of a Buffer: a plain struct, with no operations of its own.
type Tensor struct {
	Name  string
	DType DType
	Shape Shape
	Buf   Buffer
	Off   int64 // bytes from the start of Buf

	Layout Layout // how the numbers lie; zero: as in files
}
