package ops

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

// Leaf says what a node without an op stands for.
type Leaf uint8

// The kinds of leaves. NoLeaf marks the result of an op.
const (
	NoLeaf Leaf = iota
	Input       // data uploaded before each run, at a fixed address inside the plan
	Weight      // a tensor that no op writes
	State       // a tensor that ops update in place and that outlives the plan: KV pages, recurrent state
)

// Type is the element type and shape of a value. Activations are F32; I32 holds ids and positions; weights and
// states keep the type of their tensor.
type Type struct {
	DType tensor.DType
	Shape tensor.Shape
}

// String formats t as F32[2 3].
func (t Type) String() string { return t.DType.String() + t.Shape.String() }

// Value is one result of a node. The zero Value is invalid; every builder absorbs it.
type Value struct {
	node *Node
	out  int
}

// Valid reports whether v is a recorded value.
func (v Value) Valid() bool { return v.node != nil }

// Node returns the node that v is a result of, nil for the zero Value.
func (v Value) Node() *Node { return v.node }

// Index returns which result of its node v is.
func (v Value) Index() int { return v.out }

// Type returns v's type, the zero Type for the zero Value.
func (v Value) Type() Type {
	if v.node == nil {
		return Type{}
	}
	return v.node.Out[v.out]
}

// Shape returns v's shape, outermost dimension first.
func (v Value) Shape() tensor.Shape { return v.Type().Shape }

// DType returns v's element type.
func (v Value) DType() tensor.DType { return v.Type().DType }

// Node is one recorded operation, or a leaf. Nodes are immutable once their graph is compiled.
type Node struct {
	ID     int    // index in Graph.Nodes
	Op     *Def   // nil for a leaf
	Leaf   Leaf   // NoLeaf for an op
	Name   string // of a leaf
	In     []Value
	Attrs  any // the op's own attribute struct, compared with ==
	Out    []Type
	Tensor tensor.Tensor // storage of a Weight or State leaf
	Pos    Pos           // the code that recorded it
}

// Result returns result i of n.
func (n *Node) Result(i int) Value { return Value{n, i} }

// String describes n for error messages: op, input types and attributes.
func (n *Node) String() string {
	if n.Op == nil {
		return fmt.Sprintf("%s %v", n.Name, n.Out[0])
	}
	in := make([]string, len(n.In))
	for i, v := range n.In {
		in[i] = v.Type().String()
	}
	s := n.Op.Name + "(" + strings.Join(in, ", ") + ")"
	if n.Attrs != nil {
		s += fmt.Sprintf(" %+v", n.Attrs)
	}
	return s
}

// Graph is a recording in execution order. Builders never fail one by one: the first error sticks, later calls
// do nothing, and Err reports it. A Graph is used by one goroutine while it records.
type Graph struct {
	Nodes []*Node

	// Exact is an attribute of the products with weights that are recorded while it is set: see [MulMatAttrs].
	Exact bool

	// Invariant demands that what a token's results are does not depend on how many tokens, sequences and pages the
	// graph is for, bit for bit: a device then chooses kernels without looking at them. It takes a device whose Caps
	// say that it can, and costs speed.
	Invariant bool

	at      Pos // where all that is recorded stands, of expansions; else each node's own
	lowered bool
	err     error
}

// Err returns the first error met while recording.
func (g *Graph) Err() error { return g.err }

// Lowered reports whether g is a result of [Lower] and runs as it is: a device rewrites it no more.
func (g *Graph) Lowered() bool { return g.lowered }

// Fail records err unless there is an error already. Builders of composite layers use it.
func (g *Graph) Fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// Input declares a value of the given type that is uploaded before each run, through Plan.Input(name).
func (g *Graph) Input(name string, dt tensor.DType, shape ...int) Value {
	return g.leaf(&Node{Leaf: Input, Name: name, Out: []Type{{dt, shape}}})
}

// Weight declares t as a constant of the graph. t's buffer must live on the device that compiles the graph and
// stays owned by the caller, for longer than the plan.
func (g *Graph) Weight(t tensor.Tensor) Value {
	return g.leaf(&Node{Leaf: Weight, Name: t.Name, Out: []Type{{t.DType, t.Shape}}, Tensor: t})
}

