package ops

// SoftcapAttrs are the attributes of [SoftcapOp].
type SoftcapAttrs struct{ Cap float32 }

// SoftcapOp bounds values smoothly.
var SoftcapOp = Register(&Def{
	Name:  "softcap",
	Infer: inferUnary,
	Cases: func() []Case {
		cs := unaryCases()
		for i := range cs {
			cs[i].Attrs, cs[i].Args[0].Gen = SoftcapAttrs{3}, scaled(4)
		}
		return cs
	},
})

// Softcap returns c·tanh(x/c) elementwise.
func Softcap(g *Graph, x Value, c float32) Value { return one(g.Add(SoftcapOp, SoftcapAttrs{c}, x)) }
