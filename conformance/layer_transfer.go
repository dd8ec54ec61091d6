package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// transferChecks belongs to layers 4 and 5: what streams do beside running plans, and arenas.
func (s *suite) transferChecks() []check {
	var cs []check
	for _, c := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"Stream/copy", s.checkCopy},
		{"Stream/zero", s.checkZero},
		{"Stream/event", s.checkEvent},
		{"Stream/queued", s.checkQueued},
		{"Memory/arena", s.checkArena},
	} {
		cs = append(cs, check{c.name, func(ctx context.Context) Result {
			if err := c.run(ctx); err != nil {
				return failf("%v", err)
			}
			return Result{Verdict: Pass}
		}})
	}
	return cs
}

// transferSizes are bytes of copies and fills: less than a word, odd, and more than a block of threads or a page.
var transferSizes = []int{1, 3, 64, 255, 4096, 100_003}

// strip is a state of bytes with random contents, and a stream to reach it.
type strip struct {
	ops.Stream
	t     tensor.Tensor
	image []byte // what it must hold
}

func (s *suite) newStrip(name string, n int) (*strip, error) {
	st, err := s.dev.Stream()
	if err != nil {
		return nil, err
	}
	buf, err := s.dev.Alloc(int64(n), ops.MemState)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	b := &strip{Stream: st, t: tensor.Tensor{Name: name, DType: tensor.I8, Shape: tensor.Shape{n}, Buf: buf},
		image: make([]byte, n)}
	r := newRand(s.o.Seed, "%s", name)
	for i := range b.image {
		b.image[i] = byte(r.Uint32())
	}
	if err := b.Upload(b.t, b.image); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// at returns the n bytes from byte off on.
func (b *strip) at(off, n int) tensor.Tensor {
	t := b.t
	t.Off, t.Shape = int64(off), tensor.Shape{n}
	return t
}

// same compares the strip with its image.
func (b *strip) same(ctx context.Context, what string) error {
	got := make([]byte, len(b.image))
	if err := errors.Join(b.Download(got, b.t), b.Sync(ctx)); err != nil {
		return err
	}
	for i := range got {
		if got[i] != b.image[i] {
			return fmt.Errorf("%s: byte %d is %#x, want %#x", what, i, got[i], b.image[i])
		}
	}
	return nil
}

func (b *strip) close() error { return errors.Join(b.Close(), b.t.Buf.Free()) }

func (s *suite) checkCopy(ctx context.Context) error {
	for _, n := range transferSizes {
		from := n + 2*guard // the source follows the destination, with guards between
		b, err := s.newStrip(fmt.Sprintf("copy%d", n), 2*n+3*guard)
		if err != nil {
			return err
		}
		err = b.Copy(b.at(guard, n), b.at(from, n))
		if err == nil {
			copy(b.image[guard:][:n], b.image[from:][:n])
			err = b.same(ctx, fmt.Sprintf("a copy of %d bytes", n))
		}
		if err == nil && b.Copy(b.at(guard, n), b.at(from, n+1)) == nil {
			err = fmt.Errorf("a copy of %d bytes to %d is no error", n+1, n)
		}
		if err = errors.Join(err, b.close()); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) checkZero(ctx context.Context) error {
	for _, n := range transferSizes {
		b, err := s.newStrip(fmt.Sprintf("zero%d", n), n+2*guard)
		if err != nil {
			return err
		}
		err = b.Zero(b.at(guard, n))
		if err == nil {
			clear(b.image[guard:][:n])
			err = b.same(ctx, fmt.Sprintf("%d bytes cleared", n))
		}
		if err = errors.Join(err, b.close()); err != nil {
			return err
		}
	}
	return nil
}

// checkEvent lets one stream change what another has written, and read what a third has changed, ordered by events
// alone.
func (s *suite) checkEvent(ctx context.Context) (err error) {
	const n = 100_003
	b, err := s.newStrip("event", 2*n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	other, err := s.dev.Stream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	for round := range 10 {
		written, err := b.Mark()
		if err != nil {
			return err
		}
		if err := errors.Join(other.Wait(written), other.Copy(b.at(0, n), b.at(n, n)),
			other.Zero(b.at(n+round, 1))); err != nil {
			return err
		}
		copied, err := other.Mark()
		if err != nil {
			return err
		}
		copy(b.image[:n], b.image[n:])
		b.image[n+round] = 0
		err = b.Wait(copied)
		if err == nil {
			err = b.same(ctx, fmt.Sprintf("round %d of two streams", round))
		}
		if err = errors.Join(err, copied.Sync(ctx), written.Close(), copied.Close()); err != nil {
			return err
		}
	}
	return nil
}

// checkArena runs plans of several sizes in one arena, forwards and backwards, and compiles a larger one when all
// have run. Each must give the bits that it gives in memory of its own.
func (s *suite) checkArena(ctx context.Context) (err error) {
	st, err := s.dev.Stream()
	if err != nil {
		return err
	}
	a := &ops.Arena{}
	defer func() { err = errors.Join(err, st.Close(), a.Free()) }()
	type sized struct {
		plan ops.Plan
		n    int
		want []byte
	}
	var plans []sized
	defer func() {
		for _, p := range plans {
			err = errors.Join(err, p.plan.Close())
		}
	}()
	compile := func(n int, a *ops.Arena) (ops.Plan, error) {
		g := &ops.Graph{}
		x := g.Input("x", tensor.F32, n)
		y := ops.Mul(g, ops.SiLU(g, x), ops.Add(g, x, x))
		if err := g.Err(); err != nil {
			return nil, err
		}
		return s.dev.Compile(g, a, y)
	}
	run := func(p ops.Plan, n int) ([]byte, error) {
		in, _ := p.Input("x")
		x := make([]float32, n)
		r := newRand(s.o.Seed, "arena%d", n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		raw := make([]byte, 4*n)
		f, _ := tensor.F32.Format()
		f.Quant(raw, x)
		y := make([]byte, 4*n)
		return y, errors.Join(st.Upload(in, raw), st.Run(p), st.Download(y, p.Output(0)), st.Sync(ctx))
	}
	add := func(n int) error {
		alone, err := compile(n, nil)
		if err != nil {
			return err
		}
		p := sized{n: n}
		if p.want, err = run(alone, n); err != nil {
			return errors.Join(err, alone.Close())
		}
		if err := alone.Close(); err != nil {
			return err
		}
		if p.plan, err = compile(n, a); err != nil {
			return err
		}
		plans = append(plans, p)
		return nil
	}
	for _, n := range []int{1000, 37, 20_011, 5000, 300_007} {
		if err := add(n); err != nil {
			return err
		}
		largest := a.Bytes()
		for round := range 4 { // captured plans: directly, captured, replayed
			for i := range plans {
				p := plans[i]
				if round%2 == 1 {
					p = plans[len(plans)-1-i]
				}
				got, err := run(p.plan, p.n)
				if err != nil {
					return err
				}
				if !bytes.Equal(got, p.want) {
					return fmt.Errorf("a plan of %d elements has other results in an arena that %d plans share", p.n,
						len(plans))
				}
			}
		}
		if a.Bytes() != largest {
			return fmt.Errorf("running plans changed the size of their arena")
		}
	}
	return nil
}
