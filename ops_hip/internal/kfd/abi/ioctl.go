package abi

// Ioctl numbers of /dev/kfd: direction<<30 | size<<16 | 'K'<<8 | number.
const (
	IocGetVersion       uint32 = 0x80084b01
	IocCreateQueue      uint32 = 0xc0604b02
	IocDestroyQueue     uint32 = 0xc0084b03
	IocSetMemoryPolicy  uint32 = 0x40204b04
	IocGetClockCounters uint32 = 0xc0284b05
	IocUpdateQueue      uint32 = 0x40184b07
	IocCreateEvent      uint32 = 0xc0204b08
	IocDestroyEvent     uint32 = 0x40084b09
	IocSetEvent         uint32 = 0x40084b0a
	IocResetEvent       uint32 = 0x40084b0b
	IocWaitEvents       uint32 = 0xc0184b0c
	IocSetScratchVA     uint32 = 0xc0104b11
	IocSetTrapHandler   uint32 = 0x40184b13
	IocGetApertures     uint32 = 0xc0104b14 // GET_PROCESS_APERTURES_NEW
	IocAcquireVM        uint32 = 0x40084b15
	IocAlloc            uint32 = 0xc0284b16 // ALLOC_MEMORY_OF_GPU
	IocFree             uint32 = 0x40084b17 // FREE_MEMORY_OF_GPU
	IocMap              uint32 = 0xc0184b18 // MAP_MEMORY_TO_GPU
	IocUnmap            uint32 = 0xc0184b19 // UNMAP_MEMORY_FROM_GPU
	IocSetCUMask        uint32 = 0x40104b1a
	IocGetDmabufInfo    uint32 = 0xc0204b1c
	IocImportDmabuf     uint32 = 0xc0184b1d
	IocSMIEvents        uint32 = 0xc0084b1f
	IocSetXNACK         uint32 = 0xc0044b21
	IocAvailableMemory  uint32 = 0xc0104b23
	IocExportDmabuf     uint32 = 0xc0104b24
	IocRuntimeEnable    uint32 = 0xc0104b25
	IocDbgTrap          uint32 = 0xc0204b26
	IocCreateProcess    uint32 = 0x00004b27
	IocProfiler         uint32 = 0xc0104b28
	IocDRMInfo          uint32 = 0x40206445 // DRM_IOCTL_AMDGPU_INFO, on a render node
)

// ioctlNames are the kernel's names, for messages.
var ioctlNames = map[uint32]string{
	IocGetVersion:       "AMDKFD_IOC_GET_VERSION",
	IocCreateQueue:      "AMDKFD_IOC_CREATE_QUEUE",
	IocDestroyQueue:     "AMDKFD_IOC_DESTROY_QUEUE",
	IocSetMemoryPolicy:  "AMDKFD_IOC_SET_MEMORY_POLICY",
	IocGetClockCounters: "AMDKFD_IOC_GET_CLOCK_COUNTERS",
	IocUpdateQueue:      "AMDKFD_IOC_UPDATE_QUEUE",
	IocCreateEvent:      "AMDKFD_IOC_CREATE_EVENT",
	IocDestroyEvent:     "AMDKFD_IOC_DESTROY_EVENT",
	IocSetEvent:         "AMDKFD_IOC_SET_EVENT",
	IocResetEvent:       "AMDKFD_IOC_RESET_EVENT",
	IocWaitEvents:       "AMDKFD_IOC_WAIT_EVENTS",
	IocSetScratchVA:     "AMDKFD_IOC_SET_SCRATCH_BACKING_VA",
	IocSetTrapHandler:   "AMDKFD_IOC_SET_TRAP_HANDLER",
	IocGetApertures:     "AMDKFD_IOC_GET_PROCESS_APERTURES_NEW",
	IocAcquireVM:        "AMDKFD_IOC_ACQUIRE_VM",
	IocAlloc:            "AMDKFD_IOC_ALLOC_MEMORY_OF_GPU",
	IocFree:             "AMDKFD_IOC_FREE_MEMORY_OF_GPU",
	IocMap:              "AMDKFD_IOC_MAP_MEMORY_TO_GPU",
	IocUnmap:            "AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU",
	IocSetCUMask:        "AMDKFD_IOC_SET_CU_MASK",
	IocGetDmabufInfo:    "AMDKFD_IOC_GET_DMABUF_INFO",
	IocImportDmabuf:     "AMDKFD_IOC_IMPORT_DMABUF",
	IocSMIEvents:        "AMDKFD_IOC_SMI_EVENTS",
	IocSetXNACK:         "AMDKFD_IOC_SET_XNACK_MODE",
	IocAvailableMemory:  "AMDKFD_IOC_AVAILABLE_MEMORY",
	IocExportDmabuf:     "AMDKFD_IOC_EXPORT_DMABUF",
	IocRuntimeEnable:    "AMDKFD_IOC_RUNTIME_ENABLE",
	IocDbgTrap:          "AMDKFD_IOC_DBG_TRAP",
	IocCreateProcess:    "AMDKFD_IOC_CREATE_PROCESS",
	IocProfiler:         "AMDKFD_IOC_PROFILER",
	IocDRMInfo:          "DRM_IOCTL_AMDGPU_INFO",
}

