package conformance

import (
	"context"

	"github.com/hipengine/hipengine/ops"
)

// opCase names one case of one op.
type opCase struct {
	def  *ops.Def
	name string // <op>/<case>
	i    int    // in def.Cases()
}

// opCases lists the cases of all registered ops.
func opCases() []opCase {
	var cs []opCase
	for _, d := range ops.Defs() {
		if d.Cases == nil {
			continue
		}
		for i, c := range d.Cases() {
			cs = append(cs, opCase{d, d.Name + "/" + c.Name, i})
		}
	}
	return cs
}

// input generates the case's data. Generators of operands may keep state, so each call asks for the cases anew.
func (c opCase) input(seed uint64, weights weightCache) (*input, error) {
	return newInput(c.def, c.def.Cases()[c.i], seed, weights)
}

// perCase makes one check of a layer for each case.
func (s *suite) perCase(layer string, optional func(*ops.Def) bool,
	run func(ctx context.Context, name string, in *input) (Result, error)) []check {
	var cs []check
	for _, c := range opCases() {
		name := layer + "/" + c.name
		cs = append(cs, check{name, func(ctx context.Context) Result {
			in, err := c.input(s.o.Seed, s.weights)
			if err != nil {
				return failf("%v", err)
			}
			r, err := run(ctx, name, in)
			if err != nil {
				return failure(err, optional(c.def))
			}
			return r
		}})
	}
	return cs
}

// required says that an op must run on every device, natively or expanded.
func required(*ops.Def) bool { return false }

// runs are the results of the two scalar devices, and the node as the reference saw it.
type runs struct {
	ref, oracle *outcome
	node        *ops.Node
}

func (s *suite) scalar(ctx context.Context, in *input) (*runs, error) {
	var r runs
	var err error
	if r.ref, r.node, err = execute(ctx, s.ref, in, false); err != nil {
		return nil, err
	}
	r.oracle, _, err = execute(ctx, s.oracle, in, true)
	return &r, err
}

// opChecks is layer 1: the device against reference and oracle.
func (s *suite) opChecks() []check {
	return s.perCase("Ops", required, func(ctx context.Context, name string, in *input) (Result, error) {
		want, err := s.scalar(ctx, in)
		if err != nil {
			return Result{}, err
		}
		got, _, err := execute(ctx, s.dev, in, false)
		if err != nil {
			return Result{}, err
		}
		return s.verdict(name, in, want, got, 1), nil
	})
}
