package roofline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/limits"
	"github.com/hipengine/hipengine/tensor"
)

// Options say what Write shows.
type Options struct {
	Target  string         // of the GPUs; empty for all of the sheet
	Match   *regexp.Regexp // kernels, "model/NAME", "ranks/NAME", "plan/NAME STEP" and "bound/NAME STEP" to show; nil for all
	Kernels bool           // list the kernels of each plan
}

// Write executes kernels on emulators and prints what the counts mean for the GPUs of the sheet. Every line says that
// it is no measurement, since lines are quoted alone. A target that is not in the sheet gives a *[TargetError].
func Write(ctx context.Context, out io.Writer, o Options) error {
	gpus, match := limits.GPUs, o.Match
	if match == nil {
		match = regexp.MustCompile("")
	}
	if target := o.Target; target != "" {
		gpus = nil
		var known []string
		for _, g := range limits.GPUs {
			known = append(known, g.Target)
			if g.Target == target {
				gpus = append(gpus, g)
			}
		}
		if gpus == nil {
			return &TargetError{Target: target, Known: known}
		}
	}
	for _, g := range gpus {
		fmt.Fprintf(out, "%s (%s): %d CUs at %.4g GHz, %g GB/s (%.0f %% achievable), %.4g TFLOP/s f16, %g µs a launch, loads %g ns from memory and %g from caches; %s [%s]\n",
			g.Name, g.Target, g.CUs, g.GHz, g.GBps, 100*g.Efficiency, g.Flops()/1e12, g.LaunchMicro, g.MissNs, g.HitNs,
			g.Source, limits.Label)
		if err := kernelLimits(ctx, out, g, match); err != nil {
			return err
		}
		if err := modelLimits(out, g, match); err != nil {
			return err
		}
		if err := rankLimits(out, g, match); err != nil {
			return err
		}
		if err := planLimits(ctx, out, g, match, o.Kernels); err != nil {
			return err
		}
	}
	return nil
}

// TargetError says that no GPU of a target is in the sheet.
type TargetError struct {
	Target string
	Known  []string
}

// Error lists those that are.
func (e *TargetError) Error() string {
	return fmt.Sprintf("no GPU of %q is in the sheet, there are %s", e.Target, strings.Join(e.Known, ", "))
}

// kernelLimits prints the bounds on g of every kernel that ships for its target, and which kernels have none.
func kernelLimits(ctx context.Context, out io.Writer, g limits.GPU, match *regexp.Regexp) error {
	runs, missing, err := planRuns(g)
	if err != nil {
		return err
	}
	runs = slices.DeleteFunc(runs,
		func(r execution) bool { return !slices.ContainsFunc(r.symbols, match.MatchString) })
	listed := map[string]bool{}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	err = execute(ctx, g, runs, func(one execution, counted map[string]limits.Work) {
		main := slices.MaxFunc(slices.Sorted(maps.Keys(counted)),
			func(a, b string) int { return int(counted[a].Vector - counted[b].Vector) })
		for _, symbol := range one.symbols {
			c := counted[symbol]
			if symbol != main && listed[symbol] || !match.MatchString(symbol) {
				continue
			}
			listed[symbol] = true
			fmt.Fprintf(w, "%s\t%s\t%s\tof %v\t[%s]\n", g.Name, symbol, describe(c, g), one.probe, limits.Label)
		}
	})
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	for _, symbol := range missing {
		if match.MatchString(symbol) {
			fmt.Fprintf(w, "%s\t%s\tnot executed: no size of a model and no conformance case launches it\t[%s]\n",
				g.Name, symbol, limits.Label)
		}
	}
	return w.Flush()
}

// execution is a probe with the kernels of code objects that it launches.
type execution struct {
	probe
	symbols []string
}

// planRuns says what to execute so that every kernel of g's target runs: the probes, then for kernels that these leave
// out the largest conformance case that launches them. Kernels that neither launches are returned.
func planRuns(g limits.GPU) (runs []execution, missing []string, err error) {
	shipped, err := opship.Shipped(g.Target)
	if err != nil {
		return nil, nil, err
	}
	left := map[string]bool{}
	for _, s := range shipped {
		left[s] = true
	}
	try := func(p probe) error {
		n, err := p.node()
		if err != nil {
			return fmt.Errorf("%v: %w", p, err)
		}
		cs, err := opship.Candidates(n, g.Target, g.CUs)
		if err != nil {
			return err
		}
		for _, c := range cs {
			switch {
			case p.kernel == c.Kernel, p.kernel == "" &&
				slices.ContainsFunc(c.Symbols, func(s string) bool { return left[s] }):
				p := p
				p.kernel = c.Kernel
				runs = append(runs, execution{p, c.Symbols})
				for _, s := range c.Symbols {
					delete(left, s)
				}
			}
		}
		return nil
	}
	for _, p := range probes() {
		if err := try(p); err != nil {
			return nil, nil, err
		}
	}
	for _, op := range ops.Defs() {
		if op.View || op.Cases == nil || len(left) == 0 {
			continue
		}
		cases := op.Cases()
		slices.SortStableFunc(cases, func(a, b ops.Case) int { return elems(b) - elems(a) })
		for _, c := range cases {
			if err := try(probe{op, "", c}); err != nil {
				return nil, nil, err
			}
		}
	}
	return runs, slices.Sorted(maps.Keys(left)), nil
}

// elems returns the size of a case.
func elems(c ops.Case) (n int) {
	for _, a := range c.Args {
		n += a.Shape.Elems()
	}
	return n
}

// node records the op without storage.
func (p probe) node() (*ops.Node, error) {
	g := &ops.Graph{}
	var in []ops.Value
	for i, a := range p.Args {
		t := tensor.Tensor{Name: fmt.Sprint("in", i), DType: a.DType, Shape: a.Shape}
		switch a.Leaf {
		case ops.Weight:
			t.Layout = opship.LayoutOf(ops.WeightUse{Name: t.Name, DType: t.DType, Shape: t.Shape,
				Ops: []*ops.Def{p.op}})
			in = append(in, g.Weight(t))
		case ops.State:
			in = append(in, g.State(t))
		default:
			in = append(in, g.Input(t.Name, t.DType, t.Shape...))
		}
	}
	out := g.Add(p.op, p.Attrs, in...)
	if err := g.Err(); err != nil {
		return nil, err
	}
	return out[0].Node(), nil
}

// execute runs everything on emulators of g's target and calls done with the counts of each run, by symbol.
func execute(ctx context.Context, g limits.GPU, runs []execution, done func(execution, map[string]limits.Work)) error {
	devices := map[string]*opship.Device{} // by registered kernel: loading code takes longer than most runs
	defer func() {
		for _, d := range devices {
			d.Close()
		}
	}()
	for _, r := range runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		d := devices[r.kernel]
		if d == nil {
			var err error
			if d, err = opship.OpenCounting(g.Target, r.kernel, g.CUs); err != nil {
				return err
			}
			devices[r.kernel] = d
		}
		d.TakeExecuted()
		if err := r.run(ctx, d); err != nil {
			return fmt.Errorf("%v with %s on emu:%s: %w", r.probe, r.kernel, g.Target, err)
		}
		counted := map[string]limits.Work{}
		for symbol, k := range d.TakeExecuted() {
			counted[symbol] = k.Work()
		}
		done(r, counted)
	}
	return nil
}
