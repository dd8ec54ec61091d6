package main

import (
	"fmt"
	"io"

	"github.com/hipengine/hipengine"
)

// deviceFlags choose where a command computes.
type deviceFlags struct {
	Device  string `default:"auto" env:"HIPENGINE_DEVICE" help:"Device: auto, cpu, ref (scalar reference), hip:N, kfd:N (without ROCm), cuda:N or emu:TARGET; several with commas between them share a model."`
	Threads int    `env:"HIPENGINE_THREADS" help:"Threads of the CPU devices; 0 takes one per core."`
	SIMD    string `name:"simd" env:"HIPENGINE_SIMD" help:"Vector instructions of the CPU device: generic, avx2, avx512, amx, neon or neon+dotprod; empty takes the best."`

	memory int64 // most bytes for all models; set by commands that offer it
	oracle bool  // compute in float64; set by commands that offer it
	why    bool  // say why auto chose what it chose; set by commands that offer it
}

// splitFlags say how a model lies on several devices.
type splitFlags struct {
	Split   string `enum:",auto,layer,tensor" default:"" env:"HIPENGINE_SPLIT" placeholder:"HOW" help:"How a model lies on several devices: auto fills the fastest memory first (the default), layer gives each layers by what is free on it, tensor a share of every layer."`
	Layers  string `env:"HIPENGINE_LAYERS" placeholder:"DEVICE=N,..." help:"How many layers each of several devices has, in place of --split: hip:0=30,cpu=18."`
	Experts string `env:"HIPENGINE_EXPERTS" placeholder:"DEVICE" help:"Device among several that has the matrices of all routed experts, such as cpu."`
}

// apply sets the options.
func (f splitFlags) apply(o *hipengine.Options) {
	o.Split, o.Layers, o.Experts = f.Split, f.Layers, f.Experts
}

// host returns what the models of a command are opened on. What it has to say is said on log.
func (f deviceFlags) host(log io.Writer) (*hipengine.Host, error) {
	say := func(message string) { fmt.Fprintf(log, "hipengine: %s\n", message) }
	o := hipengine.HostOptions{Device: f.Device, Threads: f.Threads, SIMD: f.SIMD, Oracle: f.oracle,
		Memory: f.memory, Log: say}
	if f.why {
		o.Why = say
	}
	return hipengine.NewHost(o)
}
