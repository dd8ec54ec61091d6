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
	memoryTime  = 10 * time.Millisecond // of a product that is measured alone
)

// Bandwidth returns the bytes per second at which the device's memory delivers weights: the best of products of
// one vector with a large matrix in several types, and on a CPU of a plain sum too. It returns 0 for devices whose
// time says nothing.
func Bandwidth(ctx context.Context, dev ops.Device) (best float64, err error) {
	kind, _, _ := strings.Cut(dev.Info().Name, ":")
	if kind == "emu" || kind == "ref" {
		return 0, nil
	}
	size := int64(memoryBytes)
	var weights []tensor.Tensor
	for _, name := range []string{"F16", "Q8_0", "F32"} {
		dt, ok := tensor.ParseDType(name)
		if !ok {
			continue
		}
		t, bytes, err := matrix(dev, dt)
		if err != nil {
			return 0, err
		}
		weights = append(weights, t)
		size = max(size, bytes)
	}
	buf, err := dev.Alloc(size, ops.MemWeights)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, buf.Free()) }()
	x := written(dev, buf)
	if kind == "cpu" {
		best = sumBandwidth(x[:min(len(x), memoryBytes)])
	}
	for _, t := range weights {
		t.Buf = buf
		rate, err := productBandwidth(ctx, dev, t)
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

// sumBandwidth reads x, which lies where weights do, on all cores.
func sumBandwidth(x []byte) float64 {
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
		best = max(best, float64(len(x))/time.Since(start).Seconds())
	}
	return best
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

// matrix returns a matrix of memoryBytes without its memory, as the device lays it out, and the bytes that takes.
func matrix(dev ops.Device, dt tensor.DType) (tensor.Tensor, int64, error) {
	row, err := tensor.Bytes(dt, tensor.Shape{memoryCols})
	if err != nil {
		return tensor.Tensor{}, 0, err
	}
	t := tensor.Tensor{Name: "w", DType: dt, Shape: tensor.Shape{int(memoryBytes / row), memoryCols}}
	t.Layout = dev.Layout(ops.WeightUse{Name: t.Name, DType: dt, Shape: t.Shape, Ops: []*ops.Def{ops.MulMatOp}})
	size, err := ops.WeightBytes(t)
	return t, size, err
}

// productBandwidth multiplies one vector with a matrix of about zeros, which a device reads like any other.
func productBandwidth(ctx context.Context, dev ops.Device, t tensor.Tensor) (best float64, err error) {
	size, err := ops.WeightBytes(t)
	if err != nil {
		return 0, err
	}
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
	times := 1
	for range memoryReps {
		start := time.Now()
		for range times {
			if err := s.Run(plan); err != nil {
				return 0, err
			}
		}
		if err := s.Sync(ctx); err != nil {
			return 0, err
		}
		took := time.Since(start)
		best = max(best, float64(times)*float64(size)/took.Seconds())
		if took < memoryTime {
			times = memoryReps // so that launching counts for little
		}
	}
	return best, nil
}
