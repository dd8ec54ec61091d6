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

// defect says how to break the reference. The zero value breaks nothing.
type defect struct {
	// node may edit n, a copy whose inputs are rewritten already, or return a value that takes the place of all its
	// uses.
	node func(n *ops.Node) ops.Value

	// weight edits a copy of the bytes of a weight.
	weight func(f tensor.Format, b []byte)

	// order rearranges the nodes of the rewritten graph.
	order func([]*ops.Node) []*ops.Node

	// after runs behind each run of a plan with these states.
	after func(s ops.Stream, states []tensor.Tensor) error

	// copied and cleared return how many of n bytes a copy copies, and Zero clears.
	copied, cleared func(n int) int

	// late downloads are read when the stream is synchronized, not in their turn.
	late bool

	// override replaces kernels of the reference.
	override map[*ops.Def]opsref.Kernel[float32]
}

// New returns the mutant's device. The caller closes it.
func (m Mutant) New() ops.Device {
	ref := opsref.New(opsref.Options{Name: "mutant:" + m.Name, Threads: 1, Override: m.defect.override})
	return &rewriter{Device: ref, defect: m.defect}
}
