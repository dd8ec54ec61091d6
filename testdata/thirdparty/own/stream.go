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
