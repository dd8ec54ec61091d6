package ops

// XIELUAttrs are the attributes of [XIELUOp].
type XIELUAttrs struct {
	Positive float32 // factor on the square of what is positive
	Negative float32 // factor on e^x - 1 - x of what is not
	Linear   float32 // factor on x itself
}

// XIELUOp is the integral of an exponential linear unit (Huang and Schlag 2024, arXiv 2411.13010).
var XIELUOp = Register(&Def{
	Name:  "xielu",
	Infer: inferUnary,
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		a, x := attrs.(XIELUAttrs), in[0]
		sum := func(a float32, x Value, b float32, y Value) Value { return Add(g, Scale(g, x, a), Scale(g, y, b)) }
		half := Sigmoid(g, Scale(g, x, 0))
		negative := Scale(g, SwiGLUClamped(g, x, x, SwiGLUClampedAttrs{}), 2) // no slope, a limit of zero: min(x, 0)/2
		positive := sum(1, x, -1, negative)
		// 1 + e^x is the inverse of sigmoid(-x), which is in 1/2..1: Newton's method from the best line.
		d := Sigmoid(g, Scale(g, negative, -1))
		y := sum(5.82843, half, -2, d)
		for range 3 {
			y = sum(2, y, -1, Mul(g, d, Mul(g, y, y)))
		}
		curve := sum(1, sum(1, y, -4, half), -1, negative)
		return []Value{Add(g, sum(a.Positive, Mul(g, positive, positive), a.Negative, curve), Scale(g, x, a.Linear))}
	},
	Cases: func() []Case {
		cs := unaryCases()
		for i := range cs {
			cs[i].Attrs, cs[i].Args[0].Gen = XIELUAttrs{0.8, 1.3, 0.5}, scaled(3)
		}
		return cs
	},
})

// XIELU returns Positive·x² + Linear·x where x is positive, Negative·(e^x - 1 - x) + Linear·x elsewhere, elementwise.
func XIELU(g *Graph, x Value, a XIELUAttrs) Value { return one(g.Add(XIELUOp, a, x)) }
