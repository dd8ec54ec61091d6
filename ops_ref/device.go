package opsref

import (
	"fmt"
	"runtime"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/pages"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// Kernel computes one node.
type Kernel[T Float] func(c *Call[T]) error

// Call is the operands of one node. A kernel writes Out and, where the op updates an input in place, that input,
// whose view Out repeats.
type Call[T Float] struct {
	In, Out []View[T]
	Attrs   any
	Pool    *par.Pool
}

// For calls f on [0,n) cut into ranges of grain indexes, the last of which may be shorter, on the device's threads: the
// ranges do not depend on how many there are. A panic in f is the error.
func (c *Call[T]) For(n, grain int, f func(lo, hi int)) error { return c.Pool.For(n, grain, f) }

// kernel is an op's implementation in both precisions.
type kernel struct {
	f32 Kernel[float32]
	f64 Kernel[float64]
}

var kernels = map[*ops.Def]kernel{}

// Register installs the kernel of d; op files call it from init with one generic function twice.
func Register(d *ops.Def, f32 Kernel[float32], f64 Kernel[float64]) {
	if _, ok := kernels[d]; ok {
		panic("opsref: duplicate kernel for " + d.Name)
	}
	kernels[d] = kernel{f32, f64}
}

// Options configure a Device. The zero value is the reference in float32 on all cores.
type Options struct {
	Name    string // Info().Name; empty means "ref", "oracle" or "cpu" as the flags say
	Threads int    // 0: one per core that the process may use
	Oracle  bool   // compute activations in float64

	// Fast uses the kernels registered with RegisterFast where there are any. They quantize activations that meet
	// quantized weights to 8 bits, and their results do not depend on the number of threads, on the vector
	// instructions of the processor or on what else is in a batch, but for the exception that the package comment
	// states. Oracle excludes it.
	Fast bool

	// Without lists ops that the device claims not to support, so that they are expanded.
	Without map[*ops.Def]bool

	// Override replaces kernels, for planting defects in tests of conformance suites.
	Override map[*ops.Def]Kernel[float32]
}

// Device is the reference backend. It holds goroutines, and the memory that its fast plans share.
type Device struct {
	opt  Options
	pool *par.Pool
	work workspace // of fast plans

	interleaves bool // weights of types that have such kernels: see interleaved_fast.go
}

// New returns a device; Close ends its goroutines and gives their memory back.
func New(o Options) *Device {
	if o.Threads <= 0 {
		o.Threads = par.Cores()
	}
	if o.Name == "" {
		o.Name = "ref"
		switch {
		case o.Oracle:
			o.Name = "oracle"
		case o.Fast:
			o.Name = "cpu"
		}
	}
	return &Device{opt: o, pool: par.New(o.Threads), work: workspace{acts: map[actLayout]*activations{}}, interleaves: o.Fast && simd.Interleaves()}
}

// Info describes the device.
func (d *Device) Info() ops.Info {
	model := fmt.Sprintf("%d threads", d.opt.Threads)
	if d.opt.Fast {
		model += ", " + simd.Current().String()
	}
	return ops.Info{Name: d.opt.Name, Target: runtime.GOARCH, Model: model, Wave: 1}
}

// Alloc returns zeroed memory of the process.
func (d *Device) Alloc(bytes int64, kind ops.MemKind) (tensor.Buffer, error) {
	if bytes < 0 || bytes > 1<<46 {
		return nil, fmt.Errorf("opsref: cannot allocate %d bytes", bytes)
	}
	m, err := pages.New(bytes)
	if err != nil {
		return nil, fmt.Errorf("opsref: %w", err)
	}
	return &buffer{mem: m, b: m.Bytes(), interleaves: d.interleaves && kind == ops.MemWeights}, nil
}

// Supports reports whether n's op has a kernel.
func (d *Device) Supports(n *ops.Node) bool {
	_, ok := kernels[n.Op]
	return ok && !d.opt.Without[n.Op]
}

// Stream returns a queue that does its work before each call returns.
func (d *Device) Stream() (ops.Stream, error) { return stream{}, nil }

// Close ends the device. None of its plans may run any more.
func (d *Device) Close() error {
	d.pool.Close()
	d.work.release()
	return nil
}

// Compile lowers g and plans its memory.
func (d *Device) Compile(g *ops.Graph, outs ...ops.Value) (ops.Plan, error) {
	switch {
	case d.opt.Oracle:
		return asPlan(compile(d, g, outs, func(k kernel, _ *ops.Def) Kernel[float64] { return k.f64 }))
	case d.opt.Fast:
		return compileFast(d, g, outs)
	}
	return asPlan(compile(d, g, outs, d.pickFloat32))
}

// asPlan keeps a nil pointer from becoming a plan.
func asPlan[T Float](p *compiled[T], err error) (ops.Plan, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// pickFloat32 returns the reference kernel of op, or its replacement.
func (d *Device) pickFloat32(k kernel, op *ops.Def) Kernel[float32] {
	if o, ok := d.opt.Override[op]; ok {
		return o
	}
	return k.f32
}

// buffer is memory of the process. In the arena of an oracle plan (wide), F32 values are stored as float64.
type buffer struct {
	mem  *pages.Memory // what Alloc returned; plans that use it hold it too. Nil for an arena, and once freed
	b    []byte
	wide bool

	interleaves bool // weights in it, see interleavedFormat
}

func (b *buffer) Size() int64 { return int64(len(b.b)) }

// Bytes implements ops.HostBuffer.
func (b *buffer) Bytes() []byte { return b.b }

func (b *buffer) Free() error {
	b.b = nil
	if b.mem != nil {
		b.mem.Release()
		b.mem = nil
	}
	return nil
}

// KernelOf returns the float32 kernel of d, for tests that wrap it; nil if there is none.
func KernelOf(d *ops.Def) Kernel[float32] { return kernels[d].f32 }
