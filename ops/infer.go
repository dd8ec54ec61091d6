package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// arity checks the number of inputs.
func arity(n *Node, want int) error {
	if len(n.In) != want {
		return fmt.Errorf("%d inputs, want %d", len(n.In), want)
	}
	return nil
}

// is checks one operand: its element type and its number of dimensions.
func is(v Value, what string, dt tensor.DType, rank int) error {
	if v.DType() != dt || len(v.Shape()) != rank {
		return fmt.Errorf("%s is %v, want %v with %d dimensions", what, v.Type(), dt, rank)
	}
	return nil
}

// floats checks that v is an activation: F32, of any shape.
func floats(v Value, what string) error {
	if v.DType() != tensor.F32 || len(v.Shape()) == 0 {
		return fmt.Errorf("%s is %v, want an F32 activation", what, v.Type())
	}
	return nil
}

// vector checks that v is an F32 vector of n elements.
func vector(v Value, what string, n int) error {
	if v.DType() != tensor.F32 || len(v.Shape()) != 1 || v.Shape()[0] != n {
		return fmt.Errorf("%s is %v, want F32[%d]", what, v.Type(), n)
	}
	return nil
}

// ints checks that v is an I32 vector of n elements.
func ints(v Value, what string, n int) error {
	if v.DType() != tensor.I32 || len(v.Shape()) != 1 || v.Shape()[0] != n {
		return fmt.Errorf("%s is %v, want I32[%d]", what, v.Type(), n)
	}
	return nil
}

// inferUnary is the rule of elementwise functions of one activation.
func inferUnary(n *Node) error {
	if err := arity(n, 1); err != nil {
		return err
	}
	n.Out = []Type{n.In[0].Type()}
	return floats(n.In[0], "x")
}

// inferBroadcast is the rule of elementwise functions of two activations, the second of which may lack leading
// dimensions of the first.
func inferBroadcast(n *Node) error {
	if err := arity(n, 2); err != nil {
		return err
	}
	x, y := n.In[0], n.In[1]
	if err := floats(x, "x"); err != nil {
		return err
	}
	if err := floats(y, "y"); err != nil {
		return err
	}
	xs, ys := x.Shape(), y.Shape()
	if len(ys) > len(xs) || !xs[len(xs)-len(ys):].Equal(ys) {
		return fmt.Errorf("shape %v of y does not end shape %v of x", ys, xs)
	}
	n.Out = []Type{x.Type()}
	return nil
}

// one returns the single result of an op.
func one(vs []Value) Value { return vs[0] }

// inferGated is the rule of gated activations: two operands of one shape.
func inferGated(n *Node) error {
	if err := inferBroadcast(n); err != nil {
		return err
	}
	if gate, up := n.In[0].Shape(), n.In[1].Shape(); !gate.Equal(up) {
		return fmt.Errorf("gate has shape %v, up %v", gate, up)
	}
	return nil
}
