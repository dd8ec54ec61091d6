//go:build linux

package fake

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna"
)

// Config is a machine.
type Config struct {
	Kernel Kernel // the zero value is Linux72
	GPUs   []GPU
	Seed   uint64 // of everything random

	// Manual leaves packets alone until Step, or until the process waits for an event, which then executes them.
	Manual bool

	// OneMemory gives host and GPU the same bytes of shared memory, which is fast and finds no missing fence.
	OneMemory bool

	// ReadIndexFirst stores a queue's read index before the completion signal of its packet; KeepHeaders leaves
	// headers of completed packets as they were. Firmware may do either.
	ReadIndexFirst, KeepHeaders bool

	// NoSharedCode has GPUs fault at kernels in shared memory. The driver may put code into device memory that the host
	// maps, which is a broken rule otherwise.
	NoSharedCode bool

	Checks  rdna.Checks // of kernels
	Workers int         // goroutines of a kernel; 0: one for each CPU
	Code    *CodeCache  // decoded kernels to share with other machines, or nil
}

// Violation is a rule that the process broke.
type Violation struct {
	Rule string // short and stable: "doorbell-before-index"
	Text string
}

// String returns rule and text.
func (v Violation) String() string { return v.Rule + ": " + v.Text }

const maxViolations = 100

// Machine is a machine with a kernel, GPUs and one process, the driver's. It implements [sys.Sys].
type Machine struct {
	cfg   Config
	start time.Time

	mu         sync.Mutex
	cond       *sync.Cond    // something has changed; wakes packet processors
	changed    chan struct{} // the same for those that wait with a timeout; closed and replaced
	skew       time.Duration // how far simulated time is ahead
	still      time.Duration // simulated time while kernels run
	suspended  time.Duration // time in suspend, when all clocks stood but that since boot
	kernels    int           // that run
	timers     []timer
	rng        *rand.Rand
	closed     bool
	gpus       []*gpu
	tree       tree
	denied     map[string]syscall.Errno // files that cannot be opened or read
	fds        map[int]*file
	lastFD     int
	spans      spans   // the process's mappings
	rest       []span  // unmapped ranges whose addresses are not given out again yet
	proc       process // what the kernel knows of the process
	violations []Violation
	faults     []*Fault
	retry      map[uint32][]byte // arguments of ioctls that were interrupted, by number
	firmware   sync.WaitGroup
	code       *CodeCache
}

var _ sys.Sys = (*Machine)(nil)

// process is what the kernel keeps for a process, even without an open file.
type process struct {
	runtime bool // RUNTIME_ENABLE is in force
	asked   bool // for it
	events  events
	queues  map[uint32]*queue
	bos     map[uint64]*bo
	nextBO  uint32
	nextID  uint32 // of queues
	secured bool   // CREATE_PROCESS
}

func newProcess() process {
	return process{queues: map[uint32]*queue{}, bos: map[uint64]*bo{}, events: newEvents()}
}

// timer is something that happens at a simulated time.
type timer struct {
	at time.Duration
	f  func()
}

// New returns a machine that has just started.
func New(cfg Config) *Machine {
	if cfg.Kernel.Name == "" {
		cfg.Kernel = Linux72
	}
	m := &Machine{cfg: cfg, start: time.Now(), changed: make(chan struct{}), rng: rand.New(rand.NewPCG(cfg.Seed, 1)),
		denied: map[string]syscall.Errno{}, fds: map[int]*file{}, lastFD: firstFD, retry: map[uint32][]byte{},
		code: cfg.Code}
	if m.code == nil {
		m.code = NewCodeCache()
	}
	m.cond = sync.NewCond(&m.mu)
	m.proc = newProcess()
	for i, g := range cfg.GPUs {
		m.gpus = append(m.gpus, newGPU(m, i, g))
	}
	m.tree = newTree(m)
	return m
}

// violate records that a rule was broken. The caller holds the lock.
func (m *Machine) violate(rule, format string, args ...any) {
	if len(m.violations) < maxViolations {
		m.violations = append(m.violations, Violation{rule, fmt.Sprintf(format, args...)})
	}
}

// Violations returns the rules that were broken so far, at most 100.
func (m *Machine) Violations() []Violation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.violations)
}

// Failer is a test.
type Failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// Check fails t for every violation so far.
func (m *Machine) Check(t Failer) {
	t.Helper()
	for _, v := range m.Violations() {
		t.Errorf("kfd fake: %v", v)
	}
}

// Shutdown ends the machine: packet processors stop, and all memory goes back. What the process still holds is a
// violation. It returns all violations.
func (m *Machine) Shutdown() []Violation {
	m.mu.Lock()
	for _, s := range m.leaks() {
		m.violate("leak", "%s", s)
	}
	m.closed = true
	m.wake()
	m.mu.Unlock()
	m.firmware.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.proc.bos {
		b.release()
	}
	for _, g := range m.gpus {
		g.doorbell.release()
		g.registers.release()
	}
	for _, s := range append(slices.Clone(m.spans), m.rest...) {
		_ = rawUnmap(s.lo, s.hi-s.lo)
	}
	m.spans, m.rest = nil, nil
	return slices.Clone(m.violations)
}

// Usage counts what a process holds.
type Usage struct{ Files, Mappings, Buffers, Queues, Events int }

// Usage returns what the process holds.
func (m *Machine) Usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Usage{len(m.fds), len(m.spans), len(m.proc.bos), len(m.proc.queues), len(m.proc.events.all)}
}

