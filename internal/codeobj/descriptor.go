package codeobj

import "encoding/binary"

// Function is a kernel of an [Object]: what its metadata says, its descriptor and its code.
type Function struct {
	Kernel
	DescriptorAddr uint64
	Descriptor     Descriptor
	Entry, CodeEnd uint64 // byte range of the code
}

// Descriptor is the 64-byte kernel descriptor that hardware setup is made from.
type Descriptor struct {
	LDS, Private, KernargSize uint32
	EntryOffset               int64 // from the descriptor's own address
	Rsrc1, Rsrc2, Rsrc3       uint32
	Properties                uint16
	KernargPreload            uint16
}

func parseDescriptor(b []byte) Descriptor {
	le := binary.LittleEndian
	return Descriptor{LDS: le.Uint32(b), Private: le.Uint32(b[4:]), KernargSize: le.Uint32(b[8:]),
		EntryOffset: int64(le.Uint64(b[16:])), Rsrc3: le.Uint32(b[44:]), Rsrc1: le.Uint32(b[48:]),
		Rsrc2:      le.Uint32(b[52:]),
		Properties: le.Uint16(b[56:]), KernargPreload: le.Uint16(b[58:])}
}

// Property bits of Descriptor.Properties.
const (
	PropPrivateSegmentBuffer = 1 << 0
	PropDispatchPtr          = 1 << 1
	PropQueuePtr             = 1 << 2
	PropKernargPtr           = 1 << 3
	PropDispatchID           = 1 << 4
	PropFlatScratchInit      = 1 << 5
	PropPrivateSegmentSize   = 1 << 6
	PropWave32               = 1 << 10
)

// UserSGPRs returns the number of scalar registers that are set before the
// workgroup ids.
func (d Descriptor) UserSGPRs() int { return int(d.Rsrc2 >> 1 & 31) }

// FloatMode returns the initial MODE bits: rounding of f32 in bits 0-1 and of
// f16 and f64 in bits 2-3, denormals of f32 in bits 4-5 and of f16 and f64 in
// bits 6-7.
func (d Descriptor) FloatMode() uint8 { return uint8(d.Rsrc1 >> 12) }

// DX10Clamp reports whether clamping turns NaN into 0. GFX12 has no such bit
// and always does.
func (d Descriptor) DX10Clamp() bool { return d.Rsrc1>>21&1 != 0 }

// IEEE reports whether minimum and maximum quieten signalling NaNs.
func (d Descriptor) IEEE() bool { return d.Rsrc1>>23&1 != 0 }

// WorkgroupID reports whether the workgroup id of an axis (0 x, 1 y, 2 z) is
// passed in a scalar register on GFX11.
func (d Descriptor) WorkgroupID(axis int) bool { return d.Rsrc2>>(7+axis)&1 != 0 }

// WorkitemIDs returns how many components of the work-item id are set: 0 for x,
// 1 for x and y, 2 for all.
func (d Descriptor) WorkitemIDs() int { return int(d.Rsrc2 >> 11 & 3) }
