package main

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// deviceFlags choose where a command computes.
type deviceFlags struct {
	Device  string `default:"auto" env:"HIPENGINE_DEVICE" help:"Device: auto, cpu, ref (scalar reference), hip:N, cuda:N or emu:TARGET."`
	Threads int    `env:"HIPENGINE_THREADS" help:"Threads of the CPU devices; 0 takes one per core."`

	oracle bool // compute in float64; set by commands that offer it
}

// open opens the device.
func (f deviceFlags) open() (ops.Device, error) {
	if f.Threads < 0 || f.Threads > 1024 {
		return nil, usageError{fmt.Errorf("--threads %d is outside 0..1024", f.Threads)}
	}
	if f.oracle && f.Device != "ref" {
		return nil, usageError{fmt.Errorf("--oracle is a mode of --device ref, not of %q", f.Device)}
	}
	switch f.Device {
	case "auto", "":
		return opsref.New(opsref.Options{Name: "cpu", Threads: f.Threads}), nil
	case "cpu":
		return opsref.New(opsref.Options{Name: f.Device, Threads: f.Threads}), nil
	case "ref":
		return opsref.New(opsref.Options{Threads: f.Threads, Oracle: f.oracle}), nil
	}
	switch kind, _, _ := strings.Cut(f.Device, ":"); kind {
	case "hip", "cuda", "emu":
		return opship.Open(f.Device)
	}
	return nil, usageError{fmt.Errorf("--device %q: want auto, cpu, ref, hip:N, cuda:N or emu:TARGET", f.Device)}
}
