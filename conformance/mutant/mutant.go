package mutant

import (
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// Mutant is a device with one defect.
type Mutant struct {
	Name   string
	Models string // the mistake that it stands for
	Caught string // prefix of the checks that must fail; all others of that layer must pass

	defect defect
}

// defect says how to break the reference. At most one of its parts is set.
type defect struct {
	node     func(n *ops.Node) ops.Value
	weight   func(f tensor.Format, b []byte)
	order    func([]*ops.Node) []*ops.Node
	override map[*ops.Def]opsref.Kernel[float32]
}

// New returns the mutant's device. The caller closes it.
func (m Mutant) New() ops.Device {
	ref := opsref.New(opsref.Options{Name: "mutant:" + m.Name, Override: m.defect.override})
	return &rewriter{Device: ref, node: m.defect.node, weight: m.defect.weight, order: m.defect.order}
}

// All returns the mutants.
func All() []Mutant {
	return []Mutant{
		{Name: "rope_interleaved", Models: "interleaved pairs where the model wants NeoX", Caught: "Ops/rope/", defect: attrs(func(a ops.RoPEAttrs) ops.RoPEAttrs {
			a.Pairing = ops.Interleaved
			return a
		})},
		{Name: "rms_norm_no_eps", Models: "eps left out of the norm", Caught: "Ops/rms_norm/", defect: onOp(ops.RMSNormOp, func(n *ops.Node) ops.Value {
			n.Attrs = ops.NormAttrs{}
			return ops.Value{}
		})},
		{Name: "mul_mat_f16_sum", Models: "products summed in binary16", Caught: "Ops/mul_mat/", defect: kernel(ops.MulMatOp, mulMatHalf)},
	}
}

// attrs edits the attributes of the op that has attributes of type A.
func attrs[A any](edit func(A) A) defect {
	return defect{node: func(n *ops.Node) ops.Value {
		if a, ok := n.Attrs.(A); ok {
			n.Attrs = edit(a)
		}
		return ops.Value{}
	}}
}

// onOp edits the nodes of one op.
func onOp(d *ops.Def, edit func(n *ops.Node) ops.Value) defect {
	return defect{node: func(n *ops.Node) ops.Value {
		if n.Op != d {
			return ops.Value{}
		}
		return edit(n)
	}}
}

// kernel replaces the kernel of one op.
func kernel(d *ops.Def, k opsref.Kernel[float32]) defect {
	return defect{override: map[*ops.Def]opsref.Kernel[float32]{d: k}}
}
