package limits

// Counts is what a piece of work executes.
type Counts struct {
	Bytes  float64 // that must cross the memory bus: every operand once
	Vector float64 // wave-instructions of the vector units: arithmetic, dot products, transcendental and matrix ones
	Trans  float64 // transcendental functions among them
	Scalar float64 // wave-instructions of the scalar unit, loads left out
	WMMA   float64 // matrix instructions of 16x16x16 f16 or bf16 products
}

// FromClasses returns counts from wave-instructions by class, named as those of opship.KernelStats, and bytes.
func FromClasses(by map[string]uint64, bytes float64) Counts {
	n := func(class string) float64 { return float64(by[class]) }
	return Counts{
		Bytes:  bytes,
		Vector: n("valu") + n("dot") + n("trans") + n("wmma"),
		Trans:  n("trans"),
		Scalar: n("salu"),
		WMMA:   n("wmma"),
	}
}

// Resource is what binds.
type Resource string

// The resources.
const (
	Memory Resource = "memory"
	Issue  Resource = "issue"
	Matrix Resource = "wmma"
)

// Bound is the time in seconds that each resource needs at least.
type Bound struct{ Memory, Issue, Matrix float64 }

// transClocks is the time that a wave of 32 lanes occupies the unit for transcendental functions: an assumption, that
// it has a quarter of the rate of other vector instructions.
const transClocks = 4

// mmaFlops is the work of a 16x16x16 matrix instruction.
const mmaFlops = 2 * 16 * 16 * 16

// On returns the bound of c on g. Work is taken as spread evenly over all SIMDs.
func (c Counts) On(g GPU) Bound {
	clocks := max(c.Vector, c.Scalar, transClocks*c.Trans)
	return Bound{
		Memory: c.Bytes / (g.GBps * 1e9),
		Issue:  clocks / g.simdClocks(),
		Matrix: c.WMMA * mmaFlops / g.Flops(),
	}
}

// Seconds returns the time that no execution can beat: that of the resource which binds.
func (b Bound) Seconds() float64 { return max(b.Memory, b.Issue, b.Matrix) }

// Binding returns the resource that needs the most time; memory before issue before WMMA where they are equal.
func (b Bound) Binding() Resource {
	switch b.Seconds() {
	case b.Memory:
		return Memory
	case b.Issue:
		return Issue
	}
	return Matrix
}
