// Package fake is a Linux kernel with KFD and AMD GPUs, for tests of the driver. A [Machine] takes the place of
// [sys.Linux]: files of sysfs, the ioctls of /dev/kfd and of render nodes, memory, events, and GPUs whose packet
// processors execute what lies in rings, kernels with the emulator of package rdna.
//
// It is strict. Errors are those of the kernel, in the kernel's conditions, which differ by version ([Kernel]). Beyond
// that, a driver must keep to rules that no kernel checks and that hardware answers with a hang, a reset or wrong
// numbers, and to some that are our own. Breaking one is a [Violation], which is collected, and fails a test through
// [Machine.Check]. Nothing of the package is meant for a program.
//
// # What is checked
//
// ioctls: numbers and sizes; callers after a fork; fields that must be zero; ACQUIRE_VM with its file; the order of
// calls; RUNTIME_ENABLE; flags, sizes and limits of memory, and which kinds the driver uses at all; places of mappings,
// inside what the process itself has reserved; what may be unmapped, freed and when; mappings of files; scalars and
// exact buffers of CREATE_QUEUE, by kernel; the header of the save area; the content of amd_queue_t and of the ring;
// limits of queues; events, their page, slots, ages and waits; DESTROY_QUEUE of busy and hung queues; what is left at
// close; arguments of a call that is repeated after EINTR.
//
// Doorbells: the write index is stored before the doorbell and agrees with it, headers of all packets are valid, the
// ring is not overrun, and no packet's signal or arguments are in use already.
//
// Packets: all 64 bytes, the descriptor of the kernel, the arguments, the completion signal. Packets and arguments stay
// as they are until their packet has completed. Dispatches have the barrier bit and fences.
//
// Memory: memory that host and GPU share has bytes of both sides. A system acquire brings the host's stores to the
// GPU, a system release the GPU's to the host, and nothing else does. Bytes that both have changed are a violation.
// Fresh device memory holds 0xff bytes; what was freed is mapped nowhere, and its addresses rest before they return.
// What the host stores in device memory that it maps, which only code may be in and only where Config.NoSharedCode lets
// it, comes there by a flush.
// Code runs as it was when the instruction cache was last invalidated; code that has changed since is a violation.
//
// # What it cannot prove
//
// That fences have the strength on silicon that the model gives them; what firmware reads beyond the visible fields of
// amd_queue_t; how fast uncached memory is; how the scheduler behaves when queues outnumber its slots; what timestamps
// mean; what an IOMMU does; what a reset leaves behind. Nor does it see whether a doorbell is rung by a plain store,
// and after a store fence: that is a property of the assembly, which a test of package sys reads. The model of memory
// is stricter than uncached memory is, so that a driver may be right on hardware and fail here, and firmware may differ
// from what sources of its users say, so that the reverse is possible as well.
package fake
