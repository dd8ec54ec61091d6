package opship

import "github.com/hipengine/hipengine/ops"

// convRun is the number of tokens that a thread of causal_conv_f32_tokens computes.
const convRun = 16

func init() {
	match := func(n *ops.Node) bool {
		s := n.In[0].Shape()
		return isF32(n.In[1]) && fits(s[0], s[1]) && cover(s[1], 256) <= maxGridYZ && cover(s[0], convRun) <= maxGridYZ
	}
	// grid covers all channels of the sequences, and of `more` beyond.
	grid := func(n *ops.Node, more int) [3]uint32 {
		return [3]uint32{uint32(n.In[4].Shape()[0] + more), Blocks(n.In[0].Shape()[1], 256)}
	}
	args := func(n *ops.Node) Args {
		x, state, w, starts, slots := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4]
		return Args{}.Ptr(x).Ptr(state).Ptr(w).Ptr(starts).Ptr(slots).Ptr(n.Result(0)).
			i32s(slots.Shape()[0], x.Shape()[0], x.Shape()[1], w.Shape()[1])
	}
	Register(Kernel{
		Name:  "causal_conv_f32_serial",
		Op:    ops.CausalConvOp,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(match(n), matchPlain) },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			return one(Launch{Object: "causal_conv", Symbol: "causal_conv_f32_serial", Grid: grid(n, 1), Block: [3]uint32{256}, Args: args(n)})
		},
	})
	Register(Kernel{
		Name: "causal_conv_f32_tokens",
		Op:   ops.CausalConvOp,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(match(n) && n.In[0].Shape()[0] > convRun*n.In[4].Shape()[0], matchGood)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			x, state, w, starts, slots := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4]
			tokens := grid(n, 1)
			tokens[2] = Blocks(x.Shape()[0], convRun)
			return []Launch{
				{Object: "causal_conv", Symbol: "causal_conv_f32_tokens", Grid: tokens, Block: [3]uint32{256}, Args: args(n)},
				{Object: "causal_conv", Symbol: "causal_conv_f32_state", Grid: grid(n, 0), Block: [3]uint32{256},
					Args: Args{}.Ptr(x).Ptr(state).Ptr(starts).Ptr(slots).i32s(x.Shape()[1], w.Shape()[1])},
			}, nil
		},
	})
}
