package relu2

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Op is the square of the rectifier, elementwise.
var Op = ops.Register(&ops.Def{
	Name:  "relu2",
	Infer: func(n *ops.Node) error { return infer(n, 1) },
	Cases: func() []ops.Case { return cases(1) },
})

// ReLU2 returns max(x, 0)² elementwise, NaN for NaN. x: F32 of any shape.
func ReLU2(g *ops.Graph, x ops.Value) ops.Value { return g.Add(Op, nil, x)[0] }

// infer is the shape rule of elementwise functions of activations of one shape.
func infer(n *ops.Node, inputs int) error {
	if len(n.In) != inputs {
		return fmt.Errorf("%d inputs, want %d", len(n.In), inputs)
	}
	for _, v := range n.In {
		if v.DType() != tensor.F32 || !v.Shape().Equal(n.In[0].Shape()) {
			return fmt.Errorf("input %v, want F32%v", v.Type(), n.In[0].Shape())
		}
	}
	n.Out = []ops.Type{n.In[0].Type()}
	return nil
}

// cases are the sizes on which elementwise kernels go wrong: one element, odd tails, more than one block.
func cases(inputs int) []ops.Case {
	var cs []ops.Case
	for _, s := range []tensor.Shape{{1}, {3, 67}, {5, 256}, {2, 3, 129}} {
		c := ops.Case{Name: fmt.Sprint(s)}
		for range inputs {
			c.Args = append(c.Args, ops.Arg{DType: tensor.F32, Shape: s})
		}
		cs = append(cs, c)
	}
	return cs
}
