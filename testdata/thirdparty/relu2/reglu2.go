package relu2

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// GatedOp is the gated form. It is fused: devices without a kernel for it run its expansion.
var GatedOp = ops.Register(&ops.Def{
	Name:  "reglu2",
	Infer: func(n *ops.Node) error { return infer(n, 2) },
	Expand: func(g *ops.Graph, in []ops.Value, _ any) []ops.Value {
		return []ops.Value{ops.Mul(g, ReLU2(g, in[0]), in[1])}
	},
	Cases: func() []ops.Case {
		// What scales the gate may be learned too.
		learned := ops.Arg{Leaf: ops.Weight, DType: tensor.F32, Shape: tensor.Shape{2, 65}}
		return append(cases(2), ops.Case{Name: "weight",
			Args: []ops.Arg{{DType: tensor.F32, Shape: learned.Shape}, learned}})
	},
})

// ReGLU2 returns max(gate, 0)²·up elementwise. Both are F32 of one shape. It is an nn.Activation.
func ReGLU2(g *ops.Graph, gate, up ops.Value) ops.Value { return g.Add(GatedOp, nil, gate, up)[0] }
