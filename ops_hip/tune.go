package opship

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// tuneTokens are the numbers of tokens that are timed, each for all above the one before.
var tuneTokens = []int{1, 2, 4, 8, 16, 32, 64}

const (
	tuneRounds = 7    // of all candidates in turn
	tuneGain   = 0.97 // part of the time of the present choice that a better one takes at most
)

// Tune times the kernels that can multiply tokens with weights of one type and shape, which are those of several layers
// so that caches do not keep them, and returns the choices that are faster than what is chosen now. Nothing else may
// use the device.
func (d *Device) Tune(ctx context.Context, ws []tensor.Tensor) ([]Choice, error) {
	var cs []Choice
	from := 1
	for _, m := range tuneTokens {
		kernel, err := d.fastest(ctx, ws, m)
		if errors.Is(err, ops.ErrUnsupported) { // no product has them
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("opship: tuning %d tokens with %v%v: %w", m, ws[0].DType, ws[0].Shape, err)
		}
		if kernel != "" {
			cs = append(cs, Choice{Target: d.target.Name, Op: "mul_mat*", Type: ws[0].DType.String(), Tokens: [2]int{from, m},
				N: ws[0].Shape[0], K: ws[0].Shape[1], Kernel: kernel})
		}
		from = m + 1
	}
	return cs, nil
}

// tuned is a plan with one of the kernels.
type tuned struct {
	kernel string
	plan   ops.Plan
	times  []time.Duration
}

// fastest returns the fastest kernel for m tokens, or "" if that is the present one, or one about as fast.
func (d *Device) fastest(ctx context.Context, ws []tensor.Tensor, m int) (best string, err error) {
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, m, ws[0].Shape[1])
	var ys []ops.Value
	for _, w := range ws {
		ys = append(ys, ops.MulMat(g, x, g.Weight(w)))
	}
	if err := g.Err(); err != nil {
		return "", err
	}
	node := ys[0].Node()
	present, err := d.kernelFor(node, d.target)
	if err != nil {
		return "", err
	}
	var all []*tuned
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.plan.Close())
		}
	}()
	for _, k := range d.opt.kernels[node.Op] {
		if k.Match(node, d.target) < 0 {
			continue
		}
		c := &tuned{kernel: strings.TrimPrefix(k.Name, node.Op.Name+"_")}
		if c.plan, err = d.compileWith(c.kernel, g, ys); err != nil {
			return "", err
		}
		all = append(all, c)
	}
	if len(all) < 2 {
		return "", nil
	}
	if err := d.timeInTurn(ctx, all); err != nil {
		return "", err
	}
	median := func(c *tuned) time.Duration {
		slices.Sort(c.times)
		return c.times[len(c.times)/2]
	}
	fast := slices.MinFunc(all, func(a, b *tuned) int { return cmp.Compare(median(a), median(b)) })
	now := all[slices.IndexFunc(all, func(c *tuned) bool { return node.Op.Name+"_"+c.kernel == present.Name })]
	if float64(median(fast)) > tuneGain*float64(median(now)) {
		return "", nil
	}
	return fast.kernel, nil
}

// compileWith compiles g with the given kernel of mul_mat.
func (d *Device) compileWith(kernel string, g *ops.Graph, outs []ops.Value) (ops.Plan, error) {
	usual := d.target
	t := *usual
	t.choices = append([]Choice{{"*", ops.MulMatOp.Name, "*", [2]int{1, math.MaxInt32}, 0, 0, kernel}}, t.choices...)
	d.target = &t
	defer func() { d.target = usual }()
	return d.Compile(g, nil, outs...)
}

// timeInTurn runs the plans one after the other, so that what slows the device down for a while slows all, once to
// warm up and then tuneRounds times.
func (d *Device) timeInTurn(ctx context.Context, all []*tuned) (err error) {
	s, err := d.Stream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for round := range tuneRounds + 1 {
		for _, c := range all {
			start := time.Now()
			if err := errors.Join(s.Run(c.plan), s.Sync(ctx)); err != nil {
				return err
			}
			if round > 0 {
				c.times = append(c.times, time.Since(start))
			}
		}
	}
	return nil
}
