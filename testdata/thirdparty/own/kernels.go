package own

import (
	"math"

	"github.com/hipengine/hipengine/ops"

	"example.com/thirdparty/relu2"
)

// kernels compute the elements of a node's result from those of its inputs. Sums are in float64.
var kernels = map[*ops.Def]func(n *ops.Node, y []float32, in [][]float32){
	ops.AddOp: pairwise(func(a, b float32) float32 { return a + b }),
	ops.MulOp: pairwise(func(a, b float32) float32 { return a * b }),
	ops.MulMatOp: func(n *ops.Node, y []float32, in [][]float32) {
		rows, width := n.In[1].Shape()[0], n.In[1].Shape()[1]
		for i := range y {
			x, w := in[0][i/rows*width:][:width], in[1][i%rows*width:][:width]
			sum := 0.0
			for j := range x {
				sum += float64(x[j]) * float64(w[j])
			}
			y[i] = float32(sum)
		}
	},
	ops.SiLUOp: unary(func(x float64) float64 { return x / (1 + math.Exp(-x)) }),
	ops.GELUOp: unary(func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}),
	relu2.Op: unary(func(x float64) float64 {
		if x < 0 {
			return 0
		}
		return x * x
	}),
}

// pairwise repeats the second operand over leading dimensions of the first that it lacks.
func pairwise(f func(a, b float32) float32) func(*ops.Node, []float32, [][]float32) {
	return func(_ *ops.Node, y []float32, in [][]float32) {
		for i := range y {
			y[i] = f(in[0][i], in[1][i%len(in[1])])
		}
	}
}

func unary(f func(float64) float64) func(*ops.Node, []float32, [][]float32) {
	return func(_ *ops.Node, y []float32, in [][]float32) {
		for i, x := range in[0] {
			y[i] = float32(f(float64(x)))
		}
	}
}