// IoctlName returns the kernel's name of an ioctl number, and "" for one that is not known.
func IoctlName(nr uint32) string { return ioctlNames[nr] }

// PageSize is the only page size of hosts that is supported, and that of the GPU's page tables.
const PageSize = 4096

// Version is the argument of GET_VERSION.
type Version struct{ Major, Minor uint32 }

// Apertures is one record of GET_PROCESS_APERTURES_NEW.
type Apertures struct {
	LDSBase, LDSLimit         uint64
	ScratchBase, ScratchLimit uint64
	GPUVMBase, GPUVMLimit     uint64
	GPUID, Pad                uint32
}

// AperturesArgs is the argument of GET_PROCESS_APERTURES_NEW. N 0 asks for the number of GPUs.
type AperturesArgs struct {
	Ptr    uint64
	N, Pad uint32
}

// AcquireVM is the argument of ACQUIRE_VM.
type AcquireVM struct{ DRMFD, GPUID uint32 }

// Modes of RUNTIME_ENABLE.
const (
	RuntimeDisable uint32 = 0
	RuntimeEnable  uint32 = 1
)

// RuntimeEnableArgs is the argument of RUNTIME_ENABLE.
type RuntimeEnableArgs struct {
	RDebug     uint64
	Mode, Caps uint32
}

// ClockCounters is the argument of GET_CLOCK_COUNTERS.
type ClockCounters struct {
	GPU, CPU, System, Freq uint64
	GPUID, Pad             uint32
}

// AvailableMemory is the argument of AVAILABLE_MEMORY.
type AvailableMemory struct {
	Available  uint64
	GPUID, Pad uint32
}

// Flags of ALLOC_MEMORY_OF_GPU.
const (
	MemVRAM         uint32 = 1 << 0
	MemGTT          uint32 = 1 << 1
	MemUserptr      uint32 = 1 << 2
	MemDoorbell     uint32 = 1 << 3
	MemMMIORemap    uint32 = 1 << 4
	MemContiguous   uint32 = 1 << 23
	MemExtCoherent  uint32 = 1 << 24
	MemUncached     uint32 = 1 << 25
	MemCoherent     uint32 = 1 << 26
	MemAQLQueue     uint32 = 1 << 27
	MemNoSubstitute uint32 = 1 << 28
	MemPublic       uint32 = 1 << 29
	MemExecutable   uint32 = 1 << 30
	MemWritable     uint32 = 1 << 31

	// DeviceFlags are of memory that kernels alone touch, HostFlags of memory that the host maps too.
	DeviceFlags = MemVRAM | MemWritable | MemExecutable | MemNoSubstitute
	HostFlags   = MemGTT | MemWritable | MemExecutable | MemNoSubstitute | MemCoherent | MemUncached

	// WindowFlags are of device memory that the host maps through the BAR, MMIOFlags of the page of registers that flush
	// what it stores there.
	WindowFlags = DeviceFlags | MemPublic
	MMIOFlags   = MemMMIORemap | MemWritable | MemCoherent
)

// Alloc is the argument of ALLOC_MEMORY_OF_GPU.
type Alloc struct {
	VA, Size, Handle, MmapOffset uint64
	GPUID, Flags                 uint32
}

// Free is the argument of FREE_MEMORY_OF_GPU.
type Free struct{ Handle uint64 }

// Map is the argument of MAP_MEMORY_TO_GPU and UNMAP_MEMORY_FROM_GPU. IDs is the address of an array of uint32.
type Map struct {
	Handle, IDs uint64
	N, NSuccess uint32
}

// Types of events.
const (
	EventSignal      uint32 = 0
	EventHWException uint32 = 3
	EventMemory      uint32 = 8
)

// Results of WAIT_EVENTS.
const (
	WaitComplete uint32 = 0
	WaitTimeout  uint32 = 1
	WaitFail     uint32 = 2
)

// Sizes around events.
const (
	EventSlots    = 4096           // of the event page
	EventPageSize = EventSlots * 8 // bytes
)

// SlotEmpty is an event slot that nothing has signalled.
const SlotEmpty = ^uint64(0)

// CreateEvent is the argument of CREATE_EVENT. PageOffset is the handle of the event page in the first call of a
// process, and 0 after.
type CreateEvent struct {
	PageOffset        uint64
	TriggerData, Type uint32
	AutoReset, NodeID uint32
	EventID, Slot     uint32
}

// EventID is the argument of DESTROY_EVENT, SET_EVENT and RESET_EVENT.
type EventID struct{ ID, Pad uint32 }

// WaitEvents is the argument of WAIT_EVENTS. Ptr is the address of EventData records. A timeout of 0 polls, of
// 0xffffffff waits for ever.
type WaitEvents struct {
	Ptr       uint64
	N, All    uint32
	TimeoutMS uint32
	Result    uint32
}

// EventData is a record of WAIT_EVENTS. Data is a union: see Age, Memory and HW.
type EventData struct {
	Data         [4]uint64
	Ext          uint64
	EventID, Pad uint32
}

