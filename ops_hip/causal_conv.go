package opship

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// convRun is the number of tokens that a thread of causal_conv_f32_tokens computes. Those beyond the first run must
// not need the state.
const convRun = 16

// convGrid are the blocks of the kernels for x. Serial ones have a thread for all tokens of a sequence.
func convGrid(x tensor.Shape, sequences int, serial bool) [3]uint32 {
	grid := [3]uint32{uint32(sequences + 1), Blocks(x[1], 256), 1}
	if !serial {
		grid[2] = Blocks(x[0], convRun)
	}
	return grid
}

// convFits reports whether the kernels take a convolution of x.
func convFits(x tensor.Shape) bool {
	return fits(x[0], x[1]) && cover(x[1], 256) <= maxGridYZ && cover(x[0], convRun) <= maxGridYZ
}

// convRuns reports whether several threads should share the tokens of a sequence.
func convRuns(x tensor.Shape, taps, sequences int) bool {
	return x[0] > convRun*sequences && taps <= convRun+1
}

func init() {
	register := func(name string, serial bool, match func(n *ops.Node) int) {
		Register(Kernel{
			Name:  name,
			Op:    ops.CausalConvOp,
			Match: func(n *ops.Node, _ *Target) int { return match(n) },
			Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
				x, state, w, starts, slots := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4]
				return one(Launch{Object: "causal_conv", Symbol: name,
					Grid: convGrid(x.Shape(), slots.Shape()[0], serial), Block: [3]uint32{256},
					Args: Args{}.Ptr(x).Ptr(state).Ptr(w).Ptr(starts).Ptr(slots).Ptr(n.Result(0)).
						i32s(slots.Shape()[0], x.Shape()[0], x.Shape()[1], w.Shape()[1])})
			},
		})
	}
	match := func(n *ops.Node) bool { return isF32(n.In[1]) && ops.Kept(n.In[4]) == 0 && convFits(n.In[0].Shape()) }
	register("causal_conv_f32_serial", true, func(n *ops.Node) int { return matchIf(match(n), matchPlain) })
	register("causal_conv_f32_tokens", false, func(n *ops.Node) int {
		return matchIf(match(n) && convRuns(n.In[0].Shape(), n.In[2].Shape()[1], n.In[4].Shape()[0]), matchGood)
	})
}
