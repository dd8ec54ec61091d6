package limits

// Label marks every line that shows a bound.
const Label = "model, not a measurement"

// GPU is the line of a data sheet that bounds need.
type GPU struct {
	Name   string
	Target string  // instruction set that its kernels are compiled for
	CUs    int     // compute units, of two SIMDs each
	GHz    float64 // clock at which the vendor states the rates below
	GBps   float64 // nominal rate of the memory, in 10^9 bytes per second
	GiB    float64 // memory that a model can fill at most, in 2^30 bytes

	// MMAFlops is what a compute unit's matrix units do per clock on f16 and bf16 operands, a multiply-add being two.
	MMAFlops int

	// MMAShares says that matrix instructions occupy the vector units: RDNA3 states the rate of its dot products for
	// them. Whether RDNA4 overlaps them with others is not documented.
	MMAShares bool

	DoubleClocks float64 // that a wave's arithmetic of doubles occupies a vector unit for

	Efficiency  float64 // part of GBps that large reads have been seen to reach
	LaunchMicro float64 // microseconds from one dependent launch of a graph to the next, beside its work

	// MissNs and HitNs are what a load takes to come back from memory under load, and from a cache: assumptions,
	// rounded from published latencies of idle RDNA3 cards (L0 about 50, Infinity Cache 150, memory 250 to 300).
	MissNs, HitNs float64

	Source string // where the numbers come from

	Card bool // of which a board can have two
}

// simdsPerCU is the number of SIMDs of a compute unit of RDNA.
const simdsPerCU = 2

// GPUs are the GPUs that bounds are shown for, one of each generation of instructions.
var GPUs = []GPU{
	{"RX 7900 XTX", "gfx1100", 96, 2.5, 960, 24, 512, true, 16, 0.85, 3.0, 600, 50,
		"press reports of the published specifications (units, boost clock, memory, rate of doubles); GPUOpen, matrix cores of RDNA4 (rates); reports of users (efficiency, launches); assumptions (latency)", true},
	{"Strix Halo 8060S", "gfx1151", 40, 2.9, 256, 128, 512, true, 16, 0.83, 1.9, 600, 50,
		"press reports of the published specifications of Ryzen AI Max+ 395 (units, boost clock, LPDDR5X-8000 on 256 bits); GPUOpen (rates as RDNA3); reports of users (efficiency, launches); assumptions (latency)", false},
	{"RX 9070 XT", "gfx1201", 64, 2.97, 640, 16, 1024, false, 32, 0.90, 3.0, 600, 50,
		"press reports of the published specifications (units, boost clock, memory, rate of doubles); GPUOpen, matrix cores of RDNA4 (rates); reports of users (efficiency); assumptions (latency, launches as RDNA3)", true},
}

// simdClocks returns the clocks that all SIMDs together offer per second.
func (g GPU) simdClocks() float64 { return float64(g.CUs*simdsPerCU) * g.GHz * 1e9 }

// cuClocks returns the clocks that all compute units together offer per second.
func (g GPU) cuClocks() float64 { return float64(g.CUs) * g.GHz * 1e9 }

// mmaClocks returns the clocks that a matrix instruction occupies a SIMD for.
func (g GPU) mmaClocks() float64 { return mmaFlops * simdsPerCU / float64(g.MMAFlops) }

// Flops returns the f16 matrix operations per second.
func (g GPU) Flops() float64 { return float64(g.CUs*g.MMAFlops) * g.GHz * 1e9 }