// MemoryException is what a memory event reports.
type MemoryException struct {
	NotPresent, ReadOnly, NoExecute, Imprecise bool
	VA                                         uint64
	GPUID, ErrorType                           uint32
}

// HWException is what a hardware event reports.
type HWException struct {
	ResetType  uint32 // 0 the whole GPU, 1 a queue or engine
	ResetCause uint32 // 0 a hang, 1 an uncorrectable memory error
	MemoryLost bool
	GPUID      uint32
}

// Memory returns the union as a memory event's. GPUID 0 says that there was none.
func (d *EventData) Memory() MemoryException {
	lo, hi := d.Data[0], d.Data[1]
	return MemoryException{uint32(lo) != 0, lo>>32 != 0, uint32(hi) != 0, hi>>32 != 0, d.Data[2],
		uint32(d.Data[3]), uint32(d.Data[3] >> 32)}
}

// SetMemory sets the union to m.
func (d *EventData) SetMemory(m MemoryException) {
	d.Data = [4]uint64{bit(m.NotPresent) | bit(m.ReadOnly)<<32, bit(m.NoExecute) | bit(m.Imprecise)<<32, m.VA,
		uint64(m.GPUID) | uint64(m.ErrorType)<<32}
}

// HW returns the union as a hardware event's. GPUID 0 says that there was none.
func (d *EventData) HW() HWException {
	return HWException{uint32(d.Data[0]), uint32(d.Data[0] >> 32), uint32(d.Data[1]) != 0, uint32(d.Data[1] >> 32)}
}

// SetHW sets the union to h.
func (d *EventData) SetHW(h HWException) {
	d.Data = [4]uint64{uint64(h.ResetType) | uint64(h.ResetCause)<<32, bit(h.MemoryLost) | uint64(h.GPUID)<<32}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Types of queues.
const (
	QueueCompute    uint32 = 0 // PM4
	QueueSDMA       uint32 = 1
	QueueComputeAQL uint32 = 2
)

// Limits of CREATE_QUEUE.
const (
	MaxQueuePercentage = 100
	MaxQueuePriority   = 15
	DoorbellWindow     = 8192 // bytes of a process's doorbells on a GPU
	EOPSize            = 4096
)

// CreateQueue is the argument of CREATE_QUEUE.
type CreateQueue struct {
	Ring, WritePtr, ReadPtr      uint64 // addresses
	DoorbellOffset               uint64 // from the kernel: for mmap of /dev/kfd
	RingSize, GPUID              uint32
	Type, Percentage             uint32
	Priority, QueueID            uint32
	EOP, EOPSize                 uint64
	CtxSave                      uint64
	CtxSaveSize, CtlStackSize    uint32
	SDMAEngine, MetadataRingSize uint32
}

// DestroyQueue is the argument of DESTROY_QUEUE.
type DestroyQueue struct{ QueueID, Pad uint32 }

// Types of offsets for mmap of /dev/kfd, bits 62 and 63; the GPU's id stands in bits 46 to 61.
const (
	MmapMMIO     uint64 = 0 << 62
	MmapEvents   uint64 = 2 << 62
	MmapDoorbell uint64 = 3 << 62
	MmapGPUShift        = 46
)

// HDPMemFlush is the offset, in the page of MMIO_REMAP, of the register of 32 bits that flushes stores to device memory.
const HDPMemFlush = 0

// DRMInfo is the argument of DRM_IOCTL_AMDGPU_INFO.
type DRMInfo struct {
	Ptr         uint64
	Size, Query uint32
	Rest        [4]uint32
}

// Queries of DRM_IOCTL_AMDGPU_INFO.
const (
	QueryDevInfo uint32 = 0x16
	QueryMemory  uint32 = 0x19
)

// Offsets in what QueryDevInfo fills, and its size; older kernels fill less.
const (
	DevInfoSize         = 440
	DevInfoDeviceID     = 0   // u32
	DevInfoPCIRev       = 12  // u32
	DevInfoFamily       = 16  // u32
	DevInfoCounterFreq  = 28  // u32, kHz of the timestamps
	DevInfoMaxEngineKHz = 32  // u64
	DevInfoMaxMemoryKHz = 40  // u64
	DevInfoActiveCUs    = 48  // u32
	DevInfoIDsFlags     = 136 // u64; bit 0: integrated
	DevInfoVRAMBits     = 180 // u32
	DevInfoFlagsFusion  = 1
)

// ENOTSUPP is a code of the kernel's own that CREATE_QUEUE lets out.
const ENOTSUPP = 524

// Bits of the error payload of a queue, code-1 each, which the kernel sets (kfd_dbg_trap_exception_code).
const (
	ECQueueDispatchDim      = 16
	ECQueueGroupSegment     = 17
	ECQueueCodeAddress      = 18
	ECQueueReserved         = 19
	ECQueueUnsupported      = 20
	ECQueueWorkgroupSize    = 21
	ECQueueRegister         = 22
	ECQueueVendor           = 23
	ECQueuePreemption       = 30
	ECDeviceMemoryViolation = 33
)
