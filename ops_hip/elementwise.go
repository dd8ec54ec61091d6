package opship

import "github.com/hipengine/hipengine/ops"

// registerElementwise registers kernel <name>_f32 for an op of `inputs` activations of one shape; params adds its
// constants after the number of elements, nil for none.
func registerElementwise(op *ops.Def, params func(Args, any) Args) {
	name := op.Name + "_f32"
	Register(Kernel{
		Name:  name,
		Op:    op,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(fits(n.In[0].Shape().Elems()), matchPlain) },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			elems := n.In[0].Shape().Elems()
			var a Args
			for _, v := range n.In {
				a = a.Ptr(v)
			}
			a = a.Ptr(n.Result(0)).U32(uint32(elems))
			if params != nil {
				a = params(a, n.Attrs)
			}
			return one(Launch{Object: op.Name, Symbol: name, Grid: [3]uint32{Blocks(elems, 256)},
				Block: [3]uint32{256}, Args: a})
		},
	})
}

// registerBroadcast registers kernel <name>_f32 for an op whose second operand repeats over leading dimensions of
// the first.
func registerBroadcast(op *ops.Def) {
	name := op.Name + "_f32"
	Register(Kernel{
		Name: name,
		Op:   op,
		Match: func(n *ops.Node, _ *Target) int {
			x, cols := n.In[0].Shape().Elems(), n.In[1].Shape().Elems()
			return matchIf(fits(x/cols) && cover(cols, 256) <= maxGridYZ, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			x, cols := n.In[0].Shape().Elems(), n.In[1].Shape().Elems()
			return one(Launch{Object: op.Name, Symbol: name, Grid: [3]uint32{uint32(x / cols), Blocks(cols, 256)},
				Block: [3]uint32{256},
				Args:  Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)).U32(uint32(cols))})
		},
	})
}
