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

	Source string // where the numbers come from
}

// simdsPerCU is the number of SIMDs of a compute unit of RDNA.
const simdsPerCU = 2

// GPUs are the GPUs that bounds are shown for, one of each generation of instructions.
var GPUs = []GPU{
	{"RX 7900 XTX", "gfx1100", 96, 2.5, 960, 24, 512, "press reports of the published specifications (units, boost clock, memory); GPUOpen, matrix cores of RDNA4 (rates)"},
	{"Strix Halo 8060S", "gfx1151", 40, 2.9, 256, 128, 512, "press reports of the published specifications of Ryzen AI Max+ 395 (units, boost clock, LPDDR5X-8000 on 256 bits); GPUOpen (rates as RDNA3)"},
	{"RX 9070 XT", "gfx1201", 64, 2.97, 640, 16, 1024, "press reports of the published specifications (units, boost clock, memory); GPUOpen, matrix cores of RDNA4 (rates)"},
}

// simdClocks returns the clocks that all SIMDs together offer per second.
func (g GPU) simdClocks() float64 { return float64(g.CUs*simdsPerCU) * g.GHz * 1e9 }

// cuClocks returns the clocks that all compute units together offer per second.
func (g GPU) cuClocks() float64 { return float64(g.CUs) * g.GHz * 1e9 }

// Flops returns the f16 matrix operations per second.
func (g GPU) Flops() float64 { return float64(g.CUs*g.MMAFlops) * g.GHz * 1e9 }
