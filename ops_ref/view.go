package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	_ "github.com/hipengine/hipengine/tensor/quant" // the definitions of the weight types
)

// Float is the arithmetic type of a kernel: float32 for the reference, float64 for the oracle.
type Float interface{ float32 | float64 }

// View is an operand of a kernel.
type View[T Float] struct {
	DType tensor.DType
	Shape tensor.Shape

	// F holds the elements where they are stored as T: all activations, and states of that type. Nil otherwise.
	F []T

	raw    []byte // weights, states and integers, in DType
	format tensor.Format

	interleaved bool // raw holds rows as interleavedFormat says
}

// newView returns a view of raw, which holds elements of type dt, or of type T if activation.
func newView[T Float](dt tensor.DType, shape tensor.Shape, raw []byte, activation bool) (View[T], error) {
	f, ok := dt.Format()
	if !ok {
		return View[T]{}, fmt.Errorf("opsref: type %v is not registered", dt)
	}
	v := View[T]{DType: dt, Shape: shape, raw: raw, format: f}
	if activation || dt == dtypeOf[T]() {
		v.F = simd.Of[T](raw)
	}
	return v, nil
}

// dtypeOf returns the element type that T stores.
func dtypeOf[T Float]() tensor.DType {
	var t T
	if _, ok := any(t).(float32); ok {
		return tensor.F32
	}
	return tensor.F64
}

// Row returns innermost row i as T: the elements themselves where they are stored so, else dequantized into
// scratch, which must hold a row.
func (v View[T]) Row(i int, scratch []T) []T {
	n := v.Shape.Last()
	if v.F != nil {
		return v.F[i*n : (i+1)*n]
	}
	src := v.stored(i, nil)
	switch s := any(scratch[:n]).(type) {
	case []float32:
		v.format.Dequant(s, src)
	case []float64:
		narrow := make([]float32, n)
		v.format.Dequant(narrow, src)
		for j, x := range narrow {
			s[j] = float64(x)
		}
	}
	return scratch[:n]
}

// stored returns innermost row i as files have it: in place, or, of interleaved rows, in scratch, which is made if it
// is too small for one.
func (v View[T]) stored(i int, scratch []byte) []byte {
	size := v.Shape.Last() / v.format.Block * v.format.Bytes
	if !v.interleaved {
		return v.raw[i*size : (i+1)*size]
	}
	if len(scratch) < size {
		scratch = make([]byte, size)
	}
	first := i / simd.InterleavedRows * simd.InterleavedRows
	integerFormats[v.DType].InterleavedRow(scratch, v.raw[first*size:], i-first, v.Shape.Last())
	return scratch[:size]
}

// All returns all elements as T, rows dequantized where needed.
func (v View[T]) All() []T {
	if v.F != nil {
		return v.F
	}
	n := v.Shape.Last()
	all := make([]T, v.Shape.Elems())
	for i := range v.Shape.Rows() {
		v.Row(i, all[i*n:])
	}
	return all
}

// SetRow stores src as innermost row i, quantized to the type of the storage.
func (v View[T]) SetRow(i int, src []T) {
	n := v.Shape.Last()
	if v.F != nil {
		copy(v.F[i*n:(i+1)*n], src)
		return
	}
	size := n / v.format.Block * v.format.Bytes
	dst := v.raw[i*size : (i+1)*size]
	switch s := any(src).(type) {
	case []float32:
		v.format.Quant(dst, s)
	case []float64:
		narrow := make([]float32, n)
		for j, x := range s {
			narrow[j] = float32(x)
		}
		v.format.Quant(dst, narrow)
	}
}

// Ints returns the elements of an I32 operand.
func (v View[T]) Ints() []int32 { return simd.Of[int32](v.raw) }
