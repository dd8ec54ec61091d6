package cpu

import (
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// interleaved is the name of the layout of weights whose rows are interleaved, see simd.InterleavedRows.
const interleaved = "rows16"

// Layout implements ops.Device: where kernels want it, rows of quantized weights are interleaved. They take no more
// memory.
func (d *Device) Layout(u ops.WeightUse) tensor.Layout {
	n, err := tensor.Bytes(u.DType, u.Shape)
	if _, ok := interleavable(u.DType, u.Shape); err != nil || !ok || !d.interleaves {
		return tensor.Layout{}
	}
	return tensor.Layout{Name: interleaved, Bytes: n, Rows: simd.InterleavedRows}
}

// interleavable returns the format of a weight that can be interleaved: its type has kernels for that, and its rows
// fall into whole groups of whole super-blocks. Each matrix of several does so by itself, so that no group belongs to
// two.
func interleavable(dt tensor.DType, s tensor.Shape) (simd.Format, bool) {
	f, ok := integerFormats[dt]
	return f, ok && len(s) > 1 && f.Interleaved(s[len(s)-2], s.Last())
}

// newView returns a view of a tensor, for kernels that know its layout and for those that want rows as files have
// them.
func newView(t tensor.Tensor, raw []byte, wide bool) (opsref.View[float32], error) {
	v, err := opsref.NewView[float32](t, raw, wide)
	if t.Layout.Name == interleaved {
		f, rowBytes, k := integerFormats[t.DType], v.RowBytes(), t.Shape.Last()
		v.Fetch = func(dst []byte, i int) {
			first := i / simd.InterleavedRows * simd.InterleavedRows
			f.InterleavedRow(dst, raw[first*rowBytes:], i-first, k)
		}
	}
	return v, err
}
