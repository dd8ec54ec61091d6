package abi

// CWSRHeader begins the area into which the kernel saves the waves of a queue. The first four fields are the
// firmware's.
type CWSRHeader struct {
	CtlStackOffset, CtlStackSize   uint32
	WaveStateOffset, WaveStateSize uint32
	DebugOffset, DebugSize         uint32
	ErrPayload                     uint64 // address of a word for error bits
	ErrEventID                     uint32
	Reserved                       uint32
}

// CWSRHeaderSize is the size of CWSRHeader in bytes.
const CWSRHeaderSize = 40

// CWSR are sizes around context save and restore, in bytes.
type CWSR struct {
	Ctl    uint32 // ctl_stack_size of CREATE_QUEUE
	Save   uint32 // ctx_save_restore_size of CREATE_QUEUE
	Debug  uint32 // what the kernel demands behind that
	Buffer uint64 // the buffer's exact size
}

// Bytes of vector registers of a compute unit; which a GPU has is in VGPRBytes.
const (
	VGPRBytesSmall uint32 = 0x40000
	VGPRBytesLarge uint32 = 0x60000
)

// VGPRBytes returns the bytes of vector registers that kernels take for each compute unit of a GPU, named by its
// gfx_target_version. Kernels before the mend for gfx1151 take VGPRBytesSmall there.
func VGPRBytes(version uint32) uint32 {
	switch version {
	case 110000, 110001, 110501, 120000, 120001:
		return VGPRBytesLarge
	}
	return VGPRBytesSmall
}

// CWSRSizes returns the sizes for a GPU of cus compute units, as kfd_queue_ctx_save_restore_size computes them.
func CWSRSizes(cus, vgprBytes uint32) CWSR {
	const sgpr, lds, hwreg = 0x4000, 0x10000, 0x1000
	waves := 32 * cus
	var s CWSR
	s.Ctl = align(CWSRHeaderSize+12*waves+8, PageSize)
	s.Save = s.Ctl + align(cus*(vgprBytes+sgpr+lds+hwreg), PageSize)
	s.Debug = align(32*waves, 64)
	s.Buffer = CWSRBuffer(s.Save, s.Debug)
	return s
}

// CWSRBuffer returns the exact size of the buffer for a save area of save bytes and debug bytes behind it.
func CWSRBuffer(save, debug uint32) uint64 {
	return (uint64(save) + uint64(debug) + PageSize - 1) &^ (PageSize - 1)
}

func align(n, to uint32) uint32 { return (n + to - 1) / to * to }
