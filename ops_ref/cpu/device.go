package cpu

import (
	"fmt"
	"runtime"

	"github.com/hipengine/hipengine/internal/hostmem"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// Options configure a Device. The zero value uses all cores.
type Options struct {
	Threads int // 0: one per core that the process may use
	Beside  int // with Threads 0: of the processors, how many are left to others, but at most a quarter
}

// threads are those of so many cores, with so many processors, which may be two of a core.
func (o Options) threads(cores, procs int) int { return min(cores, procs-min(o.Beside, procs/4)) }

// Device is the fast device of the processor. It holds goroutines, and the memory that its plans share.
type Device struct {
	threads int
	pool    *par.Pool
	work    workspace
	config  host.Config

	interleaves bool // weights that have kernels for it: see interleaved.go

	fuse []*ops.Def // see ops.Caps

	// override replaces kernels by those of the reference or of tests.
	override map[*ops.Def]opsref.Kernel[float32]
}

var _ ops.Device = (*Device)(nil)

// New returns a device; Close ends its goroutines and gives their memory back.
func New(o Options) *Device {
	if o.Threads <= 0 {
		o.Threads = o.threads(par.Cores(), runtime.GOMAXPROCS(0))
	}
	return &Device{threads: o.Threads, pool: par.New(o.Threads), work: workspace{acts: map[actLayout]*activations{}},
		config:      host.Config{Layout: func(name string) bool { return name == interleaved }},
		interleaves: simd.Interleaves(), fuse: fused}
}

// Info describes the device.
func (d *Device) Info() ops.Info {
	return ops.Info{Name: "cpu", Target: runtime.GOARCH,
		Model: fmt.Sprintf("%d threads, %v", d.threads, simd.Current()), Wave: 1}
}

// fused are the ops that graphs are rewritten to, larger ones first.
var fused = []*ops.Def{ops.GatedRMSNormOp, ops.RMSNormRoPEOp, ops.AddRMSNormOp}

// Caps implements ops.Device. What is free is what the machine, or the control group of the process, has left.
// PlanBytes leaves out what the threads of all plans share: one step's activations in the layouts that kernels read,
// and results under way.
func (d *Device) Caps() ops.Caps {
	return ops.Caps{
		Free: hostmem.Process,
		PlanBytes: func(g *ops.Graph, outs ...ops.Value) (int64, error) {
			return host.PlanBytes(d, g, outs, d.config)
		},
		Fuse:    d.fuse,
		Rounds:  rounds,
		Kernels: kernelsOf,
		Map:     host.Map,
		Adopt:   host.Adopt,

		Invariant: true,
	}
}

// kernelsOf lists the nodes of a plan, each with the op whose kernel it has.
func kernelsOf(p ops.Plan) []string {
	mine, ok := p.(*plan)
	if !ok {
		return nil
	}
	var names []string
	for _, n := range mine.Nodes {
		names = append(names, fmt.Sprintf("%v -> %s", n, n.Op.Name))
	}
	return names
}

// Alloc returns zeroed memory of the process.
func (d *Device) Alloc(bytes int64, _ ops.MemKind) (tensor.Buffer, error) {
	b, err := host.NewBuffer(bytes, false)
	if err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	return b, nil
}

// Supports reports whether n's op has a kernel, here or in the reference.
func (d *Device) Supports(n *ops.Node) bool {
	return kernels[n.Op] != nil || opsref.KernelOf(n.Op) != nil
}

// Stream returns a queue that does its work before each call returns.
func (d *Device) Stream() (ops.Stream, error) { return stream{}, nil }

// Close ends the device. None of its plans may run any more.
func (d *Device) Close() error {
	d.pool.Close()
	d.work.release()
	return nil
}
