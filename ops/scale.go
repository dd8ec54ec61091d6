package ops

// ScaleAttrs are the attributes of [ScaleOp].
type ScaleAttrs struct{ By float32 }

// ScaleOp multiplies by a constant.
var ScaleOp = Register(&Def{
	Name:  "scale",
	Infer: inferUnary,
	Cases: func() []Case {
		cs := unaryCases()
		for i := range cs {
			cs[i].Attrs = ScaleAttrs{0.37}
		}
		return cs
	},
})

// Scale returns x * by elementwise.
func Scale(g *Graph, x Value, by float32) Value { return one(g.Add(ScaleOp, ScaleAttrs{by}, x)) }
