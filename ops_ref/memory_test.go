package opsref

import (
	"errors"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/tensor"
)

// TestFreeBeforeClose frees weights that lie outside the Go heap while a plan uses them: the plan goes on running
// until it is closed, and is an error after it.
func TestFreeBeforeClose(t *testing.T) {
	for name, o := range map[string]Options{"reference": {Threads: 2}, "oracle": {Threads: 2, Oracle: true}} {
		t.Run(name, func(t *testing.T) {
			dev := New(o)
			defer dev.Close()
			const rows, k = 1 << 12, 1 << 8 // 4 MB
			w := make([]float32, rows*k)
			for i := range w {
				w[i] = float32(i / k)
			}
			buf, err := dev.Alloc(4*rows*k, ops.MemWeights)
			if err != nil {
				t.Fatal(err)
			}
			weight := tensor.Tensor{Name: "w", DType: tensor.F32, Shape: tensor.Shape{rows, k}, Buf: buf}
			s, _ := dev.Stream()
			if err := s.Upload(weight, cast.AsBytes(w)); err != nil {
				t.Fatal(err)
			}
			g := &ops.Graph{}
			y := ops.MulMat(g, g.Input("x", tensor.F32, 1, k), g.Weight(weight))
			p, err := dev.Compile(g, nil, y)
			if err != nil {
				t.Fatal(err)
			}
			x := make([]float32, k)
			x[3] = 1
			in, _ := p.Input("x")
			if err := errors.Join(s.Upload(in, cast.AsBytes(x)), buf.Free(), s.Run(p)); err != nil {
				t.Fatal(err)
			}
			if err := s.Upload(weight, cast.AsBytes(w)); err == nil {
				t.Error("uploaded to a freed buffer")
			}
			got := make([]float32, rows)
			if err := s.Download(cast.AsBytes(got), p.Output(0)); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				if v != float32(i) {
					t.Fatalf("row %d is %v", i, v)
				}
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.Run(p); !errors.Is(err, host.ErrClosed) {
				t.Errorf("a closed plan ran: %v", err)
			}
		})
	}
}
