package conformance

import (
	"context"

	"github.com/hipengine/hipengine/ops"
)

// without is a device that claims not to support one op, so that it gets expanded.
type without struct {
	ops.Device
	def *ops.Def
}

// Supports is the device's own answer for all other ops.
func (d without) Supports(n *ops.Node) bool { return n.Op != d.def && d.Device.Supports(n) }

// Compile lowers g with the op expanded and compiles the rest natively.
func (d without) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	g, outs, err := ops.Lower(g, d, outs...)
	if err != nil {
		return nil, err
	}
	return d.Device.Compile(g, a, outs...)
}

// expandedNodes is the most nodes that an expansion is reckoned to have; each brings a floor of its own.
const expandedNodes = 4

// graphChecks is layer 3: ops with an expansion, fused and expanded on the same device.
func (s *suite) graphChecks() []check {
	all := s.perCase("Graph", func(*ops.Def) bool { return true },
		func(ctx context.Context, name string, in *input) (Result, error) {
			fused, err := open(s.dev, in, false)
			if err != nil {
				return Result{}, err
			}
			native := s.dev.Supports(fused.node)
			if err := fused.close(); err != nil {
				return Result{}, err
			}
			want, err := s.scalar(ctx, in)
			if err != nil {
				return Result{}, err
			}
			got, _, err := execute(ctx, without{s.dev, in.def}, in, false)
			if err != nil {
				return Result{}, err
			}
			r := s.verdict(name, in, want, got, expandedNodes)
			if r.Verdict == Pass && !native {
				r.Verdict, r.Optional, r.Detail = Unsupported, true, "no fused kernel: the device runs the expansion"
			}
			return r, nil
		})
	var cs []check
	for i, c := range opCases() { // perCase keeps the order of opCases
		if c.def.Expand != nil {
			cs = append(cs, all[i])
		}
	}
	return cs
}
