package opship

import (
	"cmp"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/limits"
)

// MMA is a generation of matrix instructions; it decides which matrix kernels a target can run.
type MMA uint8

// The generations of matrix instructions.
const (
	MMANone   MMA = iota // none that the kernels use
	MMAGfx11             // RDNA3 and RDNA3.5: v_wmma on 16x16x16 tiles, A and B replicated in both half waves
	MMAGfx12             // RDNA4: v_wmma on 16x16x16 tiles, A and B split between the half waves
	MMANvidia            // sm_80 and later: mma.sync m16n8k16
)

// Target is what kernel selection and launch geometry may depend on.
type Target struct {
	Name string // instruction set that kernels are compiled for: "gfx1100", "sm_90"
	Wave int    // lanes of a wave: 32
	CUs  int    // compute units (streaming multiprocessors); 0 if not known
	LDS  int    // bytes of LDS that a block may declare

	// VGPRs is how many vector registers a SIMD has for each lane, which all waves on it share; 0 if not known.
	// Targets of one generation differ: a kernel that leaves room for eight waves on one may leave it for five on
	// another.
	VGPRs int

	MMA MMA

	choices []Choice // between kernels, the first before others

	// Invariant is set for graphs that demand it (see ops.Graph): neither the kernel of a node nor how it computes a
	// token's results may then depend on how many tokens, sequences and pages there are.
	Invariant bool
}

// waveLanes is the wave size of every target: RDNA kernels are compiled for wave32.
const waveLanes = 32

// maxLDS is the LDS of a block that every shipped target has. NVIDIA parts have more, which is not used, so that
// a kernel that runs there also compiles for RDNA.
const maxLDS = 64 << 10

// computeUnits returns t.CUs, or a usual number where the device does not say.
func (t *Target) computeUnits() int { return cmp.Or(t.CUs, assumedCUs) }

// units are what blocks run on: compute units, or pairs of them where two share what a block needs.
func (t *Target) units() int {
	if t.MMA == MMANvidia {
		return t.CUs
	}
	return t.CUs / 2
}

// stepTokens returns how many tokens of a prompt at a time keep a device busy: a power of two, from 512 on, of which
// the product with a matrix of 4,096 rows, a small one of a large model, has two blocks for each unit that runs some.
func (t *Target) stepTokens() int {
	tokens := 512
	for cover(tokens, matrixTile)*cover(4096, matrixTile) < 2*t.units() {
		tokens *= 2
	}
	return tokens
}

// NewTarget returns the properties that follow from a target's name, for a device with cus compute units.
func NewTarget(name string, cus int) *Target {
	t := &Target{Name: name, Wave: waveLanes, CUs: cus, LDS: maxLDS, choices: builtin}
	t.VGPRs, _ = limits.VGPRs(name)
	switch {
	case strings.HasPrefix(name, "gfx11"):
		t.MMA = MMAGfx11
	case strings.HasPrefix(name, "gfx12"):
		t.MMA = MMAGfx12
	case strings.HasPrefix(name, "sm_"):
		t.MMA = MMANvidia
	}
	return t
}
