package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

// Kernel is one implementation of an op. An op may have several; for each node the one that a [Choice] names is used,
// else that whose Match is highest, and among equals the one registered first.
type Kernel struct {
	Name string // shown in reports; unique
	Op   *ops.Def

	// Match says how well the kernel suits n: below 0 not at all, else the higher the better. It is a pure function of
	// op, types, attributes, layouts of weights and target. It sees nodes of a graph that is still being lowered, so
	// it must not look beyond the types and layouts of n's inputs.
	Match func(n *ops.Node, t *Target) int

	// packs returns what the kernel reads of n's inputs in other forms; nil for none. Nodes that it is called with
	// are as Match sees them; Launch sees the packs behind their inputs, in the same order.
	packs func(n *ops.Node, t *Target) []pack

	// alsoReads reports whether the kernel reads input i of n as it is, although it wants a pack of it; nil: it does
	// not.
	alsoReads func(n *ops.Node, i int) bool

	// emits reports whether the kernel can write result r of n in form f too; nil: it cannot. The pack is then the
	// last result of the node that Launch sees.
	emits func(n *ops.Node, r int, f packForm) bool

	// spares reports whether the kernel need not write result r of n, where nothing reads it but in the form that the
	// kernel emits: the address of r is then null. nil: it writes all.
	spares func(n *ops.Node, r int) bool

	// Launch returns what runs for n, in order. It is called once, when a plan is compiled, on nodes that Match
	// accepted; the result must be a function of the same things as Match's.
	Launch func(n *ops.Node, t *Target) ([]Launch, error)
}

// Launch is one kernel launch with everything but addresses decided.
type Launch struct {
	// code object that holds the kernel, of any owner: the name of its source without ".hip", "rms_norm"
	Object string
	Symbol string    // entry point: "rms_norm_f32"
	Grid   [3]uint32 // blocks in x, y, z; zeros count as 1
	Block  [3]uint32 // threads in x, y, z; zeros count as 1; must be what the kernel was compiled for
	Args   Args

	// Scratch is the device memory that the launch needs, in bytes, addressed by Args.ScratchPtr. All launches
	// of one node see the same memory, sized for the largest of them, so that one can leave partial results for
	// the next; between nodes its contents are lost. It is not zeroed.
	Scratch int64

	// Counters is the number of 32-bit words that the launch counts its blocks in, addressed by Args.CounterPtr. They
	// are 0 when it starts, and must be again when it ends: all launches of a plan have the same.
	Counters int
}

// registry holds the kernels of each op in the order of registration.
type registry map[*ops.Def][]Kernel

// kernels is what launcher files register.
var kernels = registry{}

// Register adds a kernel; launcher files call it from init, those of other modules too. It panics on an incomplete
// kernel or a second one of the same name. A kernel whose code object exists for some targets only must say so in
// Match.
func Register(k Kernel) { kernels.add(k) }

func (r registry) add(k Kernel) {
	if k.Name == "" || k.Op == nil || k.Match == nil || k.Launch == nil {
		panic(fmt.Sprintf("opship: incomplete kernel %q", k.Name))
	}
	for _, ks := range r {
		for _, o := range ks {
			if o.Name == k.Name {
				panic("opship: duplicate kernel " + k.Name)
			}
		}
	}
	r[k.Op] = append(r[k.Op], k)
}

// find returns the best kernel for n, or false.
func (r registry) find(n *ops.Node, t *Target) (Kernel, bool) {
	if k, ok := r.chosen(n, t); ok {
		return k, true
	}
	best, score := Kernel{}, -1
	for _, k := range r[n.Op] {
		if s := k.Match(n, t); s > score {
			best, score = k, s
		}
	}
	return best, score >= 0
}

// Blocks returns how many blocks of the given size cover n items: ⌈n/size⌉.
func Blocks(n, size int) uint32 { return uint32((n + size - 1) / size) }
