package opsref

import (
	"fmt"
	"runtime"

	"github.com/hipengine/hipengine/internal/hostmem"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/tensor"
)

// Options configure a Device. The zero value is the reference in float32 on all cores.
type Options struct {
	Name    string // Info().Name; empty means "ref", or "oracle" as the flag says
	Threads int    // 0: one per core that the process may use
	Oracle  bool   // compute activations in float64

	// Without lists ops that the device claims not to support, so that they are expanded.
	Without map[*ops.Def]bool

	// Override replaces kernels, or takes the place of expansions, for planting defects in tests of conformance
	// suites. The oracle has none.
	Override map[*ops.Def]Kernel[float32]
}

// Device is the reference backend. It holds goroutines.
type Device struct {
	opt    Options
	pool   *par.Pool
	config host.Config
}

var _ ops.Device = (*Device)(nil)

// New returns a device; Close ends its goroutines.
func New(o Options) *Device {
	if o.Threads <= 0 {
		o.Threads = par.Cores()
	}
	if o.Name == "" {
		o.Name = "ref"
		if o.Oracle {
			o.Name = "oracle"
		}
	}
	return &Device{opt: o, pool: par.New(o.Threads), config: host.Config{Wide: o.Oracle}}
}

// Info describes the device.
func (d *Device) Info() ops.Info {
	return ops.Info{Name: d.opt.Name, Target: runtime.GOARCH, Model: fmt.Sprintf("%d threads", d.opt.Threads), Wave: 1}
}

// Caps implements ops.Device. What is free is what the machine, or the control group of the process, has left.
func (d *Device) Caps() ops.Caps {
	return ops.Caps{
		Free: hostmem.Process,
		PlanBytes: func(g *ops.Graph, outs ...ops.Value) (int64, error) {
			return host.PlanBytes(d, g, outs, d.config)
		},
		Kernels:   kernelsOf,
		Map:       host.Map,
		Invariant: true,
	}
}

// kernelsOf lists the nodes of a plan; all run as kernels of this package.
func kernelsOf(p ops.Plan) []string {
	r, ok := p.(interface{ nodes() []*ops.Node })
	if !ok {
		return nil
	}
	var names []string
	for _, n := range r.nodes() {
		names = append(names, fmt.Sprintf("%v -> %s", n, n.Op.Name))
	}
	return names
}

// Layout implements ops.Device: weights lie as in files.
func (d *Device) Layout(ops.WeightUse) tensor.Layout { return tensor.Layout{} }

// Alloc returns zeroed memory of the process.
func (d *Device) Alloc(bytes int64, kind ops.MemKind) (tensor.Buffer, error) {
	b, err := host.NewBuffer(bytes, d.opt.Oracle && kind == ops.MemPlans)
	if err != nil {
		return nil, fmt.Errorf("opsref: %w", err)
	}
	return b, nil
}

// Supports reports whether n's op has a kernel.
func (d *Device) Supports(n *ops.Node) bool {
	return (KernelOf(n.Op) != nil || d.opt.Override[n.Op] != nil && !d.opt.Oracle) && !d.opt.Without[n.Op]
}

// Stream returns a queue that does its work before each call returns.
func (d *Device) Stream() (ops.Stream, error) { return stream{}, nil }

// Close ends the device. None of its plans may run any more.
func (d *Device) Close() error {
	d.pool.Close()
	return nil
}

// Compile implements ops.Device.
func (d *Device) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	p, err := host.NewPlan(d, g, a, outs, d.config)
	if err != nil {
		return nil, fmt.Errorf("opsref: %w", err)
	}
	if d.opt.Oracle {
		return interpret(p, d.pool, func(op *ops.Def) Kernel[float64] { return kernels[op].f64 })
	}
	return interpret(p, d.pool, func(op *ops.Def) Kernel[float32] {
		if k, ok := d.opt.Override[op]; ok {
			return k
		}
		return kernels[op].f32
	})
}
