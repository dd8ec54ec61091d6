package limits

// Counts is what a piece of work executes.
type Counts struct {
	Bytes float64 // that must cross the memory bus: every byte once as a load and once as a store

	// Wave-instructions.
	Vector   float64 // of the vector units at full rate: arithmetic and dot products
	Multiply float64 // products of integers of 32 bits
	Double   float64 // arithmetic of doubles
	Trans    float64 // transcendental functions
	WMMA     float64 // matrix instructions of 16x16x16 f16 or bf16 products
	Scalar   float64 // of the scalar unit
	SMem     float64 // scalar loads
	Branch   float64 // branches, barriers and ends
	VMem     float64 // loads from and stores to global memory
	LDS      float64 // that use LDS, permutes included

	Loaded             float64 // bytes that lanes load from global memory, whoever holds them
	LDSLoad, LDSStored float64 // bytes that lanes load from LDS and store there

	// Links of the chains of loads from global memory that wait for each other, of all waves and of the longest.
	// Fresh ones load a line that nothing in the work has loaded before.
	Trips, Fresh, LongestTrips, LongestFresh float64
}

// FromClasses returns counts from wave-instructions by class, named as those of opship.KernelStats. The rest is left
// to the caller.
func FromClasses(by map[string]uint64) Counts {
	n := func(class string) float64 { return float64(by[class]) }
	return Counts{
		Vector: n("valu") + n("dot"), Multiply: n("mul"), Double: n("f64"), Trans: n("trans"), WMMA: n("wmma"),
		Scalar: n("salu"), SMem: n("smem"), Branch: n("branch"), VMem: n("vmem"), LDS: n("lds"),
	}
}

// Times returns the counts of f times the work, as more waves that do the same.
func (c Counts) Times(f float64) Counts {
	for _, p := range []*float64{&c.Bytes, &c.Vector, &c.Multiply, &c.Double, &c.Trans, &c.WMMA, &c.Scalar, &c.SMem,
		&c.Branch,
		&c.VMem, &c.LDS, &c.Loaded, &c.LDSLoad, &c.LDSStored, &c.Trips, &c.Fresh} {
		*p *= f
	}
	return c
}

// Resource is what binds.
type Resource string

// The resources.
const (
	Memory  Resource = "memory"
	Issue   Resource = "issue"
	L0      Resource = "l0"
	LDS     Resource = "lds"
	Latency Resource = "latency"
)

// Bound is the time in seconds that each resource needs at least.
type Bound struct{ Memory, Issue, L0, LDS, Latency float64 }

// Clocks that a wave of 32 lanes occupies the unit for.
const (
	// transcendental functions have a quarter of the rate of other vector instructions: an assumption
	transClocks    = 4
	multiplyClocks = 4 // and so have products of integers of 32 bits
)

// mmaFlops is the work of a 16x16x16 matrix instruction.
const mmaFlops = 2 * 16 * 16 * 16

// l0Bytes is what the vector cache of a compute unit, which its two SIMDs share, gives in a clock: a line.
const l0Bytes = 128

// ldsBytes is what the LDS of a compute unit, half of a workgroup processor's, loads in a clock, and what it stores in
// a clock at the same time: 32 banks of dwords with a port for each. Source: AMD, RDNA3 instruction set architecture,
// section 12.1; that RDNA4 has the same is an assumption, and so is that lanes which load one dword still get a copy
// each.
const ldsBytes = 32 * 4

// MatrixShare returns the part of the clocks of the vector units that matrix instructions take, if both share them.
func (c Counts) MatrixShare(g GPU) float64 {
	if c.WMMA == 0 {
		return 0
	}
	return g.mmaClocks() * c.WMMA / (g.mmaClocks()*c.WMMA + c.vectorClocks(g))
}

// vectorClocks returns the clocks of vector units, matrix instructions left out.
func (c Counts) vectorClocks(g GPU) float64 {
	return c.Vector + multiplyClocks*c.Multiply + g.DoubleClocks*c.Double + c.Trans
}

// On returns the bound of c on g while resident waves run at once, as [GPU.Resident] has them. Work is taken as
// spread evenly over all SIMDs. Matrix instructions and others share the vector units of a SIMD where g says so or
// apart is false, and overlap wholly otherwise.
func (c Counts) On(g GPU, resident int, apart bool) Bound {
	vector, matrix := c.vectorClocks(g), g.mmaClocks()*c.WMMA
	if g.MMAShares || !apart {
		vector += matrix
	}
	clocks := max(vector, matrix, transClocks*c.Trans, c.Scalar, c.SMem, c.Branch, c.VMem)
	return Bound{
		Memory:  c.Bytes / (g.GBps * 1e9),
		Issue:   clocks / g.simdClocks(),
		L0:      c.Loaded / l0Bytes / g.cuClocks(),
		LDS:     max(c.LDS/simdsPerCU, c.LDSLoad/ldsBytes, c.LDSStored/ldsBytes) / g.cuClocks(),
		Latency: max(g.latency(c.LongestTrips, c.LongestFresh), g.latency(c.Trips, c.Fresh)/float64(max(1, resident))),
	}
}

// latency returns the time of a chain of loads.
func (g GPU) latency(trips, fresh float64) float64 {
	return 1e-9 * (g.MissNs*fresh + g.HitNs*max(0, trips-fresh))
}

// Seconds returns the time that no execution can beat: that of the resource which binds.
func (b Bound) Seconds() float64 { return max(b.Memory, b.Issue, b.L0, b.LDS, b.Latency) }

// Achievable is Seconds with memory at the rate that g has been seen to reach.
func (b Bound) Achievable(g GPU) float64 {
	b.Memory /= g.Efficiency
	return b.Seconds()
}

// Binding returns the resource that needs the most time; memory before issue before L0 before LDS before latency
// where they are equal.
func (b Bound) Binding() Resource {
	switch b.Seconds() {
	case b.Memory:
		return Memory
	case b.Issue:
		return Issue
	case b.L0:
		return L0
	case b.LDS:
		return LDS
	}
	return Latency
}
