package opship

import "github.com/hipengine/hipengine/ops"

// selfAttentionOf returns the attention of a node of that op, whose queries are at the start of the node's scratch
// memory.
func selfAttentionOf(n *ops.Node) attend {
	q, k := n.In[0].Shape(), n.In[1].Shape()
	a := attend{tokens: q[0], heads: q[1], dim: k[2], k: n.In[6], v: n.In[7], pos: n.In[3], seq: n.In[4],
		pages: n.In[5],
		attrs: n.Attrs.(ops.SelfAttentionAttrs).Attention, scratch: aligned(4 * int64(q[0]*q[1]) * int64(k[2]))}
	a.result = func(args Args) Args { return args.Ptr(n.Result(0)) }
	a.q = func(args Args) Args { return args.ScratchPtr(0) }
	a.gate = func(args Args) Args {
		if q[2] == k[2] {
			return args.NullPtr().I32(0)
		}
		return args.PtrAt(n.In[0], 4*int64(k[2])).i32s(q[2])
	}
	if _, sinks := selfAttentionRest(n); sinks < len(n.In) {
		a.sinks = n.In[sinks]
	}
	return a
}

// selfAttentionRest returns the places of the frequencies and of the sinks among the inputs of n, if it has them.
func selfAttentionRest(n *ops.Node) (freqs, sinks int) {
	a := n.Attrs.(ops.SelfAttentionAttrs)
	freqs = 8
	if a.Norm.Eps > 0 {
		freqs += 2
	}
	if a.RoPE.NRot > 0 {
		return freqs, freqs + 1
	}
	return freqs, freqs
}

// appendSelf returns the launch that makes queries, keys and values of n ready.
func appendSelf(n *ops.Node) []Launch {
	a, q, k, cache := n.Attrs.(ops.SelfAttentionAttrs), n.In[0].Shape(), n.In[1].Shape(), n.In[6].Shape()
	self := selfAttentionOf(n)
	args := Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.In[2])
	if a.Norm.Eps > 0 {
		args = args.Ptr(n.In[8]).Ptr(n.In[9])
	} else {
		args = args.NullPtr().NullPtr()
	}
	args = args.Ptr(self.pos).Ptr(self.seq).Ptr(self.pages)
	if freqs, _ := selfAttentionRest(n); a.RoPE.NRot > 0 {
		args = args.Ptr(n.In[freqs])
	} else {
		args = args.NullPtr()
	}
	args = args.ScratchPtr(0).Ptr(self.k).Ptr(self.v).i32s(q[0], q[1], k[1], k[2], q[2], a.RoPE.NRot/2)
	return []Launch{{Object: "norm_rope_append", Symbol: "norm_rope_append_" + cacheTypes[self.k.DType()] + "_" +
		a.RoPE.Pairing.String(),
		Grid: [3]uint32{Blocks(q[0]*(q[1]+2*k[1]), 4)}, Block: [3]uint32{128}, Scratch: self.scratch,
		Args: args.F32(a.Norm.Eps).F32(a.RoPE.MScale).i32s(cache[1], self.pages.Shape()[1])}}
}

func init() {
	registerAttention(ops.SelfAttentionOp, func(n *ops.Node) (attend, bool) {
		q, k := n.In[0].Shape(), n.In[1].Shape()
		return selfAttentionOf(n), k[2]%4 == 0 && k[2] <= normWave &&
			fits(q[0]*(q[1]+2*k[1]), q.Elems(), n.In[1].Shape().Elems())
	}, appendSelf)
}
