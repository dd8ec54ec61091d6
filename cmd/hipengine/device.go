package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

// deviceFlags choose where a command computes.
type deviceFlags struct {
	Device  string `default:"auto" env:"HIPENGINE_DEVICE" help:"Device: auto, cpu, ref (scalar reference), hip:N, cuda:N or emu:TARGET."`
	Threads int    `env:"HIPENGINE_THREADS" help:"Threads of the CPU devices; 0 takes one per core."`

	oracle bool // compute in float64; set by commands that offer it
}

// open opens the device. A GPU must pass a self-test of its kernels the first time. What auto chose is said on log.
func (f deviceFlags) open(ctx context.Context, log io.Writer) (ops.Device, error) {
	if f.Threads < 0 || f.Threads > 1024 {
		return nil, usageError{fmt.Errorf("--threads %d is outside 0..1024", f.Threads)}
	}
	if f.oracle && f.Device != "ref" {
		return nil, usageError{fmt.Errorf("--oracle is a mode of --device ref, not of %q", f.Device)}
	}
	switch kind, _, _ := strings.Cut(f.Device, ":"); kind {
	case "cpu":
		return f.cpu(), nil
	case "ref":
		return opsref.New(opsref.Options{Threads: f.Threads, Oracle: f.oracle}), nil
	case "hip", "cuda":
		return openGPU(ctx, f.Device, log)
	case "emu":
		return opship.Open(f.Device)
	case "auto", "":
		return f.auto(ctx, log)
	}
	return nil, usageError{fmt.Errorf("--device %q: want auto, cpu, ref, hip:N, cuda:N or emu:TARGET", f.Device)}
}

func (f deviceFlags) cpu() ops.Device {
	return cpu.New(cpu.Options{Threads: f.Threads})
}

// auto takes the best AMD GPU, or else the CPU, and says why.
func (f deviceFlags) auto(ctx context.Context, log io.Writer) (ops.Device, error) {
	var why []string
	for _, d := range opship.Devices() {
		if kind, _, _ := strings.Cut(d.Info.Name, ":"); kind != "hip" {
			continue // other kinds are for checking kernels, and have to be asked for
		}
		if d.Err != nil {
			why = append(why, d.Err.Error())
			continue
		}
		dev, err := openGPU(ctx, d.Info.Name, log)
		if err == nil {
			fmt.Fprintf(log, "hipengine: using %s (%s)\n", d.Info.Name, d.Info.Model)
			return dev, nil
		}
		why = append(why, err.Error())
	}
	if len(why) == 0 {
		why = []string{"this build has no GPU runtime"}
	}
	fmt.Fprintf(log, "hipengine: using the CPU: %s\n", strings.Join(why, "; "))
	return f.cpu(), nil
}

// openGPU opens a GPU and lets it prove its kernels, unless it did so before with this driver and program.
func openGPU(ctx context.Context, name string, log io.Writer) (ops.Device, error) {
	dev, err := opship.Open(name)
	if err != nil {
		return nil, err
	}
	err = opship.SelfTest(ctx, dev, func(ctx context.Context, dev ops.Device) error {
		fmt.Fprintf(log, "hipengine: first start on %s: checking its kernels\n", name)
		report, err := conformance.Run(ctx, dev, conformance.Options{Match: regexp.MustCompile("^Ops/")})
		if err != nil {
			return err
		}
		return report.Err()
	})
	if err != nil {
		dev.Close()
		return nil, err
	}
	return dev, nil
}
