package hipengine

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/bench"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

// device is an open device with the ledger of its memory.
type device struct {
	ops    ops.Device
	ledger *ledger
	tested bool           // needs no self-test, or passed it
	users  sync.WaitGroup // models and checks, which end before the device

	rate  float64 // bytes per second of its memory, once measured
	rated bool
}

// opener is how devices are opened and measured; tests count with another.
type opener struct {
	cpu       func(cpu.Options) ops.Device
	ref       func(opsref.Options) ops.Device
	gpu       func(name string) (ops.Device, error)
	list      func() []opship.Found
	selfTest  func(ctx context.Context, dev ops.Device, run func(context.Context, ops.Device) error) error
	bandwidth func(ctx context.Context, dev ops.Device) (float64, error)
}

var realOpener = opener{
	cpu: func(o cpu.Options) ops.Device { return cpu.New(o) },
	ref: func(o opsref.Options) ops.Device { return opsref.New(o) },
	gpu: func(name string) (ops.Device, error) {
		d, err := opship.Open(name)
		if err != nil {
			return nil, err // not a nil *Device in an interface
		}
		return d, nil
	},
	list:      opship.Devices,
	selfTest:  opship.SelfTest,
	bandwidth: bench.Bandwidth,
}

// DeviceInfo describes the device of a model.
type DeviceInfo struct {
	Name   string // as HostOptions.Device spells it: cpu, hip:0
	Chip   string // marketing name, or threads and instructions
	Target string // instruction set that its kernels are compiled for
	Driver string // runtime and version; empty where there is none
}

func (d *device) info() DeviceInfo { return infoOf(d.ops) }

func infoOf(d ops.Device) DeviceInfo {
	i := d.Info()
	return DeviceInfo{Name: i.Name, Chip: i.Model, Target: i.Target, Driver: i.Driver}
}

// device returns a device, opened the first time. Unless the caller checks it itself, a GPU has passed a test of its
// kernels. The caller calls users.Done.
func (h *Host) device(ctx context.Context, name string, tested bool) (*device, error) {
	h.opening.Lock()
	defer h.opening.Unlock()
	if h.isClosed() {
		return nil, ErrClosed
	}
	d := h.devs[name]
	if d == nil {
		var err error
		if d, err = h.open(ctx, name); err != nil {
			return nil, err
		}
	}
	if tested && !d.tested {
		if err := h.selfTest(ctx, d.ops, d.ops.Info().Name); err != nil {
			return nil, err
		}
		d.tested = true
	}
	d.users.Add(1)
	return d, nil
}

// open opens a device, unless it is open under another name, as what auto chose is.
func (h *Host) open(ctx context.Context, name string) (*device, error) {
	if l := h.options.SIMD; l != "" && h.release == nil {
		release, err := cpu.UseLevel(l)
		if err != nil {
			return nil, &OptionError{Option: "SIMD", Reason: err.Error()}
		}
		h.release = release
	}
	dev, isTested, err := h.choose(ctx, name)
	if err != nil {
		if len(h.opened) == 0 && h.release != nil {
			h.release()
			h.release = nil
		}
		return nil, err
	}
	own := dev.Info().Name
	d := h.devs[own]
	if d != nil {
		if err := dev.Close(); err != nil {
			return nil, err
		}
	} else {
		d = &device{ops: dev, tested: isTested, ledger: newLedger(dev, h.options.Memory)}
		h.devs[own] = d
		h.opened = append(h.opened, d)
		h.mu.Lock()
		if h.ledger == nil {
			h.ledger = d.ledger
		}
		h.mu.Unlock()
	}
	h.devs[name] = d
	return d, nil
}

// choose opens the device of a name, and says whether it may be used without a self-test.
func (h *Host) choose(ctx context.Context, name string) (dev ops.Device, tested bool, err error) {
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "cpu":
		return h.cpu(), true, nil
	case "ref":
		return h.opener.ref(opsref.Options{Threads: h.options.Threads, Oracle: h.options.Oracle}), true, nil
	case "emu":
		dev, err = h.opener.gpu(name)
		return dev, true, err
	case "hip", "kfd", "cuda":
		dev, err = h.opener.gpu(name)
		return dev, false, err
	}
	return h.auto(ctx), true, nil
}

// cpu returns the CPU's device. Its threads wait for each other at each step, so that one which has to share its
// processor holds up all: where there are GPUs, they leave the processors alone from which these get their work.
func (h *Host) cpu() ops.Device {
	gpus := 0
	for _, d := range h.opened {
		if kind, _, _ := strings.Cut(d.ops.Info().Name, ":"); kind == "hip" || kind == "kfd" || kind == "cuda" {
			gpus++
		}
	}
	beside := 0
	if gpus > 0 {
		beside = gpus + 1 // and the one that asks for steps
	}
	return h.opener.cpu(cpu.Options{Threads: h.options.Threads, Beside: beside})
}

// auto takes the best AMD GPU, or else the CPU, and says so, and why.
func (h *Host) auto(ctx context.Context) ops.Device {
	var unusable []string // GPUs that are there
	spare := ""           // what could be tried without ROCm
	for _, d := range h.opener.list() {
		kind, _, _ := strings.Cut(d.Info.Name, ":")
		if kind == "kfd" && d.Err == nil && spare == "" {
			spare = fmt.Sprintf("; %s (%s) can be tried without ROCm: --device %s", d.Info.Name, d.Info.Model, d.Info.Name)
		}
		if kind != "hip" {
			continue // other kinds have to be asked for
		}
		if d.Err != nil {
			h.options.Why(fmt.Sprintf("%s: %v", d.Info.Name, d.Err))
			if strings.Contains(d.Info.Name, ":") {
				unusable = append(unusable, d.Info.Name)
			}
			continue
		}
		dev, err := h.opener.gpu(d.Info.Name)
		if err == nil {
			if err = h.selfTest(ctx, dev, d.Info.Name); err == nil {
				h.options.Log(fmt.Sprintf("using %s (%s)", d.Info.Name, d.Info.Model))
				return dev
			}
			dev.Close()
		}
		h.options.Why(err.Error())
		unusable = append(unusable, d.Info.Name)
	}
	if len(unusable) == 0 {
		h.options.Log("using the CPU: no GPU was found" + spare)
	} else {
		h.options.Log(fmt.Sprintf("using the CPU: %s cannot be used%s", strings.Join(unusable, ", "), spare))
	}
	return h.cpu()
}

// selfTest lets a GPU prove its kernels, unless it did so before with this driver and program.
func (h *Host) selfTest(ctx context.Context, dev ops.Device, name string) error {
	return h.opener.selfTest(ctx, dev, func(ctx context.Context, dev ops.Device) error {
		h.options.Log(fmt.Sprintf("first start on %s: checking its kernels", name))
		report, err := conformance.Run(ctx, dev,
			conformance.Options{Match: regexp.MustCompile("^(Ops/|Stream/queued$)")})
		if err != nil {
			return err
		}
		return report.Err()
	})
}
