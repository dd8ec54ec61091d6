// Package drv drives AMD GPUs through /dev/kfd and a render node, without any library: memory, one hardware queue of
// AQL packets for each device, kernels, copies by kernels of its own, signals, and graphs as packets that are copied
// into the ring.
//
// A [Process] is what the kernel keeps for a process: one open /dev/kfd, one virtual address space for each GPU, one
// page of events. These live until the program ends, so that a [Device] can be closed and opened again. A device is lost
// after a fault, a reset or a hang, and stays so: the kernel forgives a process nothing of that.
//
// Addresses are equal on the host and the GPU. Memory of the device cannot be touched by the host: its addresses are
// reserved without access. All streams of a device share its queue, in the order of calls. Every packet waits for those
// before it.
//
// The kernels that copy cannot copy themselves to the device: they begin in memory of the host or, with
// [Options.BootstrapVRAM], in device memory that the host maps, whose stores are flushed by a register.
//
// Methods are safe for concurrent use; those that wait hold the device meanwhile.
package drv
