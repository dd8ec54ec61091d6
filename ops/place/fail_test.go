package place

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

// fragile is a CPU whose streams do as told.
type fragile struct {
	*cpu.Device
	run  func(n int32) error // before the n-th run, from 1; nil: nothing
	down func() error        // before downloads
	runs atomic.Int32
}

func (d *fragile) Stream() (ops.Stream, error) {
	s, err := d.Device.Stream()
	return &fragileStream{s, d}, err
}

type fragileStream struct {
	ops.Stream
	d *fragile
}

func (s *fragileStream) Run(p ops.Plan) error {
	if f := s.d.run; f != nil {
		if err := f(s.d.runs.Add(1)); err != nil {
			return err
		}
	}
	return s.Stream.Run(p)
}

func (s *fragileStream) Download(dst []byte, src tensor.Tensor) error {
	if f := s.d.down; f != nil {
		if err := f(); err != nil {
			return err
		}
	}
	return s.Stream.Download(dst, src)
}

// chain records products that alternate between parts 0 and 1.
func chain(b *testbed) (ops.Plan, map[string][]float32) {
	b.t.Helper()
	g := &ops.Graph{}
	w := make([]float32, 16)
	for i := range w {
		w[i] = float32(i%5) - 2
	}
	x := g.Input("x", tensor.F32, 2, 4)
	for i := range 6 {
		x = ops.MulMat(g, x, g.Weight(b.tensor([]string{"even", "odd"}[i%2], ops.MemWeights, w, 4, 4)))
	}
	p, err := b.d.Compile(g, nil, x)
	if err != nil {
		b.t.Fatal(err)
	}
	return p, map[string][]float32{"x": {1, 2, 3, 4, 5, 6, 7, 8}}
}

// TestFails: a part that fails in the middle of a run, at once or after others waited for it, gives the run's error, which
// names it; nothing hangs, no other part goes on, and the next run is right.
func TestFails(t *testing.T) {
	gone := errors.New("gone")
	for _, c := range []struct {
		name string
		hurt func(d *fragile, over chan struct{})
		want string
	}{
		{"first", func(d *fragile, _ chan struct{}) {
			d.run = func(n int32) error {
				if n == 1 {
					return gone
				}
				return nil
			}
		}, "gone"},
		{"middle", func(d *fragile, _ chan struct{}) {
			d.run = func(n int32) error {
				if n == 2 {
					return gone
				}
				return nil
			}
		}, "gone"},
		{"late", func(d *fragile, over chan struct{}) {
			d.run = func(n int32) error {
				if n == 3 {
					<-over
					return gone
				}
				return nil
			}
		}, "gone"},
		{"panic", func(d *fragile, _ chan struct{}) {
			d.run = func(n int32) error {
				if n == 2 {
					panic("lost my way")
				}
				return nil
			}
		}, "lost my way"},
		{"copy", func(d *fragile, _ chan struct{}) {
			first := true
			d.down = func() error {
				if first {
					first = false
					return gone
				}
				return nil
			}
		}, "gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var bad *fragile
			var devs []ops.Device
			for range 2 {
				d := &fragile{Device: cpu.New(cpu.Options{Threads: 1})}
				t.Cleanup(func() { d.Device.Close() })
				devs, bad = append(devs, d), d
			}
			b := bedOf(t, func(name string) int { return map[string]int{"odd": 1}[name] }, devs...)
			p, in := chain(b)
			want, err := b.run(p, in, 1)
			if err != nil {
				t.Fatal(err)
			}
			over := make(chan struct{})
			bad.runs.Store(0)
			c.hurt(bad, over)
			time.AfterFunc(20*time.Millisecond, func() { close(over) })
			_, err = b.run(p, in, 1)
			var part *PartError
			if !errors.As(err, &part) || part.Part != 1 || part.DeviceFailed() != "cpu" ||
				!strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v", err)
			}
			if n := bad.runs.Load(); n > 3 {
				t.Errorf("%d runs of the part that failed", n)
			}
			bad.run, bad.down = nil, nil
			for range 2 {
				got, err := b.run(p, in, 1)
				if err != nil || len(got[0]) != 8 || got[0][3] != want[0][3] || got[0][7] != want[0][7] {
					t.Fatalf("after it: %v, want %v, %v", got, want, err)
				}
			}
		})
	}
}

// TestCancelled: whoever waits for a part that hangs can leave, and its end is waited for by the next call.
func TestCancelled(t *testing.T) {
	over := make(chan struct{})
	bad := &fragile{Device: cpu.New(cpu.Options{Threads: 1})}
	defer bad.Device.Close()
	b := bedOf(t, func(name string) int { return map[string]int{"odd": 1}[name] },
		&fragile{Device: bad.Device}, bad)
	p, in := chain(b)
	want, err := b.run(p, in, 1)
	if err != nil {
		t.Fatal(err)
	}
	bad.runs.Store(0)
	bad.run = func(n int32) error {
		if n == 2 {
			<-over
		}
		return nil
	}
	if err := b.s.Run(p); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 32)
	if err := b.s.Download(got, p.Output(0)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.s.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	close(over)
	if err := b.s.Sync(t.Context()); err != nil || string(got) != string(raw(want[0])) {
		t.Errorf("%v, want %v: %v", got, raw(want[0]), err)
	}
}
