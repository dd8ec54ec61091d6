package own

import (
	"context"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Stream does its work before each call returns.
type Stream struct{ dev *Device }

// Stream returns a queue.
func (d *Device) Stream() (ops.Stream, error) { return &Stream{d}, nil }

// Upload copies src to dst.
func (s *Stream) Upload(dst tensor.Tensor, src []byte) error {
	b, err := s.dev.bytes(dst, len(src))
	copy(b, src)
	return err
}

// Download copies src to dst.
func (s *Stream) Download(dst []byte, src tensor.Tensor) error {
	b, err := s.dev.bytes(src, len(dst))
	copy(dst, b)
	return err
}

// Copy copies all of src to dst.
func (s *Stream) Copy(dst, src tensor.Tensor) error {
	from, err := s.dev.all(src)
	if err != nil {
		return err
	}
	to, err := s.dev.all(dst)
	if err == nil && (dst.DType != src.DType || len(to) != len(from)) {
		err = fmt.Errorf("own: copy of %v%v to %v%v", src.DType, src.Shape, dst.DType, dst.Shape)
	}
	if err == nil {
		copy(to, from)
	}
	return err
}

// Zero clears dst.
func (s *Stream) Zero(dst tensor.Tensor) error {
	b, err := s.dev.all(dst)
	clear(b)
	return err
}

// event is one that has happened.
type event struct{}

func (event) Sync(ctx context.Context) error { return ctx.Err() }
func (event) Close() error                   { return nil }

// Mark returns an event that has happened: so has all work.
func (s *Stream) Mark() (ops.Event, error) { return event{}, nil }

// Wait waits for an event, be it of another device.
func (s *Stream) Wait(e ops.Event) error { return e.Sync(context.Background()) }

// Run computes a plan of this device.
func (s *Stream) Run(p ops.Plan) error {
	q, ok := p.(*Plan)
	if !ok || q.dev != s.dev {
		return fmt.Errorf("own: a plan of another device")
	}
	return q.run()
}

// Sync has nothing to wait for.
func (s *Stream) Sync(ctx context.Context) error { return ctx.Err() }

// Close ends the queue.
func (s *Stream) Close() error { return nil }
