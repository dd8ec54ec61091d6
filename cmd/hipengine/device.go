package main

import (
	"fmt"
	"io"

	"github.com/hipengine/hipengine"
)

// deviceFlags choose where a command computes.
type deviceFlags struct {
	Device  string `default:"auto" env:"HIPENGINE_DEVICE" help:"Device: auto, cpu, ref (scalar reference), hip:N, kfd:N (without ROCm), cuda:N or emu:TARGET; several with commas between them share a model."`
	Threads int    `env:"HIPENGINE_THREADS" help:"Threads of the CPU devices; 0 takes one per core, but fewer beside GPUs."`
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

	ExpertCache float64 `env:"HIPENGINE_EXPERT_CACHE" placeholder:"GIB" help:"With --experts cpu, memory of the other devices in GiB for copies of the experts that tokens choose most, which run there."`
}

// apply sets the options.
func (f splitFlags) apply(o *hipengine.Options) {
	o.Split, o.Layers, o.Experts = f.Split, f.Layers, f.Experts
	o.ExpertCache = gibibytes(f.ExpertCache)
}

// Validate reports a number of GiB that is none.
func (f splitFlags) Validate() error { return checkGibibytes("--expert-cache", f.ExpertCache) }

// maxGibibytes bounds sizes of memory in GiB, far from where their bytes overflow.
const maxGibibytes = 1 << 20

// checkGibibytes reports a number of GiB that is out of range.
func checkGibibytes(option string, n float64) error {
	if !(n >= 0 && n <= maxGibibytes) {
		return usageError{fmt.Errorf("%s %v is outside 0..%d GiB", option, n, maxGibibytes)}
	}
	return nil
}

// gibibytes returns a number of GiB, which was checked, in bytes.
func gibibytes(n float64) int64 { return int64(n * (1 << 30)) }

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
