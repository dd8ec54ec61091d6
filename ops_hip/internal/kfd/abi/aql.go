package abi

import "unsafe"

// PacketSize is the size of an AQL packet in bytes.
const PacketSize = 64

// Types of packets, bits 0 to 7 of a header.
const (
	PacketVendor     = 0
	PacketInvalid    = 1
	PacketDispatch   = 2
	PacketBarrierAnd = 3
	PacketAgent      = 4
	PacketBarrierOr  = 5
)

// Scopes of fences.
const (
	ScopeNone   = 0
	ScopeAgent  = 1
	ScopeSystem = 2
)

// Header fields.
const (
	HeaderBarrier      uint16 = 1 << 8
	HeaderAcquireShift        = 9
	HeaderReleaseShift        = 11
	HeaderReserved     uint16 = 7 << 13
)

// Headers that are sent; the names of dispatches say where in a batch they stand.
const (
	HeaderInvalid        uint16 = 0x0001
	HeaderDispatchInner  uint16 = 0x0b02 // acquire agent, release agent
	HeaderDispatchFirst  uint16 = 0x0d02 // acquire system, release agent
	HeaderDispatchLast   uint16 = 0x1302 // acquire agent, release system
	HeaderDispatchSingle uint16 = 0x1502 // both system
	HeaderBarrierSystem  uint16 = 0x1503
	HeaderVendorSystem   uint16 = 0x1500
)

// Packet is an AQL packet as the ring holds it: little-endian dwords, the first of which is setup<<16 | header.
type Packet [16]uint32

// Header returns the header of p.
func (p *Packet) Header() uint16 { return uint16(p[0]) }

// SetHeader replaces the header of p.
func (p *Packet) SetHeader(h uint16) { p[0] = p[0]&^0xffff | uint32(h) }

// SetCompletion sets the signal that p decrements when it is done; all packets that are sent hold it at 56.
func (p *Packet) SetCompletion(signal uint64) { p[14], p[15] = uint32(signal), uint32(signal>>32) }

// Completion returns the signal that p decrements, or 0.
func (p *Packet) Completion() uint64 { return uint64(p[14]) | uint64(p[15])<<32 }

// Dispatch is hsa_kernel_dispatch_packet_t.
type Dispatch struct {
	Header, Setup          uint16
	GroupX, GroupY, GroupZ uint16 // threads of a block
	Reserved0              uint16
	GridX, GridY, GridZ    uint32 // threads in all
	PrivateSize, GroupSize uint32
	KernelObject, Kernarg  uint64
	Reserved1              uint64
	Completion             uint64
}

// Packet returns d as a packet.
func (d *Dispatch) Packet() Packet { return *(*Packet)(unsafe.Pointer(d)) }

// AsDispatch returns p as a dispatch.
func (p *Packet) AsDispatch() *Dispatch { return (*Dispatch)(unsafe.Pointer(p)) }

// SetupDims is the setup of a dispatch: always three dimensions.
const SetupDims = 3

// BarrierAnd is hsa_barrier_and_packet_t.
type BarrierAnd struct {
	Header     uint16
	Reserved0  uint16
	Reserved1  uint32
	Deps       [5]uint64 // signals that must be 0; 0 is none
	Reserved2  uint64
	Completion uint64
}

// Packet returns b as a packet.
func (b *BarrierAnd) Packet() Packet { return *(*Packet)(unsafe.Pointer(b)) }

// AsBarrier returns p as a barrier.
func (p *Packet) AsBarrier() *BarrierAnd { return (*BarrierAnd)(unsafe.Pointer(p)) }

// Offsets in amd_queue_t that others need.
const (
	QueueWriteOffset    = 0x38
	QueueReadOffset     = 0x80
	QueueInactiveOffset = 0xc0
)

// Values of amd_queue_t.
const (
	QueueTypeMulti         = 0
	QueueFeatureDispatch   = 1
	QueuePropertyPtr64     = 1 << 1
	QueuePropertyProfiling = 1 << 3
)

// Queue is the part of amd_queue_t (256 bytes) that firmware reads, and that software shares with it.
type Queue struct {
	Type, Features               uint32
	Base, DoorbellSignal         uint64
	Size, Reserved0              uint32 // packets
	ID                           uint64
	Caps, Reserved1              uint32
	Reserved2                    uint64
	WriteDispatchID              uint64 // 0x38
	GroupApertureHi              uint32
	PrivateApertureHi            uint32
	MaxCUID, MaxWaveID           uint32
	MaxLegacyDoorbell            uint64
	Lock                         uint32
	Reserved3                    [9]uint32
	ReadDispatchID               uint64 // 0x80
	ReadOffset                   uint32 // of ReadDispatchID in this struct
	TmpringSize                  uint32
	ScratchDescriptor            [4]uint32
	ScratchLocation, ScratchSize uint64
	ScratchWorkitem, Properties  uint32
	ScratchLastUsed              uint64
	InactiveSignal               uint64 // 0xc0
	Reserved4                    [14]uint32
}

// SignalSize is the size of a signal in bytes, and its alignment.
const SignalSize = 64

// SignalUser is the kind of a signal that a packet decrements.
const SignalUser = 1

// Signal is amd_signal_t.
type Signal struct {
	Kind       int64
	Value      int64
	Mailbox    uint64 // address of an event slot, or 0
	EventID    uint32
	Reserved0  uint32
	Start, End uint64 // timestamps
	QueuePtr   uint64
	Reserved1  [2]uint32
}

// Codes that firmware leaves in a queue's inactive signal.
const (
	InactiveScratch      = 0x1
	InactiveDim          = 0x2
	InactiveGroupMemory  = 0x4
	InactiveCode         = 0x8
	InactivePacket       = 0x20
	InactiveWorkgroup    = 0x40
	InactiveVGPRs        = 0x80
	InactivePacketVendor = 0x100
	InactiveScratchWave  = 0x401
	InactiveAperture     = 0x20000000
	InactiveIllegal      = 0x40000000
	InactiveTrap         = 0x80000000
)
