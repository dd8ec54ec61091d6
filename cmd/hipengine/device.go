package main

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// deviceFlags choose where a command computes.
type deviceFlags struct {
	Device  string `default:"auto" env:"HIPENGINE_DEVICE" help:"Device: auto, cpu or ref (scalar reference)."`
	Threads int    `env:"HIPENGINE_THREADS" help:"Threads of the CPU devices; 0 takes one per core."`
}

// open opens the device.
func (f deviceFlags) open() (ops.Device, error) {
	if f.Threads < 0 || f.Threads > 1024 {
		return nil, usageError{fmt.Errorf("--threads %d is outside 0..1024", f.Threads)}
	}
	switch f.Device {
	case "auto", "":
		return opsref.New(opsref.Options{Name: "cpu", Threads: f.Threads}), nil
	case "cpu", "ref":
		return opsref.New(opsref.Options{Name: f.Device, Threads: f.Threads}), nil
	}
	return nil, usageError{fmt.Errorf("--device %q: this build has auto, cpu and ref", f.Device)}
}
