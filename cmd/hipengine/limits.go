package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/limits"
	"github.com/hipengine/hipengine/tensor"
)

// contexts are the lengths for which the speed of whole models is bounded.
var contexts = []int{0, 4096, 32768}

// showLimits executes kernels on emulators and prints what the counts mean for the GPUs of the sheet. Every line says
// that it is no measurement, since lines are quoted alone.
func (c *conformCmd) showLimits(ctx context.Context, std stdio, match *regexp.Regexp) error {
	gpus := limits.GPUs
	switch kind, target, _ := strings.Cut(c.Device, ":"); kind {
	case "auto", "":
	case "emu":
		gpus = nil
		var known []string
		for _, g := range limits.GPUs {
			known = append(known, g.Target)
			if g.Target == target {
				gpus = append(gpus, g)
			}
		}
		if gpus == nil {
			return usageError{fmt.Errorf("--limits: no GPU of %q is in the sheet, there are %s", target, strings.Join(known, ", "))}
		}
	default:
		return usageError{fmt.Errorf("--limits counts on emulators (emu:TARGET), --device is %q", c.Device)}
	}
	for _, g := range gpus {
		fmt.Fprintf(std.out, "%s (%s): %d CUs at %.4g GHz, %g GB/s, %.4g TFLOP/s f16; %s [%s]\n",
			g.Name, g.Target, g.CUs, g.GHz, g.GBps, g.Flops()/1e12, g.Source, limits.Label)
		if err := kernelLimits(ctx, std, g, match); err != nil {
			return err
		}
		if err := modelLimits(std, g, match); err != nil {
			return err
		}
	}
	return nil
}

// kernelLimits prints the bounds of the kernels on g.
func kernelLimits(ctx context.Context, std stdio, g limits.GPU, match *regexp.Regexp) error {
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	for _, p := range probes() {
		if !match.MatchString(p.String()) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		counts, kernel, err := p.count(ctx, g.Target)
		if err != nil {
			return fmt.Errorf("%v on emu:%s: %w", p, g.Target, err)
		}
		b := counts.On(g)
		fmt.Fprintf(w, "%s\t%v\t%s\tmemory %.2f µs\tissue %.2f µs\twmma %.2f µs\t%s binds\t[%s]\n",
			g.Name, p, kernel, 1e6*b.Memory, 1e6*b.Issue, 1e6*b.Matrix, b.Binding(), limits.Label)
	}
	return w.Flush()
}

// modelLimits prints the bounds of whole models on g.
func modelLimits(std stdio, g limits.GPU, match *regexp.Regexp) error {
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	for _, m := range limits.Models {
		if !match.MatchString("model/" + m.Name) {
			continue
		}
		fmt.Fprintf(w, "%s\tmodel/%s\t%.2f GB/token", g.Name, m.Name, m.TokenBytes(0)/1e9)
		for _, n := range contexts {
			if m.Fits(g, n) {
				fmt.Fprintf(w, "\tdecode at %d ≤ %.1f token/s", n, m.Decode(g, n))
			} else {
				fmt.Fprintf(w, "\tdecode at %d does not fit", n)
			}
		}
		if m.Fits(g, 0) {
			fmt.Fprintf(w, "\tprefill ≤ %.0f token/s\t[%s]\n", m.Prefill(g), limits.Label)
		} else {
			fmt.Fprintf(w, "\tprefill does not fit\t[%s]\n", limits.Label)
		}
	}
	return w.Flush()
}

// count executes the probe once on an emulator of target. kernel is the one with the most instructions.
func (p probe) count(ctx context.Context, target string) (c limits.Counts, kernel string, err error) {
	dev, err := opship.Open("emu:" + target)
	if err != nil {
		return c, "", err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	n, err := p.run(ctx, dev)
	if err != nil {
		return c, "", err
	}
	bytes, err := p.bytes(n)
	if err != nil {
		return c, "", err
	}
	by, most := map[string]uint64{}, uint64(0)
	for name, k := range dev.Executed() {
		for class, n := range k.ByClass {
			by[class] += n
		}
		if k.Instructions > most || k.Instructions == most && name < kernel {
			kernel, most = name, k.Instructions
		}
	}
	return limits.FromClasses(by, bytes), kernel, nil
}

// run compiles the op on dev, runs it once and returns its node. Weights are zero, which no kernel looks at before it
// multiplies.
func (p probe) run(ctx context.Context, dev ops.Device) (n *ops.Node, err error) {
	s, err := dev.Stream()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	g := &ops.Graph{}
	var vs []ops.Value
	for i, a := range p.Args {
		name := fmt.Sprint("in", i)
		if a.Leaf == ops.Input {
			vs = append(vs, g.Input(name, a.DType, a.Shape...))
			continue
		}
		t, allocErr := p.store(dev, name, a)
		if allocErr != nil {
			return nil, allocErr
		}
		defer func() { err = errors.Join(err, t.Buf.Free()) }()
		if a.Leaf == ops.State {
			vs = append(vs, g.State(t))
		} else {
			vs = append(vs, g.Weight(t))
		}
	}
	out := g.Add(p.op, p.Attrs, vs...)
	if err := g.Err(); err != nil {
		return nil, err
	}
	plan, err := dev.Compile(g, out...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	for i, a := range p.Args {
		if t, ok := plan.Input(fmt.Sprint("in", i)); ok && a.Leaf == ops.Input {
			if err := s.Upload(t, contents(a)); err != nil {
				return nil, err
			}
		}
	}
	if err := errors.Join(s.Run(plan), s.Sync(ctx)); err != nil {
		return nil, err
	}
	return out[0].Node(), nil
}

// store allocates a weight or a state.
func (p probe) store(dev ops.Device, name string, a ops.Arg) (tensor.Tensor, error) {
	size, err := ops.WeightBytes(dev, a.DType, a.Shape)
	kind := ops.MemWeights
	if a.Leaf == ops.State {
		size, err = tensor.Bytes(a.DType, a.Shape)
		kind = ops.MemState
	}
	if err != nil {
		return tensor.Tensor{}, err
	}
	buf, err := dev.Alloc(size, kind)
	return tensor.Tensor{Name: name, DType: a.DType, Shape: a.Shape, Buf: buf}, err
}

// contents returns what an input holds: its integers, or zeros.
func contents(a ops.Arg) []byte {
	b := make([]byte, 0, 4*a.Shape.Elems())
	for _, x := range a.Ints {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b[:cap(b)]
}
