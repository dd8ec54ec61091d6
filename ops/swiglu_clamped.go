package ops

// SwiGLUClampedAttrs are the attributes of [SwiGLUClampedOp].
type SwiGLUClampedAttrs struct {
	Alpha float32 // factor inside the sigmoid; gpt-oss: 1.702
	Limit float32 // gate is at most Limit, up between -Limit and Limit; gpt-oss: 7
}

// SwiGLUClampedOp is the gated activation of gpt-oss.
var SwiGLUClampedOp = Register(&Def{
	Name:  "swiglu_clamped",
	Infer: inferGated,
	Cases: func() []Case {
		cs := gatedCases()
		for i := range cs {
			cs[i].Attrs = SwiGLUClampedAttrs{1.702, 7}
			cs[i].Args[0].Gen, cs[i].Args[1].Gen = scaled(6), scaled(6) // beyond both limits
		}
		return cs
	},
})

// SwiGLUClamped returns g·sigmoid(Alpha·g)·(u+1) elementwise, with g = min(gate, Limit) and u = up clamped to
// ±Limit. gate, up: one shape, [..., n_ff].
func SwiGLUClamped(gr *Graph, gate, up Value, a SwiGLUClampedAttrs) Value {
	return one(gr.Add(SwiGLUClampedOp, a, gate, up))
}