// State declares t as storage that ops of the graph may update in place. Ownership is as for Weight. A tensor
// is declared once per graph: later uses must go through the value that the updating op returned.
func (g *Graph) State(t tensor.Tensor) Value {
	return g.leaf(&Node{Leaf: State, Name: t.Name, Out: []Type{{t.DType, t.Shape}}, Tensor: t})
}

func (g *Graph) leaf(n *Node) Value {
	if g.err != nil {
		return Value{}
	}
	n.ID, n.Pos = len(g.Nodes), caller(3)
	g.Nodes = append(g.Nodes, n)
	return Value{node: n}
}

// Add records op d and returns its results. Typed builders such as [RMSNorm] call it; models do not.
func (g *Graph) Add(d *Def, attrs any, in ...Value) []Value {
	return g.add(d, attrs, in, Pos{})
}

// AddAt is Add for what copies a graph: the op is recorded at the place of the one that it stands for. Finding its own
// costs more than all else that recording does.
func (g *Graph) AddAt(pos Pos, d *Def, attrs any, in ...Value) []Value {
	return g.add(d, attrs, in, pos)
}

// add is Add with the recording position given, or found by itself if pos is zero.
func (g *Graph) add(d *Def, attrs any, in []Value, pos Pos) []Value {
	none := make([]Value, d.results(len(in)))
	if g.err != nil {
		return none
	}
	if pos == (Pos{}) {
		pos = g.at
	}
	if pos == (Pos{}) {
		pos = caller(4)
	}
	n := &Node{ID: len(g.Nodes), Op: d, In: in, Attrs: attrs, Pos: pos}
	if err := n.infer(); err != nil {
		g.err = fmt.Errorf("ops: %s: %w", pos, err)
		return none
	}
	g.Nodes = append(g.Nodes, n)
	for i := range none {
		none[i] = Value{n, i}
	}
	return none
}

// infer checks n's inputs and fills n.Out.
func (n *Node) infer() error {
	for i, v := range n.In {
		if !v.Valid() {
			return fmt.Errorf("%s: input %d is not a value", n.Op.Name, i)
		}
	}
	if err := n.Op.Infer(n); err != nil {
		return fmt.Errorf("%v: %w", n, err)
	}
	if len(n.Out) != n.Op.results(len(n.In)) {
		return fmt.Errorf("%s: %d results inferred, %d declared", n.Op.Name, len(n.Out), n.Op.results(len(n.In)))
	}
	for r := range n.Out {
		if i := n.Op.alias(r); i >= 0 && Root(n.In[i]).Leaf != State {
			return fmt.Errorf("%s: updates input %d in place, which is not a state", n.Op.Name, i)
		}
	}
	return nil
}

// Root follows in-place updates and views of v back to the node that owns the storage.
func Root(v Value) *Node { return Owner(v).node }

// Owner is Root for the value that owns the storage.
func Owner(v Value) Value {
	for v.node.Op != nil {
		i := v.node.Op.Storage(v.out)
		if i < 0 {
			break
		}
		v = v.node.In[i]
	}
	return v
}

// Pos is a place in the code that records a graph. It costs little to take and is looked up when it is printed.
type Pos struct{ pcs [8]uintptr }

// caller returns the place of the calls on the stack, skip frames up at least.
func caller(skip int) (p Pos) {
	runtime.Callers(skip, p.pcs[:])
	return p
}

// String returns file:line of the first frame outside this package's builders.
func (p Pos) String() string {
	n := slices.Index(p.pcs[:], 0)
	switch n {
	case 0:
		return "nowhere"
	case -1:
		n = len(p.pcs)
	}
	frames := runtime.CallersFrames(p.pcs[:n])
	for {
		f, more := frames.Next()
		if !more || !strings.Contains(f.Function, "hipengine/ops.") || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", filepath.Base(filepath.Dir(f.File))+"/"+filepath.Base(f.File), f.Line)
		}
	}
}
