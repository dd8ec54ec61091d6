package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
	_ "github.com/hipengine/hipengine/tensor/quant" // the definitions of the weight types
)

// Float is the arithmetic type of a kernel: float32 for the reference, float64 for the oracle.
type Float interface{ float32 | float64 }

// View is an operand of a kernel.
type View[T Float] struct {
	DType  tensor.DType
	Shape  tensor.Shape
	Layout tensor.Layout // of a weight

	// F holds the elements where they are stored as T: all activations, and states of that type. Nil otherwise.
	F []T

	// Raw holds weights, states and integers, in DType and Layout.
	Raw []byte

	// Format is the definition of DType.
	Format tensor.Format

	// Fetch copies innermost row i to dst as files have it, from weights in a Layout of their own. Nil for others.
	Fetch func(dst []byte, i int)
}

// NewView returns a view of a tensor whose elements are raw. If wide, it is an activation, which is stored as T
// whatever its type says.
func NewView[T Float](t tensor.Tensor, raw []byte, wide bool) (View[T], error) {
	f, ok := t.DType.Format()
	if !ok {
		return View[T]{}, fmt.Errorf("type %v is not registered", t.DType)
	}
	v := View[T]{DType: t.DType, Shape: t.Shape, Layout: t.Layout, Raw: raw, Format: f}
	if wide || t.DType == dtypeOf[T]() {
		v.F = cast.Of[T](raw)
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

// RowBytes returns the size of an innermost row as files have it.
func (v View[T]) RowBytes() int { return v.Shape.Last() / v.Format.Block * v.Format.Bytes }

// Row returns innermost row i as T: the elements themselves where they are stored so, else dequantized into
// scratch, which must hold a row.
func (v View[T]) Row(i int, scratch []T) []T {
	n := v.Shape.Last()
	if v.F != nil {
		return v.F[i*n : (i+1)*n]
	}
	src := v.Stored(i, nil)
	switch s := any(scratch[:n]).(type) {
	case []float32:
		v.Format.Dequant(s, src)
	case []float64:
		narrow := make([]float32, n)
		v.Format.Dequant(narrow, src)
		for j, x := range narrow {
			s[j] = float64(x)
		}
	}
	return scratch[:n]
}

// Stored returns innermost row i as files have it: in place, or, of weights in a layout of their own, in scratch,
// which is made if it is too small for one.
func (v View[T]) Stored(i int, scratch []byte) []byte {
	size := v.RowBytes()
	if v.Fetch == nil {
		return v.Raw[i*size : (i+1)*size]
	}
	if len(scratch) < size {
		scratch = make([]byte, size)
	}
	v.Fetch(scratch[:size], i)
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

// SetRow stores src as innermost row i, quantized to the type of the storage, which lies as files do.
func (v View[T]) SetRow(i int, src []T) {
	n := v.Shape.Last()
	if v.F != nil {
		copy(v.F[i*n:(i+1)*n], src)
		return
	}
	size := v.RowBytes()
	dst := v.Raw[i*size : (i+1)*size]
	switch s := any(src).(type) {
	case []float32:
		v.Format.Quant(dst, s)
	case []float64:
		narrow := make([]float32, n)
		for j, x := range s {
			narrow[j] = float32(x)
		}
		v.Format.Quant(dst, narrow)
	}
}

// Ints returns the elements of an I32 operand.
func (v View[T]) Ints() []int32 { return cast.Of[int32](v.Raw) }
