package hipengine

import (
	"fmt"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
)

// splitTensor is the Options.Split by which each device has a share of every layer.
const splitTensor = "tensor"

// divided returns the model as the devices of c run it: arch itself, or one whose ranks have shares of every layer.
func (o Options) divided(c *computer, arch models.Model, src models.Source) (models.Model, error) {
	if o.Split != splitTensor || len(c.parts) == 1 {
		return arch, nil
	}
	for _, x := range []struct{ name, value string }{{"Layers", o.Layers}, {"Experts", o.Experts}} {
		if x.value != "" {
			return nil, &OptionError{Option: x.name,
				Reason: fmt.Sprintf("%q says what Split %q says otherwise", x.value, o.Split)}
		}
	}
	if o.ExpertCache != 0 {
		return nil, &OptionError{Option: "ExpertCache", Needs: "Experts"}
	}
	split, err := models.SplitModel(arch, len(c.parts), src)
	if err != nil {
		return nil, &OptionError{Option: "Split", Err: err}
	}
	return split, nil
}

// ranks places what each rank has on the part of its number.
func (p *plotter) ranks(c *computer, arch models.Model, src models.Source, r runner.Options) (runner.Memory, error) {
	if c.ops == nil {
		dev, err := place.New(c.devices(), place.ByRank)
		if err != nil {
			return runner.Memory{}, err
		}
		c.ops, c.split = dev, splitTensor
	}
	mem, err := runner.PlanMemory(c.ops, arch, src, r)
	if err != nil {
		return mem, err
	}
	c.lies = make([]PartPlacement, len(p.names))
	for i, m := range mem.Parts {
		x := PartPlacement{Device: m.Device, Weights: m.Weights, State: m.State, Plans: m.Plans, Free: m.Free,
			Rate: p.rates[i]}
		for l := range p.layers {
			x.Layers = append(x.Layers, l)
		}
		for _, w := range p.sizes[i] {
			looked := len(w.Use.Ops) == 1 && w.Use.Ops[0] == ops.EmbedOp // single rows
			switch {
			case looked || place.ByRank(w.Use, ops.MemWeights) != i:
			case place.IsExperts(w.Use):
				x.Read += int64(p.active * float64(w.Bytes))
			default:
				x.Read += w.Bytes
			}
		}
		c.lies[i] = x
	}
	return mem, nil
}
