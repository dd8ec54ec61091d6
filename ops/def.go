package ops

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

// Def declares one operation. Its address is its identity: there is no central enumeration to edit, and a
// program outside this module can declare its own.
type Def struct {
	Name string

	// Infer checks n.In and n.Attrs and fills n.Out. It sees valid inputs only. Its error says what is wrong
	// with the operands; the caller adds which node it was.
	Infer func(n *Node) error

	// Expand records the unfused definition and returns one value per result. Nil for a primitive.
	Expand func(g *Graph, in []Value, attrs any) []Value

	// Results is the number of results; 0 means 1.
	Results int

	// Collective says that there are as many results as inputs, one for each rank of a model that several devices
	// share: input i comes from rank i, and result i is computed from all inputs where that lives. All results are
	// equal.
	Collective bool

	// InPlace maps a result to the input that it updates in place, which must be a state: after the op, that
	// input's storage holds the result.
	InPlace map[int]int

	// View says that result 0 is input 0's storage under another shape: no work, no kernel.
	View bool

	// Work estimates the arithmetic and the traffic of n, for roofline reports. Nil: elementwise over all types.
	Work func(n *Node) (flop, bytes int64)

	// Cases lists what conformance runs, edge shapes included.
	Cases func() []Case
}

// results returns the number of results of a node with so many inputs.
func (d *Def) results(inputs int) int {
	if d.Collective {
		return inputs
	}
	return max(1, d.Results)
}

// alias returns the input that result r updates in place, or -1.
func (d *Def) alias(r int) int {
	if i, ok := d.InPlace[r]; ok {
		return i
	}
	return -1
}

// Storage returns the input whose storage result r shares, by view or by update in place, or -1 if r has its own.
func (d *Def) Storage(r int) int {
	if d.View {
		return 0
	}
	return d.alias(r)
}

// Case is one conformance input set of an op.
type Case struct {
	Name  string
	Args  []Arg
	Attrs any
}

// Arg describes one operand of a Case.
type Arg struct {
	Leaf  Leaf // Input unless said otherwise
	DType tensor.DType
	Shape tensor.Shape
	Ints  []int32                    // contents of an I32 operand
	Gen   func(r *rand.Rand) float32 // elements of a float operand; nil: standard normal
}

var defs []*Def

// Register records d for [Defs] and returns it; it panics if the name is taken.
func Register(d *Def) *Def {
	if slices.ContainsFunc(defs, func(e *Def) bool { return e.Name == d.Name }) {
		panic("ops: duplicate op " + d.Name)
	}
	if cases := d.Cases; cases != nil {
		d.Cases = func() []Case { return withLeaves(cases()) }
	}
	defs = append(defs, d)
	return d
}

// withLeaves makes operands that do not say what they are inputs.
func withLeaves(cs []Case) []Case {
	for _, c := range cs {
		for i := range c.Args {
			if c.Args[i].Leaf == NoLeaf {
				c.Args[i].Leaf = Input
			}
		}
	}
	return cs
}

// Defs returns all registered operations, sorted by name.
func Defs() []*Def {
	ds := slices.Clone(defs)
	slices.SortFunc(ds, func(a, b *Def) int { return strings.Compare(a.Name, b.Name) })
	return ds
}
