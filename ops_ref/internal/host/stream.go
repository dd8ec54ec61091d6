package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
)

// Stream is the part of a stream that knows no plans. It does all work at once, so that there is nothing to wait for.
type Stream struct{}

// Close does nothing.
func (Stream) Close() error { return nil }

// Sync returns at once.
func (Stream) Sync(ctx context.Context) error { return ctx.Err() }

// Mark returns an event that has happened.
func (Stream) Mark() (ops.Event, error) { return happened{}, nil }

// Wait waits for events of other devices.
func (Stream) Wait(e ops.Event) error {
	if e == nil {
		return errors.New("host: wait for no event")
	}
	return e.Sync(context.Background())
}

// happened is a point in work that is done.
type happened struct{}

func (happened) Sync(context.Context) error { return nil }

func (happened) Close() error { return nil }

// Upload copies src to the start of dst, which must lie as in files.
func (Stream) Upload(dst tensor.Tensor, src []byte) error {
	m, wide, err := Memory(dst, int64(len(src)))
	if err == nil {
		err = Writable(dst)
	}
	if err == nil && !dst.Layout.IsZero() {
		err = fmt.Errorf("no kernel writes layout %q", dst.Layout.Name)
	}
	if err != nil {
		return fmt.Errorf("host: upload %q: %w", dst.Name, err)
	}
	if wide {
		widen(cast.Of[float64](m), floats(src))
		return nil
	}
	copy(m, src)
	return nil
}

// Download copies the start of src to dst.
func (Stream) Download(dst []byte, src tensor.Tensor) error {
	m, wide, err := Memory(src, int64(len(dst)))
	if err == nil && !src.Layout.IsZero() {
		err = fmt.Errorf("it lies in layout %q; as I8 it can be had as it is", src.Layout.Name)
	}
	if err != nil {
		return fmt.Errorf("host: download %q: %w", src.Name, err)
	}
	if wide {
		narrow := make([]float32, len(dst)/4)
		round(narrow, cast.Of[float64](m))
		m = cast.AsBytes(narrow)
	}
	copy(dst, m)
	return nil
}

// Copy copies src to dst, of the same type, layout and number of elements.
func (Stream) Copy(dst, src tensor.Tensor) error {
	if err := copyTensor(dst, src); err != nil {
		return fmt.Errorf("host: copy %q to %q: %w", src.Name, dst.Name, err)
	}
	return nil
}

func copyTensor(dst, src tensor.Tensor) error {
	if dst.DType != src.DType || dst.Shape.Elems() != src.Shape.Elems() {
		return fmt.Errorf("%v%v does not fill %v%v", src.DType, src.Shape, dst.DType, dst.Shape)
	}
	if dst.Layout.Name != src.Layout.Name {
		return fmt.Errorf("from layout %q to layout %q", src.Layout.Name, dst.Layout.Name)
	}
	to, wideTo, err := all(dst)
	if err == nil {
		err = Writable(dst)
	}
	if err != nil {
		return err
	}
	from, wideFrom, err := all(src)
	if err != nil {
		return err
	}
	if dst.Buf == src.Buf && dst.Off < src.Off+int64(len(from)) && src.Off < dst.Off+int64(len(to)) {
		return fmt.Errorf("bytes %d to %d and %d to %d of a buffer overlap", src.Off, src.Off+int64(len(from)),
			dst.Off, dst.Off+int64(len(to)))
	}
	switch {
	case wideTo && !wideFrom:
		widen(cast.Of[float64](to), cast.Of[float32](from))
	case wideFrom && !wideTo:
		round(cast.Of[float32](to), cast.Of[float64](from))
	default:
		copy(to, from)
	}
	return nil
}

// Zero clears dst.
func (Stream) Zero(dst tensor.Tensor) error {
	m, _, err := all(dst)
	if err == nil {
		err = Writable(dst)
	}
	if err != nil {
		return fmt.Errorf("host: zero %q: %w", dst.Name, err)
	}
	clear(m)
	return nil
}

// floats returns the float32 values in b, which may be unaligned.
func floats(b []byte) []float32 {
	c := cast.Bytes(int64(len(b)))
	copy(c, b)
	return cast.Of[float32](c)
}

func widen(dst []float64, src []float32) {
	for i, x := range src {
		dst[i] = float64(x)
	}
}

func round(dst []float32, src []float64) {
	for i, x := range src {
		dst[i] = float32(x)
	}
}
