package opship

import "github.com/hipengine/hipengine/ops"

// Sizes of the kernels of norm.h.
const (
	normWave = 512     // longest row that a wave normalizes
	normRow  = 8192    // longest row that a block keeps in registers
	normRows = 1 << 22 // most blocks
)

// registerNorm registers the kernels <name>_f32_wave and _row of an op that normalizes the rows of its first input; args
// are the addresses that they take. The last result is the norm, of which they can write codes too.
func registerNorm(op *ops.Def, args func(n *ops.Node) Args) {
	emits := func(n *ops.Node, r int, f packForm) bool {
		elems := n.In[0].Shape().Elems()
		return f.kind == packQ24 && r == max(1, op.Results)-1 && n.In[0].Shape().Last()%128 == 0 && elems == f.rows*f.k && fits(elems)
	}
	match := func(n *ops.Node, most int) bool {
		s := n.In[0].Shape()
		return s.Last()%4 == 0 && s.Last() <= most
	}
	Register(Kernel{
		Name:  op.Name + "_f32_wave",
		Op:    op,
		emits: emits,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(match(n, normWave) && fits(n.In[0].Shape().Rows()), matchBest)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[0].Shape()
			return one(Launch{Object: op.Name, Symbol: op.Name + "_f32_wave", Grid: [3]uint32{Blocks(s.Rows(), 4)}, Block: [3]uint32{128},
				Args: args(n).emitted(n).i32s(s.Rows(), s.Last()).F32(n.Attrs.(ops.NormAttrs).Eps)})
		},
	})
	Register(Kernel{
		Name:  op.Name + "_f32_row",
		Op:    op,
		emits: emits,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(match(n, normRow) && n.In[0].Shape().Rows() <= normRows, matchGood)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[0].Shape()
			return one(Launch{Object: op.Name, Symbol: op.Name + "_f32_row", Grid: [3]uint32{uint32(s.Rows())}, Block: [3]uint32{512},
				Args: args(n).emitted(n).i32s(s.Rows(), s.Last()).F32(n.Attrs.(ops.NormAttrs).Eps)})
		},
	})
}

// registerNormOfAny registers the kernel <name>_f32_block too, which takes rows of any length.
func registerNormOfAny(op *ops.Def) {
	args := func(n *ops.Node) Args {
		var a Args
		for _, v := range n.In {
			a = a.Ptr(v)
		}
		return a.Ptr(n.Result(0))
	}
	registerNorm(op, args)
	Register(Kernel{
		Name: op.Name + "_f32_block",
		Op:   op,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(fits(n.In[0].Shape().Rows(), n.In[0].Shape().Last()), matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[0].Shape()
			return one(Launch{Object: op.Name, Symbol: op.Name + "_f32_block", Grid: [3]uint32{uint32(s.Rows())}, Block: [3]uint32{256},
				Args: args(n).i32s(s.Last()).F32(n.Attrs.(ops.NormAttrs).Eps)})
		},
	})
}
