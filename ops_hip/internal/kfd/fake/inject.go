//go:build linux

package fake

import (
	"syscall"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// Point is where a fault happens.
type Point uint8

// Points of calls, where a Fault's Err is what the call returns.
const (
	AtOpen          Point = iota // of the file that Name names, any if it is empty
	AtRead                       // of a file of sysfs
	AtIoctl                      // before the ioctl that Name names does anything
	AtAlloc                      // ALLOC_MEMORY_OF_GPU, whose argument is in order
	AtMap                        // MAP_MEMORY_TO_GPU; with EINTR and Partial, after the first GPU
	AtAcquireVM                  // ACQUIRE_VM
	AtApertures                  // leaves a GPU out of the list
	AtRuntimeEnable              // RUNTIME_ENABLE
	AtCreateQueue                // CREATE_QUEUE, whose argument is in order
	AtDestroyQueue               // DESTROY_QUEUE; takes Delay and succeeds where Err is 0
	AtCreateEvent                // CREATE_EVENT
	AtWait                       // WAIT_EVENTS; EINTR after half the time
	AtMmapAnonymous              // mmap of addresses
	AtMmapBuffer                 // mmap of a buffer
	AtMmapDoorbell               // mmap of doorbells
	AtMmapRegisters              // mmap of registers

	// Points of packets and of the hardware.

	AtClock         // the clock counter reads Value
	AtTimestamps    // a packet's timestamps are Value
	AtStart         // the packet is not begun: a queue that never starts
	AtHang          // the packet never ends
	AtVMFault       // the packet faults at address Value
	AtBadPacket     // firmware refuses the packet with error code Value
	AtReset         // the GPU is reset while the packet runs
	AtEvict         // queues are evicted before the packet, for Delay
	AtDelay         // the packet completes Delay late
	AtLostInterrupt // no interrupt is raised for the packet's event
	AtEarlyEvent    // the event is raised Delay before the signal's value is stored
	AtRemove        // the device is taken out while the packet runs
)

// Fault is something that goes wrong: at its point, after Skip passes, Count times (0: once; below 0: always).
type Fault struct {
	At      Point
	Name    string // of a path or an ioctl; empty: any
	Skip    int
	Count   int
	Chance  float64 // of each pass behind Skip but the first, which it hits for certain; 0: it hits all of them
	Err     syscall.Errno
	Partial bool
	Delay   time.Duration
	Value   uint64

	happened int
}

// Inject adds a fault. It returns a function that tells how often it has happened.
func (m *Machine) Inject(f Fault) func() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &f
	m.faults = append(m.faults, p)
	return func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return p.happened
	}
}

// trip returns the fault that happens at a point now, or nil.
func (m *Machine) trip(at Point, name string) *Fault {
	for _, f := range m.faults {
		switch {
		case f.At != at || f.Name != "" && f.Name != name:
			continue
		case f.Skip > 0:
			f.Skip--
			continue
		case f.Count >= 0 && f.happened >= max(f.Count, 1):
			continue
		case f.Chance > 0 && f.happened > 0 && m.rng.Float64() >= f.Chance:
			continue
		}
		f.happened++
		return f
	}
	return nil
}

// Reset resets GPU i, as after a hang of another process: all its queues and all device memory are lost.
func (m *Machine) Reset(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gpus[i].reset()
}

func (g *gpu) reset() {
	g.lost = true
	for _, q := range g.queues {
		q.state = dead
	}
	for _, b := range g.m.proc.bos {
		if b.gpu == g && b.flags&abi.MemVRAM != 0 {
			fill(b.vram, 0)
		}
	}
	var d abi.EventData
	d.SetHW(abi.HWException{MemoryLost: true, GPUID: g.id})
	g.m.exception(abi.EventHWException, d)
	g.m.wake()
}

// Remove takes GPU i out of the machine.
func (m *Machine) Remove(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gpus[i].remove()
}

func (g *gpu) remove() {
	g.reset()
	g.removed = true
}

// Suspend lets the machine sleep for d and wake up, as it does without the driver's knowing.
func (m *Machine) Suspend(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended += d
}

// Evict stops the queues of GPU i for a while, as when memory runs short.
func (m *Machine) Evict(i int, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gpus[i].evict(d)
}

func (g *gpu) evict(d time.Duration) {
	g.paused = true
	g.m.after(d, func() { g.paused = false })
}
