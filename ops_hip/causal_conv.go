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

// convLaunch is the launch of a kernel for a convolution of x with the filters w, whose result goes where y says. The
// kernel that keeps states is taken where slots have places for them.
func convLaunch(name string, serial bool, x, state, w, starts, slots ops.Value, y func(Args) Args) Launch {
	args := y(Args{}.Ptr(x).Ptr(state).Ptr(w).Ptr(starts).Ptr(slots)).
		i32s(slots.Shape()[0], x.Shape()[0], x.Shape()[1], w.Shape()[1])
	if kept := ops.Kept(slots); kept > 0 {
		name, args = name+"_kept", args.i32s(kept)
	}
	return Launch{Object: "causal_conv", Symbol: name, Grid: convGrid(x.Shape(), slots.Shape()[0], serial),
		Block: [3]uint32{256}, Args: args}
}

func init() {
	register := func(name string, serial bool, match func(n *ops.Node) int) {
		Register(Kernel{
			Name:  name,
			Op:    ops.CausalConvOp,
			Match: func(n *ops.Node, _ *Target) int { return match(n) },
			Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
				return one(convLaunch(name, serial, n.In[0], n.In[1], n.In[2], n.In[3], n.In[4],
					func(a Args) Args { return a.Ptr(n.Result(0)) }))
			},
		})
	}
	match := func(n *ops.Node) bool { return isF32(n.In[1]) && convFits(n.In[0].Shape()) }
	register("causal_conv_f32_serial", true, func(n *ops.Node) int { return matchIf(match(n), matchPlain) })
	register("causal_conv_f32_tokens", false, func(n *ops.Node) int {
		return matchIf(match(n) && convRuns(n.In[0].Shape(), n.In[2].Shape()[1], n.In[4].Shape()[0]), matchGood)
	})
}
