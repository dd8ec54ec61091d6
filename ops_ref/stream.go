package opsref

import (
	"context"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// stream does all work at once: there is nothing to wait for.
type stream struct{}

func (stream) Close() error { return nil }

func (stream) Sync(ctx context.Context) error { return ctx.Err() }

func (stream) Run(p ops.Plan) error {
	r, ok := p.(interface{ run() error })
	if !ok {
		return fmt.Errorf("opsref: plan %T is of another device", p)
	}
	return r.run()
}

func (stream) Upload(dst tensor.Tensor, src []byte) error {
	m, wide, err := memory(dst, len(src))
	if err != nil {
		return fmt.Errorf("opsref: upload %q: %w", dst.Name, err)
	}
	if wide {
		to := simd.Of[float64](m)
		for i, x := range floats(src) {
			to[i] = float64(x)
		}
		return nil
	}
	if f, ok := interleavedFormat(dst); ok {
		k := dst.Shape.Last()
		if row := f.Bytes(k); len(src)%(simd.InterleavedRows*row) != 0 {
			return fmt.Errorf("opsref: upload %q: %d bytes are not whole rows of %d, %d together", dst.Name, len(src), row, simd.InterleavedRows)
		}
		f.Interleave(m, src, k)
		return nil
	}
	copy(m, src)
	return nil
}

func (stream) Download(dst []byte, src tensor.Tensor) error {
	if _, ok := interleavedFormat(src); ok {
		return fmt.Errorf("opsref: download %q: its rows are interleaved; as I8 they can be had as they are", src.Name)
	}
	m, wide, err := memory(src, len(dst))
	if err != nil {
		return fmt.Errorf("opsref: download %q: %w", src.Name, err)
	}
	if wide {
		narrow := make([]float32, len(dst)/4)
		for i, x := range simd.Of[float64](m) {
			narrow[i] = float32(x)
		}
		m = simd.AsBytes(narrow)
	}
	copy(dst, m)
	return nil
}

// Float64s returns the elements of an activation that an oracle plan computed, without rounding them.
func Float64s(t tensor.Tensor) ([]float64, error) {
	m, wide, err := memory(t, 4*t.Shape.Elems())
	if err != nil {
		return nil, err
	}
	if !wide {
		return nil, fmt.Errorf("opsref: %q was not computed by the oracle", t.Name)
	}
	return append([]float64(nil), simd.Of[float64](m)...), nil
}

// memory returns where the first n bytes of t's elements are, as the caller counts them, and whether they are
// float32 to the caller but stored as float64.
func memory(t tensor.Tensor, n int) (m []byte, wide bool, err error) {
	b, ok := t.Buf.(*buffer)
	if !ok {
		return nil, false, fmt.Errorf("buffer %T is of another device", t.Buf)
	}
	size, err := tensor.Bytes(t.DType, t.Shape)
	if err != nil {
		return nil, false, err
	}
	if int64(n) > size {
		return nil, false, fmt.Errorf("%d bytes in a tensor of %d", n, size)
	}
	wide = b.wide && t.DType == tensor.F32
	if wide {
		n *= 2
	}
	if t.Off < 0 || t.Off > b.Size() || int64(n) > b.Size()-t.Off {
		return nil, false, fmt.Errorf("%d bytes at %d in a buffer of %d", n, t.Off, b.Size())
	}
	return b.b[t.Off : t.Off+int64(n)], wide, nil
}

// floats returns the float32 values in b, which may be unaligned.
func floats(b []byte) []float32 {
	c := simd.Bytes(int64(len(b)))
	copy(c, b)
	return simd.Of[float32](c)
}
