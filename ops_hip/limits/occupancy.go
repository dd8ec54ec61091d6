package limits

// Block is what a block of a kernel occupies while it runs.
type Block struct {
	Threads int
	VGPRs   int // vector registers of a lane
	LDS     int // bytes
}

// Sizes of a workgroup processor, two compute units that share LDS, on all targets.
const (
	lanes       = 32
	simds       = 2 * simdsPerCU
	simdWaves   = 16        // that a SIMD holds at most
	ldsOfWGP    = 128 << 10 // bytes
	ldsGranule  = 1 << 10   // that LDS is allocated in
	blocksOfWGP = 32        // with more than one wave
)

// VGPRs returns the vector registers that a SIMD of a target has for each lane, and the granule that a wave gets them
// in, as compilers have them; zeros for a target that is not RDNA3 or RDNA4.
func VGPRs(target string) (file, granule int) {
	switch target {
	case "gfx1100", "gfx1101", "gfx1151", "gfx1200", "gfx1201":
		return 1536, 24
	case "gfx1102", "gfx1103", "gfx1150":
		return 1024, 16
	}
	return 0, 0
}

// SIMDWaves returns how many waves of b a SIMD of a target runs at once if there are enough: what registers, LDS and
// the hardware's own limit leave, spread over the SIMDs of a workgroup processor. It is 0 if no block fits.
func (b Block) SIMDWaves(target string) float64 { return float64(b.wgpWaves(target)) / simds }

// wgpWaves returns the waves of whole blocks on a workgroup processor.
func (b Block) wgpWaves(target string) int {
	file, granule := VGPRs(target)
	if file == 0 || b.Threads < 1 {
		return 0
	}
	waves := (b.Threads + lanes - 1) / lanes
	registers := max(1, (b.VGPRs+granule-1)/granule) * granule
	blocks := simds * min(simdWaves, file/registers) / waves
	if waves > 1 {
		blocks = min(blocks, blocksOfWGP)
	}
	if b.LDS > 0 {
		blocks = min(blocks, ldsOfWGP/((b.LDS+ldsGranule-1)/ldsGranule*ldsGranule))
	}
	return blocks * waves
}

// Resident returns how many waves of blocks like b the GPU runs at once, if there are enough.
func (g GPU) Resident(b Block) int { return b.wgpWaves(g.Target) * (g.CUs / 2) }
