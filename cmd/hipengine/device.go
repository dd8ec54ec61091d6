package main

import (
	"fmt"
	"io"

	"github.com/hipengine/hipengine"
)

// deviceFlags choose where a command computes.
type deviceFlags struct {
	Device  string `default:"auto" env:"HIPENGINE_DEVICE" help:"Device: auto, cpu, ref (scalar reference), hip:N, kfd:N (without ROCm), cuda:N or emu:TARGET."`
	Threads int    `env:"HIPENGINE_THREADS" help:"Threads of the CPU devices; 0 takes one per core."`

	memory int64 // most bytes for all models; set by commands that offer it
	oracle bool  // compute in float64; set by commands that offer it
	why    bool  // say why auto chose what it chose; set by commands that offer it
}

// host returns what the models of a command are opened on. What it has to say is said on log.
func (f deviceFlags) host(log io.Writer) (*hipengine.Host, error) {
	say := func(message string) { fmt.Fprintf(log, "hipengine: %s\n", message) }
	o := hipengine.HostOptions{Device: f.Device, Threads: f.Threads, Oracle: f.oracle, Memory: f.memory, Log: say}
	if f.why {
		o.Why = say
	}
	return hipengine.NewHost(o)
}
