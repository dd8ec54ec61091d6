package ops

// L2NormOp scales rows to unit length.
var L2NormOp = Register(&Def{
	Name:  "l2_norm",
	Infer: inferUnary,
	Cases: func() []Case {
		cs := unaryCases()
		for i := range cs {
			cs[i].Attrs = NormAttrs{1e-6}
		}
		tiny := f32(3, 96)
		tiny.Gen = scaled(1e-4)
		return append(cs, Case{Name: "eps", Attrs: NormAttrs{1e-6}, Args: []Arg{tiny}})
	},
})

// L2Norm returns x / sqrt(Σx² + eps) over the innermost dimension. x: [..., n].
func L2Norm(g *Graph, x Value, eps float32) Value { return one(g.Add(L2NormOp, NormAttrs{eps}, x)) }
