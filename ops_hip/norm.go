package opship

import "github.com/hipengine/hipengine/ops"

// waveRow is the longest row that a single wave normalizes: 32 elements a lane.
const waveRow = 1024

// registerNorm registers the kernels <name>_f32_wave and _block of a normalization over the innermost dimension.
func registerNorm(op *ops.Def) {
	match := func(n *ops.Node) bool { return fits(n.In[0].Shape().Rows(), n.In[0].Shape().Last()) }
	args := func(n *ops.Node) Args {
		var a Args
		for _, v := range n.In {
			a = a.Ptr(v)
		}
		return a.Ptr(n.Result(0))
	}
	Register(Kernel{
		Name: op.Name + "_f32_wave",
		Op:   op,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(match(n) && n.In[0].Shape().Last() <= waveRow, matchGood)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[0].Shape()
			return one(Launch{Object: op.Name, Symbol: op.Name + "_f32_wave", Grid: [3]uint32{Blocks(s.Rows(), 4)}, Block: [3]uint32{128},
				Args: args(n).i32s(s.Rows(), s.Last()).F32(n.Attrs.(ops.NormAttrs).Eps)})
		},
	})
	Register(Kernel{
		Name:  op.Name + "_f32_block",
		Op:    op,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(match(n), matchPlain) },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[0].Shape()
			return one(Launch{Object: op.Name, Symbol: op.Name + "_f32_block", Grid: [3]uint32{uint32(s.Rows())}, Block: [3]uint32{256},
				Args: args(n).i32s(s.Last()).F32(n.Attrs.(ops.NormAttrs).Eps)})
		},
	})
}
