package abi

// Fields of PM4 packets.
const (
	PM4NOP            = 0x10
	PM4IndirectBuffer = 0x3f
	PM4EventWrite     = 0x46
	PM4AcquireMem     = 0x58
)

// Bits of the cache control of ACQUIRE_MEM on gfx11 and gfx12.
const (
	GCRInvInstruction uint32 = 1 << 0 // GLI_INV, all
	GCRWriteMeta      uint32 = 1 << 4
	GCRInvMeta        uint32 = 1 << 5
	GCRWriteScalar    uint32 = 1 << 6
	GCRInvScalar      uint32 = 1 << 7
	GCRInvVector      uint32 = 1 << 8
	GCRInvL1          uint32 = 1 << 9
	GCRInvL2          uint32 = 1 << 14
	GCRWriteL2        uint32 = 1 << 15

	// GCRCode is what must be invalidated before code runs that was just written.
	GCRCode = GCRInvInstruction | GCRInvScalar | GCRInvVector | GCRInvL1 | GCRInvL2
)

// Type3 returns the header of a PM4 packet with a body of n dwords.
func Type3(opcode, n uint32) uint32 { return 3<<30 | (n-1)<<16 | opcode<<8 }

// AcquireMemDwords is the length of ACQUIRE_MEM.
const AcquireMemDwords = 8

// AcquireMem returns ACQUIRE_MEM over all addresses.
func AcquireMem(gcr uint32) [AcquireMemDwords]uint32 {
	return [AcquireMemDwords]uint32{Type3(PM4AcquireMem, 7), 0, 0xffffffff, 0x00ffffff, 0, 0, 0xa, gcr}
}

// Values of the vendor packet that runs PM4.
const (
	VendorPM4         = 1       // format
	VendorRemaining   = 0xa     // the dword behind INDIRECT_BUFFER
	IndirectBufferBit = 1 << 23 // valid
	MaxIndirectDwords = 0xfffff
)

// Indirect returns the vendor packet that executes dwords of PM4 at addr, which must be mapped, executable and left
// alone until it has completed.
func Indirect(addr uint64, dwords uint32, completion uint64) Packet {
	p := Packet{VendorPM4<<16 | uint32(HeaderVendorSystem), Type3(PM4IndirectBuffer, 3), uint32(addr) &^ 3,
		uint32(addr>>32) & 0xffff, dwords | IndirectBufferBit, VendorRemaining}
	p.SetCompletion(completion)
	return p
}
