//go:build linux && (amd64 || arm64)

// Package bringup brings a GPU up through /dev/kfd in steps of rising risk, for the first run on a machine: each step
// says what it found, and the first that fails is the last. It ends in a soak.
package bringup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/topo"
)

// Options say how much is done.
type Options struct {
	Device  int           // number of the GPU, as HIP counts
	Soak    int           // dispatches; 0: 10,000
	Read    bool          // read files alone, open nothing
	Limits  bool          // take nearly all memory, too
	Idle    time.Duration // leave the GPU alone so long, and use it again; 0: not
	Suspend bool          // wait until the machine was in suspend, and use the GPU again
	Only    string        // one of Parts: open the GPU without proofs, and do that alone
	Driver  drv.Options
}

// Parts are what can be done alone: dispatches, each checked; and what must be noticed, after which the process cannot
// use the GPU any more: a packet that firmware refuses, a kernel that stores to memory that is not there, and a queue that
// makes no progress.
var Parts = []string{"soak", "packet", "fault", "hang"}

// run is one bringing up.
type run struct {
	ctx  context.Context
	s    sys.Sys
	o    Options
	w    io.Writer
	n    int // step
	werr error
}

// Run brings up a GPU of the machine s and writes a report to w. The error is that of the step that failed.
func Run(ctx context.Context, s sys.Sys, w io.Writer, o Options) error {
	if o.Soak == 0 {
		o.Soak = 10000
	}
	r := &run{ctx: ctx, s: s, o: o, w: w}
	err := r.all()
	if err == nil {
		r.printf("all steps passed\n")
	} else {
		r.printf("stopped: %v\n", err)
	}
	return errors.Join(err, r.werr)
}

// printf writes to the report. The first error of the writer is kept.
func (r *run) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(r.w, format, args...); err != nil && r.werr == nil {
		r.werr = err
	}
}

// step runs a step and reports it.
func (r *run) step(name string, f func() (string, error)) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	r.n++
	start := r.s.Now()
	detail, err := f()
	took := (r.s.Now() - start).Round(time.Microsecond)
	if err != nil {
		r.printf("%2d FAIL %s (%v): %v\n", r.n, name, took, err)
		return fmt.Errorf("step %d, %s: %w", r.n, name, err)
	}
	r.printf("%2d OK   %s (%v): %s\n", r.n, name, took, detail)
	return nil
}

func (r *run) all() error {
	if r.o.Only != "" && !slices.Contains(Parts, r.o.Only) {
		return fmt.Errorf("kfd: there is no part %q to do alone, but %s", r.o.Only, strings.Join(Parts, ", "))
	}
	r.printf("hipengine: bringing up kfd:%d\n", r.o.Device)
	if err := r.step("environment", r.environment); err != nil {
		return err
	}
	p, err := drv.NewProcess(r.s, r.o.Driver)
	if err != nil {
		return err
	}
	var gpu topo.GPU
	if err := r.step("topology", func() (string, error) {
		gpus, err := p.Devices()
		if err != nil {
			return "", err
		}
		if r.o.Device < 0 || r.o.Device >= len(gpus) {
			return "", fmt.Errorf("there are %d devices, numbered from 0", len(gpus))
		}
		gpu = gpus[r.o.Device]
		return describe(gpus), gpu.Unfit()
	}); err != nil {
		return err
	}
	if r.o.Read {
		return nil
	}
	d, err := r.open(p, gpu)
	if err != nil {
		return errors.Join(err, p.Close())
	}
	x := &exercise{run: r, d: d}
	err = x.all()
	lost := d.Lost()
	if lost != nil && err == nil && (r.o.Only == "" || r.o.Only == "soak") {
		err = lost
	}
	cerr := d.Close()
	if errors.Is(lost, drv.ErrHang) {
		return errors.Join(err, cerr) // what a hung queue uses stays
	}
	return errors.Join(err, cerr, p.Close())
}

