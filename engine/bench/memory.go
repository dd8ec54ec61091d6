package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Sizes of the measurement of memory: much more than caches hold.
const (
	memoryCols  = 4096
	memoryBytes = 512 << 20
	memoryReps  = 4
)

// Bandwidth returns the bytes per second at which the device's memory delivers weights: the best of products of
// one vector with a large matrix in several types, and on a CPU of a plain sum too. It returns 0 for devices whose
// time says nothing.
func Bandwidth(ctx context.Context, dev ops.Device) (float64, error) {
	kind, _, _ := strings.Cut(dev.Info().Name, ":")
	var best float64
	switch kind {
	case "emu", "ref":
		return 0, nil
	case "cpu":
		var err error
		if best, err = sumBandwidth(dev); err != nil {
			return 0, err
		}
	}
	for _, name := range []string{"F16", "Q8_0", "F32"} {
		dt, ok := tensor.ParseDType(name)
		if !ok {
			continue
		}
		rate, err := productBandwidth(ctx, dev, dt)
		if errors.Is(err, ops.ErrUnsupported) {
			continue
		}
		if err != nil {
			return 0, err
		}
		best = max(best, rate)
	}
	return best, nil
}

// sumBandwidth reads memory of the kind that weights lie in, on all cores.
func sumBandwidth(dev ops.Device) (_ float64, err error) {
	buf, err := dev.Alloc(memoryBytes, ops.MemWeights)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, buf.Free()) }()
	x := written(dev, buf)
	const parts = 64
	var best float64
	var sums [parts]uint64
	for range memoryReps {
		start := time.Now()
		var wg sync.WaitGroup
		for p := range parts {
			wg.Go(func() {
				part := x[p*len(x)/parts : (p+1)*len(x)/parts]
				var a, b, c, d uint64
				for ; len(part) >= 64; part = part[64:] {
					a += word(part[0:]) + word(part[32:])
					b += word(part[8:]) + word(part[40:])
					c += word(part[16:]) + word(part[48:])
					d += word(part[24:]) + word(part[56:])
				}
				sums[p] += a + b + c + d
			})
		}
		wg.Wait()
		best = max(best, memoryBytes/time.Since(start).Seconds())
	}
	return best, nil
}

// written returns the memory of a buffer, nil if it is not in the process, after a write to each page: those that were
// never written may all be the same one.
func written(dev ops.Device, buf tensor.Buffer) []byte {
	where := dev.Caps().Map
	if where == nil {
		return nil
	}
	x := where(buf)
	for i := 0; i < len(x); i += 4096 {
		x[i] = 1
	}
	return x
}

// word returns the first eight bytes of b.
func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// productBandwidth multiplies one vector with a matrix of about zeros, which a device reads like any other.
func productBandwidth(ctx context.Context, dev ops.Device, dt tensor.DType) (_ float64, err error) {
	row, err := tensor.Bytes(dt, tensor.Shape{memoryCols})
	if err != nil {
		return 0, err
	}
	shape := tensor.Shape{int(memoryBytes / row), memoryCols}
	t := tensor.Tensor{Name: "w", DType: dt, Shape: shape}
	t.Layout = dev.Layout(ops.WeightUse{Name: t.Name, DType: dt, Shape: shape, Ops: []*ops.Def{ops.MulMatOp}})
	size, err := ops.WeightBytes(t)
	if err != nil {
		return 0, err
	}
	buf, err := dev.Alloc(size, ops.MemWeights)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, buf.Free()) }()
	written(dev, buf)
	t.Buf = buf
	g := &ops.Graph{}
	y := ops.MulMat(g, g.Input("x", tensor.F32, 1, memoryCols), g.Weight(t))
	if err := g.Err(); err != nil {
		return 0, err
	}
	plan, err := dev.Compile(g, nil, y)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	s, err := dev.Stream()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var best float64
	for range memoryReps {
		start := time.Now()
		for range memoryReps {
			if err := s.Run(plan); err != nil {
				return 0, err
			}
		}
		if err := s.Sync(ctx); err != nil {
			return 0, err
		}
		best = max(best, memoryReps*float64(buf.Size())/time.Since(start).Seconds())
	}
	return best, nil
}
