package opship

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/devthread"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

var _ ops.Device = (*Device)(nil)

// Device is a GPU, or the emulation of one. All calls to its runtime are made from one OS thread.
type Device struct {
	info    ops.Info
	target  *Target
	set     codeobj.Set
	rt      hiprt.Runtime
	ordinal int

	integrated bool      // shares the host's memory
	graphs     sync.Once // checkGraphs
	noGraphs   error     // why kernels are launched one by one although the options allow graphs; nil if they are not

	opt    Options
	thread *devthread.Thread

	// Used in the device's turn only.
	service hiprt.Stream // for clearing memory and for captures
	modules map[string]*module

	ledger ledger
}

// memAlign is the alignment in bytes of every allocation and of every value in a plan's arena.
const memAlign = 256

// ledger counts the bytes that a device has handed out, by kind. Drivers report free memory with delay, in large
// units, or (integrated GPUs) wrongly.
type ledger struct {
	mu   sync.Mutex
	used [ops.MemPlans + 1]int64
}

func (l *ledger) add(kind ops.MemKind, n int64) {
	l.mu.Lock()
	l.used[kind] += n
	l.mu.Unlock()
}

// String lists what is in use: "3.0 GiB weights, 1.0 GiB state".
func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []string
	for k, n := range l.used {
		if n > 0 && ops.MemKind(k) != ops.MemPinned {
			parts = append(parts, size(n)+" "+kindName(ops.MemKind(k)))
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func kindName(k ops.MemKind) string {
	switch k {
	case ops.MemWeights:
		return "weights"
	case ops.MemState:
		return "state"
	case ops.MemPinned:
		return "pinned host memory"
	}
	return "plans"
}

// size formats bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

// Info describes the device. Target is the one that its kernels were compiled for.
func (d *Device) Info() ops.Info { return d.info }

// Target returns what kernel selection depends on.
func (d *Device) Target() Target { return *d.target }

// Used returns the bytes of device memory that are allocated: weights, state and plans.
func (d *Device) Used() int64 {
	d.ledger.mu.Lock()
	defer d.ledger.mu.Unlock()
	u := d.ledger.used
	return u[ops.MemWeights] + u[ops.MemState] + u[ops.MemPlans]
}

// fused are the ops that graphs are rewritten to: parts before what is made of them, else larger ones first.
// fusedRows are those whose kernels do the same to a token whatever the number of tokens is.
var (
	fusedRows = []*ops.Def{ops.GatedRMSNormOp, ops.DeltaNetCoreOp, ops.RMSNormRoPEOp, ops.AddRMSNormOp}
	fused     = slices.Concat([]*ops.Def{ops.SelfAttentionOp, ops.MixtureOp, ops.SharedMixtureOp}, fusedRows,
		[]*ops.Def{ops.MulMatSwiGLUOp, ops.MulMatGeGLUOp, ops.MulMatAddRMSNormOp, ops.MixtureAddRMSNormOp,
			ops.SharedMixtureAddRMSNormOp})
)

// fusedFor returns the ops that g is rewritten to.
func fusedFor(g *ops.Graph) []*ops.Def {
	if g.Invariant {
		return fusedRows
	}
	return fused
}

// Caps returns what the device can do beyond its methods.
func (d *Device) Caps() ops.Caps {
	return ops.Caps{Free: d.free, PlanBytes: d.planBytes, Launches: d.launches, Kernels: planKernels, Fuse: fused,
		Peer: d.peer, Ranks: newRanks, Invariant: true, StepTokens: d.target.stepTokens()}
}

// peer is Peer of the device's ops.Caps: one runtime copies between its devices, and orders their streams.
func (d *Device) peer(other ops.Device) bool {
	o, ok := other.(*Device)
	return ok && o.rt == d.rt
}

// planKernels returns the nodes of a plan of this package with their kernels, nil for other plans.
func planKernels(p ops.Plan) []string {
	if q, ok := p.(*Plan); ok {
		return q.Kernels()
	}
	return nil
}

// Supports reports whether a registered kernel takes n.
func (d *Device) Supports(n *ops.Node) bool {
	_, ok := d.opt.kernels.find(n, d.target)
	return ok
}

// buffer is memory of a device.
type buffer struct {
	dev  *Device
	kind ops.MemKind
	addr hiprt.Ptr
	size int64
	host hiprt.Host // of pinned memory
}

// Size returns the usable bytes.
func (b *buffer) Size() int64 { return b.size }

// Free releases the memory; plans and streams must be done with it.
func (b *buffer) Free() error {
	if b.addr == 0 {
		return fmt.Errorf("opship: %s: memory is freed twice", b.dev.info.Name)
	}
	err := b.dev.thread.Do(background, func() error {
		if b.kind == ops.MemPinned {
			return b.dev.rt.HostFree(b.host)
		}
		return b.dev.rt.Free(b.addr)
	})
	b.addr = 0
	b.dev.ledger.add(b.kind, -b.size)
	if err != nil {
		return fmt.Errorf("opship: %s: %w", b.dev.info.Name, err)
	}
	return nil
}

// poison fills the memory of plans: as floats it is NaN, so that a kernel that reads what nobody wrote is noticed.
const poison = 0xff

// maxAlloc is far above any memory there is; larger requests are mistakes.
const maxAlloc = 1 << 46

// Alloc returns memory, aligned to 256 bytes and zeroed; that of plans is poisoned instead. The error of a full device
// says what is free and what this process holds.
func (d *Device) Alloc(bytes int64, kind ops.MemKind) (tensor.Buffer, error) {
	if kind > ops.MemPlans {
		return nil, fmt.Errorf("opship: %s: unknown kind of memory %d", d.info.Name, kind)
	}
	b, err := d.alloc(bytes, kind)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (d *Device) alloc(bytes int64, kind ops.MemKind) (*buffer, error) {
	fill := byte(0)
	if kind == ops.MemPlans {
		fill = poison
	}
	return d.allocFilled(bytes, kind, fill)
}

// allocZeroed returns zeroed memory of a plan.
func (d *Device) allocZeroed(bytes int64) (*buffer, error) {
	return d.allocFilled(bytes, ops.MemPlans, 0)
}

func (d *Device) allocFilled(bytes int64, kind ops.MemKind, fill byte) (*buffer, error) {
	if bytes < 0 || bytes > maxAlloc {
		return nil, fmt.Errorf("opship: %s: cannot allocate %d bytes of %s", d.info.Name, bytes, kindName(kind))
	}
	b := &buffer{dev: d, kind: kind, size: bytes}
	err := d.thread.Do(background, func() (err error) {
		n := max(bytes, memAlign) // runtimes return no address for nothing
		if kind == ops.MemPinned {
			if b.host, err = d.rt.HostAlloc(n); err != nil {
				return err
			}
			clear(b.host.Bytes)
			b.addr = b.host.Addr
			return nil
		}
		if b.addr, err = d.rt.Malloc(n); err != nil {
			return err
		}
		if err := errors.Join(d.rt.Memset(b.addr, fill, n, d.service), d.rt.SyncStream(d.service)); err != nil {
			return errors.Join(err, d.rt.Free(b.addr))
		}
		return nil
	})
	if err != nil {
		what := fmt.Sprintf("opship: %s: cannot allocate %s of %s", d.info.Name, size(bytes), kindName(kind))
		if errors.Is(err, ops.ErrOutOfMemory) && kind != ops.MemPinned {
			free, total, _ := d.memory() // for the message only
			what += fmt.Sprintf(" (%s of %s free; this process holds %v)", size(free), size(total), &d.ledger)
		}
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	d.ledger.add(kind, bytes)
	return b, nil
}

// Close unloads the kernels and ends the device thread. Plans, streams and buffers must be closed before.
func (d *Device) Close() error {
	err := d.thread.Do(background, func() error {
		var errs []error
		for _, m := range d.modules {
			errs = append(errs, d.rt.UnloadModule(m.handle))
		}
		return errors.Join(append(errs, d.rt.CloseStream(d.service))...)
	})
	d.thread.Close()
	if err != nil {
		return fmt.Errorf("opship: %s: %w", d.info.Name, err)
	}
	return nil
}

// address returns where the first n bytes of t are.
func (d *Device) address(t tensor.Tensor, n int64) (hiprt.Ptr, error) {
	b, ok := t.Buf.(*buffer)
	if !ok || b.dev != d {
		return 0, fmt.Errorf("tensor %q is of another device (buffer %T)", t.Name, t.Buf)
	}
	if b.addr == 0 {
		return 0, fmt.Errorf("tensor %q is in memory that was freed", t.Name)
	}
	if t.Off < 0 || t.Off > b.size || n > b.size-t.Off {
		return 0, fmt.Errorf("tensor %q: %d bytes at %d are outside of its buffer of %d", t.Name, n, t.Off, b.size)
	}
	return b.addr + hiprt.Ptr(t.Off), nil
}
