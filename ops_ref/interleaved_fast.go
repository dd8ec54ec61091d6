package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

var _ ops.Repacker = (*Device)(nil)

// RepackedBytes implements ops.Repacker: where kernels want it, rows of quantized weights are interleaved, see
// simd.InterleavedRows. They take no more memory.
func (d *Device) RepackedBytes(dt tensor.DType, s tensor.Shape) (int64, int) {
	n, err := tensor.Bytes(dt, s)
	if _, ok := interleavable(dt, s); err != nil || !ok || !d.interleaves {
		return 0, 0
	}
	return n, simd.InterleavedRows
}

// interleavable returns the format of a weight that can be interleaved: its type has kernels for that, and its rows fall
// into whole groups of whole super-blocks. Each matrix of several does so by itself, so that no group belongs to two.
func interleavable(dt tensor.DType, s tensor.Shape) (simd.Format, bool) {
	f, ok := integerFormats[dt]
	return f, ok && len(s) > 1 && f.Interleaved(s[len(s)-2], s.Last())
}

// interleavedFormat returns the format of t, a weight or some of its rows, if they are interleaved.
func interleavedFormat(t tensor.Tensor) (simd.Format, bool) {
	f, ok := interleavable(t.DType, t.Shape)
	b, ours := t.Buf.(*buffer)
	return f, ok && ours && b.interleaves
}
