package tap

import (
	"context"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Device computes on another device and shows values of each graph. They are kept in memory to the end of a run, as
// outputs of the plan behind its own. It serves one goroutine.
type Device struct {
	ops.Device

	// Tap returns values of g, a graph about to be compiled, and a function that gets their contents, in the form of
	// their types, after each run of the plan: until it returns, which Run waits for. An error of it is one of Run.
	// Tap may be called more than once for a graph.
	Tap func(g *ops.Graph) (values []ops.Value, see func(data [][]byte) error)
}

// Info describes the device, which asks for no padding here: padded rows would be seen too.
func (d *Device) Info() ops.Info {
	info := d.Device.Info()
	info.Buckets = false
	return info
}

// Caps are those of the device.
func (d *Device) Caps() ops.Caps {
	c := d.Device.Caps()
	if planBytes := c.PlanBytes; planBytes != nil {
		c.PlanBytes = func(g *ops.Graph, outs ...ops.Value) (int64, error) {
			values, _ := d.Tap(g)
			return planBytes(g, slices.Concat(outs, values)...)
		}
	}
	if launches := c.Launches; launches != nil {
		c.Launches = func(g *ops.Graph, outs ...ops.Value) ([]string, error) {
			values, _ := d.Tap(g)
			return launches(g, slices.Concat(outs, values)...)
		}
	}
	if kernels := c.Kernels; kernels != nil {
		c.Kernels = func(p ops.Plan) []string {
			if t, ok := p.(*plan); ok {
				p = t.Plan
			}
			return kernels(p)
		}
	}
	return c
}

// plan is a plan with values to be seen as outputs behind its own.
type plan struct {
	ops.Plan
	own, seen int // outputs
	see       func(data [][]byte) error
}

// Compile adds the values to the outputs.
func (d *Device) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	values, see := d.Tap(g)
	p, err := d.Device.Compile(g, a, slices.Concat(outs, values)...)
	if err != nil {
		return nil, err
	}
	return &plan{p, len(outs), len(values), see}, nil
}

// Stream returns a queue whose runs are seen.
func (d *Device) Stream() (ops.Stream, error) {
	s, err := d.Device.Stream()
	if err != nil {
		return nil, err
	}
	return &stream{s}, nil
}

type stream struct{ ops.Stream }

// Run runs the plan and waits for what is to be seen.
func (s *stream) Run(p ops.Plan) error {
	t, ok := p.(*plan)
	if !ok {
		return fmt.Errorf("tap: plan %T is not of this device", p)
	}
	if err := s.Stream.Run(t.Plan); err != nil {
		return err
	}
	data := make([][]byte, t.seen)
	for i := range data {
		out := t.Output(t.own + i)
		n, err := tensor.Bytes(out.DType, out.Shape)
		if err != nil {
			return err
		}
		data[i] = make([]byte, n)
		if err := s.Download(data[i], out); err != nil {
			return err
		}
	}
	if err := s.Sync(context.Background()); err != nil {
		return err
	}
	return t.see(data)
}