// Restart ends the process and begins another. What the old one still holds is a violation.
func (m *Machine) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.leaks() {
		m.violate("leak", "%s", s)
	}
	for _, g := range m.gpus {
		for g.running {
			m.cond.Wait()
		}
		for _, b := range slices.Clone(g.maps) {
			g.unmap(b)
		}
		g.vmFD, g.lost, g.paused, g.hadQueue, g.wrote = -1, false, false, false, false
		g.queues, g.lastFault = nil, nil
		clear(g.signals)
	}
	for _, b := range m.proc.bos {
		b.gpu.account(b, -1)
		b.release()
	}
	for _, s := range m.spans {
		_ = m.park(s.lo, s.hi)
	}
	m.spans, m.timers = nil, nil
	clear(m.fds)
	clear(m.retry)
	m.proc = newProcess()
}

// leaks names everything that the process holds, but for the event page, which cannot be freed. A process whose GPU
// hangs or was taken out can free nothing.
func (m *Machine) leaks() []string {
	var list []string
	for _, g := range m.gpus {
		if g.removed || slices.ContainsFunc(g.queues, func(q *queue) bool { return q.state == hung }) {
			return nil
		}
	}
	for fd, f := range m.fds {
		list = append(list, fmt.Sprintf("file %d of %s is open", fd, f.path))
	}
	for _, b := range m.proc.bos {
		if !b.eventPage {
			list = append(list, fmt.Sprintf("%v was not freed", b))
		}
	}
	for id := range m.proc.queues {
		list = append(list, fmt.Sprintf("queue %d exists", id))
	}
	for id := range m.proc.events.all {
		list = append(list, fmt.Sprintf("event %d exists", id))
	}
	for _, s := range m.spans {
		if s.bo != nil && s.bo.eventPage {
			continue
		}
		list = append(list, fmt.Sprintf("%#x bytes at %#x are mapped (%v)", s.hi-s.lo, s.lo, s.kind))
	}
	slices.Sort(list)
	return list
}

// wake tells all that wait that something has changed. The caller holds the lock.
func (m *Machine) wake() {
	m.cond.Broadcast()
	close(m.changed)
	m.changed = make(chan struct{})
}

// now returns simulated time. It runs as real time does, jumps where the machine would only wait, and stands still
// while kernels run, which takes the emulator far longer than a GPU.
func (m *Machine) now() time.Duration {
	if m.kernels > 0 {
		return m.still
	}
	return time.Since(m.start) + m.skew
}

// enter stops the clock for a kernel, and leave lets it go on.
func (m *Machine) enter() {
	m.still = m.now()
	m.kernels++
}

func (m *Machine) leave() {
	if m.kernels--; m.kernels == 0 {
		m.skew = m.still - time.Since(m.start)
	}
}

// Now implements sys.Sys. Who looks at a clock that stands sees it move a little, so that loops end.
func (m *Machine) Now() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kernels > 0 {
		m.still += time.Microsecond
	}
	return m.now()
}

// Sleep implements sys.Sys. Where nothing is to happen meanwhile, it returns at once and the clock jumps.
func (m *Machine) Sleep(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waitUntil(m.now()+d, func() bool { return false })
}

// after arranges for f to be called, with the lock, once d has passed.
func (m *Machine) after(d time.Duration, f func()) {
	m.timers = append(m.timers, timer{m.now() + d, f})
	slices.SortStableFunc(m.timers, func(a, b timer) int { return int(a.at - b.at) })
}

// runTimers calls what is due.
func (m *Machine) runTimers() {
	for len(m.timers) > 0 && m.timers[0].at <= m.now() {
		f := m.timers[0].f
		m.timers = m.timers[1:]
		f()
		m.wake()
	}
}

const forever = time.Duration(1<<63 - 1)

// waitUntil waits until ready or until the deadline, and reports which. The caller holds the lock, which is given up
// meanwhile. While no packet can make progress the clock jumps.
func (m *Machine) waitUntil(deadline time.Duration, ready func() bool) bool {
	for {
		m.runTimers()
		switch {
		case ready():
			return true
		case m.now() >= deadline || m.closed:
			return false
		case m.cfg.Manual && m.step():
			continue
		}
		wait := deadline - m.now()
		if m.quiet() {
			next := deadline
			if len(m.timers) > 0 {
				next = min(next, m.timers[0].at)
			}
			if next != forever {
				m.skew += max(0, next-m.now())
				m.checkStalls()
				continue
			}
		} else if len(m.timers) > 0 {
			wait = min(wait, m.timers[0].at-m.now())
		}
		ch := m.changed
		m.mu.Unlock()
		t := time.NewTimer(min(wait, 20*time.Millisecond))
		select {
		case <-ch:
		case <-t.C:
		}
		t.Stop()
		m.mu.Lock()
	}
}

// quiet reports whether no packet can make progress.
func (m *Machine) quiet() bool {
	for _, g := range m.gpus {
		if g.running || g.next() != nil {
			return false
		}
	}
	return true
}

// Step executes one packet, and reports whether there was one that could be; the tool of tests of a Manual machine.
func (m *Machine) Step() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runTimers()
	return m.step()
}

func (m *Machine) step() bool {
	for _, g := range m.gpus {
		if q := g.next(); q != nil {
			q.step()
			return true
		}
	}
	return false
}

// read copies n bytes of the process at addr, or returns EFAULT for address 0.
func read(addr uint64, n int) ([]byte, error) {
	if addr == 0 {
		return nil, syscall.EFAULT
	}
	return slices.Clone(unsafe.Slice((*byte)(sys.Pointer(uintptr(addr))), n)), nil
}

// write copies b to the process.
func write(addr uint64, b []byte) error {
	if addr == 0 {
		return syscall.EFAULT
	}
	copy(unsafe.Slice((*byte)(sys.Pointer(uintptr(addr))), len(b)), b)
	return nil
}
