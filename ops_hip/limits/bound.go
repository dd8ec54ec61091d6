package limits

// Counts is what a piece of work executes.
type Counts struct {
	Bytes  float64 // that must cross the memory bus: every byte once as a load and once as a store
	Vector float64 // wave-instructions of the vector units: arithmetic, dot products, transcendental and matrix ones
	Trans  float64 // transcendental functions among them
	Scalar float64 // wave-instructions of the scalar unit, loads left out
	VMem   float64 // wave-instructions that load from or store to global memory
	WMMA   float64 // matrix instructions of 16x16x16 f16 or bf16 products

	LDS                float64 // wave-instructions that use LDS, permutes included
	LDSLoad, LDSStored float64 // bytes that lanes load from LDS and store there
}

// FromClasses returns counts from wave-instructions by class, named as those of opship.KernelStats. Bytes are left to
// the caller.
func FromClasses(by map[string]uint64) Counts {
	n := func(class string) float64 { return float64(by[class]) }
	return Counts{
		Vector: n("valu") + n("dot") + n("trans") + n("wmma"),
		Trans:  n("trans"),
		Scalar: n("salu"),
		VMem:   n("vmem"),
		WMMA:   n("wmma"),
		LDS:    n("lds"),
	}
}

// Times returns the counts of f times the work.
func (c Counts) Times(f float64) Counts {
	return Counts{f * c.Bytes, f * c.Vector, f * c.Trans, f * c.Scalar, f * c.VMem, f * c.WMMA, f * c.LDS, f * c.LDSLoad, f * c.LDSStored}
}

// Resource is what binds.
type Resource string

// The resources.
const (
	Memory Resource = "memory"
	Issue  Resource = "issue"
	Matrix Resource = "wmma"
	LDS    Resource = "lds"
)

// Bound is the time in seconds that each resource needs at least.
type Bound struct{ Memory, Issue, Matrix, LDS float64 }

// transClocks is the time that a wave of 32 lanes occupies the unit for transcendental functions: an assumption, that
// it has a quarter of the rate of other vector instructions.
const transClocks = 4

// mmaFlops is the work of a 16x16x16 matrix instruction.
const mmaFlops = 2 * 16 * 16 * 16

// ldsBytes is what the LDS of a compute unit, half of a workgroup processor's, loads in a clock, and what it stores in
// a clock at the same time: 32 banks of dwords with a port for each. Source: AMD, RDNA3 instruction set architecture,
// section 12.1; that RDNA4 has the same is an assumption, and so is that lanes which load one dword still get a copy
// each.
const ldsBytes = 32 * 4

// On returns the bound of c on g. Work is taken as spread evenly over all SIMDs.
func (c Counts) On(g GPU) Bound {
	clocks := max(c.Vector, c.Scalar, c.VMem, transClocks*c.Trans)
	return Bound{
		Memory: c.Bytes / (g.GBps * 1e9),
		Issue:  clocks / g.simdClocks(),
		Matrix: c.WMMA * mmaFlops / g.Flops(),
		LDS:    max(c.LDS/simdsPerCU, c.LDSLoad/ldsBytes, c.LDSStored/ldsBytes) / g.cuClocks(),
	}
}

// Seconds returns the time that no execution can beat: that of the resource which binds.
func (b Bound) Seconds() float64 { return max(b.Memory, b.Issue, b.Matrix, b.LDS) }

// Binding returns the resource that needs the most time; memory before issue before WMMA before LDS where they are
// equal.
func (b Bound) Binding() Resource {
	switch b.Seconds() {
	case b.Memory:
		return Memory
	case b.Issue:
		return Issue
	case b.Matrix:
		return Matrix
	}
	return LDS
}