// open opens the GPU, with proofs unless a part alone is wanted.
func (r *run) open(p *drv.Process, gpu topo.GPU) (d *drv.Device, err error) {
	if r.o.Only == "" {
		return p.BringUp(gpu, r.step)
	}
	err = r.step("open", func() (string, error) {
		d, err = p.Open(gpu)
		return gpu.Target, err
	})
	return d, err
}

// environment prints what explains later steps.
func (r *run) environment() (string, error) {
	read := func(path string) string {
		b, err := r.s.ReadFile(path)
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(b))
	}
	var parts []string
	for _, x := range []struct{ name, path string }{{"kernel", "/proc/sys/kernel/osrelease"},
		{"amdgpu", "/sys/module/amdgpu/version"}, {"taint", "/proc/sys/kernel/tainted"},
		{"pages for the GPU", "/sys/module/ttm/parameters/pages_limit"},
		{"no_system_mem_limit", "/sys/module/amdgpu/parameters/no_system_mem_limit"},
		{"control group", "/proc/self/cgroup"}} {
		parts = append(parts, x.name+" "+strings.ReplaceAll(read(x.path), "\n", " "))
	}
	parts = append(parts, "command line "+driverOptions(read("/proc/cmdline")), "groups "+groups(read("/proc/self/status")))
	if !topo.Loaded(r.s) {
		parts = append(parts, "the amdgpu driver is not loaded")
	}
	return strings.Join(parts, "; "), nil
}

// driverOptions returns the options of a kernel's command line that concern a GPU's driver; the others are nobody's business
// who reads the report.
func driverOptions(line string) string {
	var list []string
	for _, o := range strings.Fields(line) {
		for _, prefix := range []string{"amdgpu.", "ttm.", "amd_iommu", "iommu", "pci=", "pcie_", "mem=", "split_lock_detect"} {
			if strings.HasPrefix(o, prefix) {
				list = append(list, o)
				break
			}
		}
	}
	if list == nil {
		return "without options of drivers"
	}
	return strings.Join(list, " ")
}

// groups returns the numbers of the groups in /proc/self/status.
func groups(status string) string {
	for line := range strings.Lines(status) {
		if list, ok := strings.CutPrefix(line, "Groups:"); ok {
			return strings.Join(strings.Fields(list), " ")
		}
	}
	return "unknown"
}

// describe lists GPUs with the numbers that matter.
func describe(gpus []topo.GPU) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d GPUs", len(gpus))
	for i, g := range gpus {
		fmt.Fprintf(&b, "\n        kfd:%d %s, %s, %s, node %d, id %d, renderD%d, %d CUs, %d MiB, firmware %d, "+
			"capability %#x, cwsr_size %d, ctl_stack_size %d", i, g.Name, g.Target, g.PCI, g.Node, g.ID, g.Render, g.CUs,
			g.Memory>>20, g.Firmware, g.Capability, g.CWSR, g.CtlStack)
		if s := abi.CWSRSizes(g.CUs, abi.VGPRBytes(g.Version)); g.CWSR != 0 && (s.Save != g.CWSR || s.Ctl != g.CtlStack) {
			fmt.Fprintf(&b, "; UNUSUAL: other Linux kernels want cwsr_size %d, ctl_stack_size %d", s.Save, s.Ctl)
		}
		if err := g.Unfit(); err != nil {
			fmt.Fprintf(&b, "; UNFIT: %v", err)
		}
	}
	return b.String()
}

// Rooted is a machine whose files lie below a folder, and that has no devices: what a user has sent.
type Rooted struct {
	sys.Sys
	Root string
}

// Open fails: there are no devices.
func (Rooted) Open(string, int) (int, error) { return -1, syscall.ENOENT }

// ReadFile reads a file below the root.
func (m Rooted) ReadFile(path string) ([]byte, error) { return m.Sys.ReadFile(m.Root + path) }

// ReadDir reads a folder below the root.
func (m Rooted) ReadDir(path string) ([]string, error) { return m.Sys.ReadDir(m.Root + path) }
