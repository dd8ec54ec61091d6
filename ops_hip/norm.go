package opship

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Sizes of the kernels of norm.h.
const (
	normWave = 512     // longest row that a wave normalizes
	normRow  = 8192    // longest row that a block keeps in registers
	normRows = 1 << 22 // most blocks
)

// normEmits reports whether the kernels <name>_f32_wave and _row can write the norm, of the given shape, in form f
// too.
func normEmits(y tensor.Shape, f packForm) bool {
	return normName(y) != "" && fits(y.Elems()) && (f.kind != packQ24 || y.Last()%128 == 0)
}

// normTakes reports whether a kernel of norm.h that keeps rows in registers takes those of a shape.
func normTakes(name string, s tensor.Shape) bool {
	n := s.Last()
	if name == "_f32_wave" {
		return n%4 == 0 && n <= normWave && fits(s.Rows())
	}
	return n%4 == 0 && n <= normRow && s.Rows() <= normRows
}

// normName returns the end of the name of the best of them, "" if none takes the shape.
func normName(s tensor.Shape) string {
	for _, name := range []string{"_f32_wave", "_f32_row"} {
		if normTakes(name, s) {
			return name
		}
	}
	return ""
}

// normLaunch is that of such a kernel of an object for rows of a shape, with the addresses of its operands and
// results in args. It writes what n emits.
func normLaunch(object, name string, n *ops.Node, s tensor.Shape, args Args, eps float32) Launch {
	_, form := emittedForm(n)
	l := Launch{Object: object, Symbol: object + name, Grid: [3]uint32{uint32(s.Rows())}, Block: [3]uint32{512}}
	if name == "_f32_wave" {
		l.Grid, l.Block = [3]uint32{Blocks(s.Rows(), 4)}, [3]uint32{128}
	}
	l.Args = args.emitted(n).i32s(form, s.Rows(), s.Last()).F32(eps)
	return l
}

// registerNorm registers kernels <name>_f32_wave and _row, or those of them whose endings are given, of an op that
// normalizes the rows of its first input; args are the addresses that they take. The last result is the norm, which they
// can write in other forms too. spares says that its address may be null then.
func registerNorm(op *ops.Def, spares bool, args func(n *ops.Node) Args, names ...string) {
	norm := max(1, op.Results) - 1
	if names == nil {
		names = []string{"_f32_wave", "_f32_row"}
	}
	for i, name := range names {
		Register(Kernel{
			Name:   op.Name + name,
			Op:     op,
			emits:  func(n *ops.Node, r int, f packForm) bool { return r == norm && normEmits(n.In[0].Shape(), f) },
			spares: func(_ *ops.Node, r int) bool { return spares && r == norm },
			Match: func(n *ops.Node, _ *Target) int {
				return matchIf(normTakes(name, n.In[0].Shape()), []int{matchBest, matchGood}[i])
			},
			Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
				return one(normLaunch(op.Name, name, n, n.In[0].Shape(), args(n), n.Attrs.(ops.NormAttrs).Eps))
			},
		})
	}
}

// inOut are the addresses of all inputs and of the result.
func inOut(n *ops.Node) Args {
	var a Args
	for _, v := range n.In {
		a = a.Ptr(v)
	}
	return a.Ptr(n.Result(0))
}

// registerNormOfAny registers the kernel <name>_f32_block, which takes rows of any length.
func registerNormOfAny(op *ops.Def, args func(n *ops.Node) Args) {
	Register(Kernel{
		Name: op.Name + "_f32_block",
		Op:   op,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(fits(n.In[0].Shape().Rows(), n.In[0].Shape().Last()), matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[0].Shape()
			return one(Launch{Object: op.Name, Symbol: op.Name + "_f32_block", Grid: [3]uint32{uint32(s.Rows())},
				Block: [3]uint32{256},
				Args:  args(n).i32s(s.Last()).F32(n.Attrs.(ops.NormAttrs).Eps)})
		},
	})
}
