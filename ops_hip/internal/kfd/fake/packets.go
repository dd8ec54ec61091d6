//go:build linux

package fake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/exec"
)

// badPacket is why firmware refuses a packet.
type badPacket struct {
	code uint32 // exception code
	text string
}

func bad(code uint32, format string, args ...any) *badPacket {
	return &badPacket{code, fmt.Sprintf(format, args...)}
}

// execute runs a packet, and reports whether it ended.
func (q *queue) execute(p *abi.Packet) bool {
	var b *badPacket
	ok := true
	switch kind := p.Header() & 0xff; kind {
	case abi.PacketInvalid: // it was said already; hardware waits for the header
		q.hang()
		return false
	case abi.PacketDispatch:
		ok, b = q.dispatch(p.AsDispatch())
	case abi.PacketBarrierAnd:
		b = q.barrier(p.AsBarrier())
	case abi.PacketVendor:
		b = q.vendor(p)
	default:
		b = bad(abi.ECQueueUnsupported, "type %d", kind)
	}
	if b == nil && ok && p.Completion() != 0 {
		b = q.checkSignal(p.Completion())
	}
	if b != nil {
		q.gpu.m.violate("bad-packet", "packet %d of queue %d: %s (exception %d)", q.next, q.id, b.text, b.code)
		q.refuse(b.code)
		return false
	}
	return ok
}

func (q *queue) checkSignal(addr uint64) *badPacket {
	s := q.gpu.signal(addr)
	switch {
	case s == nil:
		return bad(abi.ECQueueReserved, "completion signal %#x is not aligned, or not in shared memory", addr)
	case s.Kind != abi.SignalUser:
		return bad(abi.ECQueueReserved, "completion signal %#x is of kind %d", addr, s.Kind)
	}
	return nil
}

func (q *queue) barrier(b *abi.BarrierAnd) *badPacket {
	if b.Reserved0 != 0 || b.Reserved1 != 0 || b.Reserved2 != 0 {
		return bad(abi.ECQueueReserved, "reserved fields are set")
	}
	for _, d := range b.Deps {
		if d != 0 && q.gpu.signal(d) == nil {
			return bad(abi.ECQueueReserved, "dependency %#x is not aligned, or not in shared memory", d)
		}
	}
	return nil
}

const maxThreads = 1024

// geometry checks the sizes of a dispatch, and returns the number of its workgroups.
func geometry(d *abi.Dispatch) (grid [3]uint32, b *badPacket) {
	block := [3]uint16{d.GroupX, d.GroupY, d.GroupZ}
	size := [3]uint32{d.GridX, d.GridY, d.GridZ}
	threads := uint64(1)
	for i, n := range block {
		if n == 0 || n > maxThreads {
			return grid, bad(abi.ECQueueWorkgroupSize, "workgroup %v", block)
		}
		threads *= uint64(n)
		if size[i] == 0 || size[i]%uint32(n) != 0 {
			return grid, bad(abi.ECQueueDispatchDim, "grid %v is empty, or no multiple of workgroup %v", size, block)
		}
		grid[i] = size[i] / uint32(n)
	}
	if threads > maxThreads {
		return grid, bad(abi.ECQueueWorkgroupSize, "workgroup %v has %d threads", block, threads)
	}
	return grid, nil
}

// prefetchSize returns the bits of the third register that code may set: the size of the instruction prefetch, which has
// two bits more on gfx12, where gfx11 has traps.
func prefetchSize(target string) uint32 {
	if strings.HasPrefix(target, "gfx12") {
		return 0xff0
	}
	return 0x3f0
}

// describe checks the descriptor of a dispatch's kernel.
func (q *queue) describe(d *abi.Dispatch) (*bo, codeobj.Descriptor, *badPacket) {
	g := q.gpu
	var k codeobj.Descriptor
	at := d.KernelObject
	code := g.find(at)
	raw := g.device(at, 64)
	if at%64 != 0 || raw == nil || code.flags&abi.MemExecutable == 0 || g.hidden(code) {
		return nil, k, bad(abi.ECQueueCodeAddress, "kernel object %#x is not aligned, mapped and executable", at)
	}
	k = codeobj.Descriptor{LDS: le.Uint32(raw), Private: le.Uint32(raw[4:]), KernargSize: le.Uint32(raw[8:]),
		EntryOffset: int64(le.Uint64(raw[16:])), Rsrc3: le.Uint32(raw[44:]), Rsrc1: le.Uint32(raw[48:]),
		Rsrc2: le.Uint32(raw[52:]), Properties: le.Uint16(raw[56:]), KernargPreload: le.Uint16(raw[58:])}
	reserved := bytes.TrimLeft(raw[24:44], "\x00")
	const properties = codeobj.PropKernargPtr | codeobj.PropWave32
	const privileged, debug, bulky = 1 << 20, 1 << 22, 1 << 24
	entry := at + uint64(k.EntryOffset)
	switch {
	case le.Uint32(raw[12:]) != 0 || len(reserved) != 0 || le.Uint32(raw[60:]) != 0:
		return nil, k, bad(abi.ECQueueCodeAddress, "descriptor at %#x: reserved bytes are set", at)
	case k.Properties != properties || k.KernargPreload != 0:
		return nil, k, bad(abi.ECQueueCodeAddress, "descriptor at %#x: properties %#x, preload %#x", at, k.Properties,
			k.KernargPreload)
	case k.Private != 0 || d.PrivateSize != 0 || k.Rsrc2&1 != 0:
		return nil, k, bad(abi.ECQueueRegister, "kernel at %#x: scratch of %d and %d bytes, the queue has none", at,
			k.Private, d.PrivateSize)
	case k.Rsrc1&(privileged|debug|bulky) != 0 || k.Rsrc2&(1<<6|0x7f<<24) != 0 || k.Rsrc3&^prefetchSize(q.gpu.spec.Target) != 0:
		return nil, k, bad(abi.ECQueueRegister, "descriptor at %#x: registers %#x, %#x, %#x", at, k.Rsrc1, k.Rsrc2, k.Rsrc3)
	case d.GroupSize > 65536 || d.GroupSize < k.LDS:
		return nil, k, bad(abi.ECQueueGroupSegment, "%d bytes of LDS, the kernel has %d", d.GroupSize, k.LDS)
	case entry%256 != 0 || g.find(entry) != code:
		return nil, k, bad(abi.ECQueueCodeAddress, "entry %#x is not aligned, or not in the buffer of its descriptor", entry)
	}
	return code, k, nil
}

// dispatch runs a kernel.
func (q *queue) dispatch(d *abi.Dispatch) (ok bool, b *badPacket) {
	g, m := q.gpu, q.gpu.m
	switch {
	case d.Reserved0 != 0 || d.Reserved1 != 0:
		return false, bad(abi.ECQueueReserved, "reserved fields are set")
	case d.Setup != abi.SetupDims:
		return false, bad(abi.ECQueueDispatchDim, "setup %d, want 3 dimensions", d.Setup)
	}
	grid, b := geometry(d)
	if b != nil {
		return false, b
	}
	code, k, b := q.describe(d)
	if b != nil {
		return false, b
	}
	if d.Completion != 0 {
		if b := q.checkSignal(d.Completion); b != nil {
			return false, b
		}
	}
	if b := q.checkArgs(d, &k); b != nil {
		return false, b
	}
	entry := d.KernelObject + uint64(k.EntryOffset) - code.va
	if m.cfg.NoSharedCode && code.shared() {
		g.fault(abi.MemoryException{NoExecute: true, VA: (code.va + entry) &^ (abi.PageSize - 1), GPUID: g.id})
		return false, nil
	}
	prog, name, err := g.program(code, d.KernelObject-code.va, entry)
	if err != nil {
		return false, bad(abi.ECQueueCodeAddress, "%v", err)
	}
	l := &exec.Launch{Program: prog, Desc: k, Kernel: name, Entry: entry, Space: &g.space, LoadBase: code.va, Grid: grid,
		Block: [3]uint32{uint32(d.GroupX), uint32(d.GroupY), uint32(d.GroupZ)}, LDS: d.GroupSize, Kernarg: d.Kernarg,
		Workers: m.cfg.Workers, Checks: m.cfg.Checks.Normalize()}
	g.running, g.wrote = true, true
	m.enter()
	m.mu.Unlock()
	_, err = exec.Run(context.Background(), l)
	m.mu.Lock()
	m.leave()
	g.running = false
	m.wake()
	if q.state != active { // reset meanwhile
		return false, nil
	}
	if old, ok := q.kernargs[q.next]; ok {
		now := g.host(d.Kernarg, min(uint64(k.KernargSize), uint64(len(old))))
		if !bytes.Equal(now, old[:len(now)]) {
			m.violate("kernarg-reuse", "the arguments of packet %d of queue %d (%s) at %#x have changed before it completed",
				q.next, q.id, name, d.Kernarg)
		}
	}
	if l := g.icache[code]; l == nil || !l.matches(code.views[g].dev) {
		m.violate("code-changed", "code of %s changed while it ran", name)
	}
	if err != nil {
		q.kernelFault(err)
		return false, nil
	}
	return true, nil
}

// checkArgs checks a kernel's arguments: they are there, with what a compiler may load beyond them, and as the host
// stored them.
func (q *queue) checkArgs(d *abi.Dispatch, k *codeobj.Descriptor) *badPacket {
	g, n := q.gpu, uint64(k.KernargSize)
	if n == 0 {
		return nil
	}
	if d.Kernarg%64 != 0 || g.device(d.Kernarg, n) == nil {
		return bad(abi.ECQueueReserved, "%d bytes of arguments at %#x are not aligned to 64, or not mapped", n, d.Kernarg)
	}
	if g.device(d.Kernarg, n+64) == nil {
		g.m.violate("kernarg-end", "the %d bytes of arguments at %#x have no 64 bytes behind them, which kernels may load",
			n, d.Kernarg)
	}
	if g.stale(d.Kernarg, n) {
		g.m.violate("kernarg-stale", "packet %d of queue %d: the host has stored to the arguments at %#x since the last "+
			"system acquire", q.next, q.id, d.Kernarg)
	}
	return nil
}

// kernelFault is what hardware does of a kernel that does what it must not.
func (q *queue) kernelFault(err error) {
	g := q.gpu
	g.lastFault = err
	var f *exec.Fault
	if !errors.As(err, &f) {
		g.m.violate("kernel", "%v", err)
		q.hang()
		return
	}
	switch f.Kind {
	case exec.OutOfBounds, exec.ReadOnlyWrite:
		if f.HasAddress {
			g.fault(abi.MemoryException{NotPresent: f.Kind == exec.OutOfBounds, ReadOnly: f.Kind == exec.ReadOnlyWrite,
				VA: f.Address &^ (abi.PageSize - 1), GPUID: g.id})
			return
		}
	case exec.UnknownInstruction, exec.Trap, exec.Budget, exec.Deadlock, exec.BadJump:
		q.hang() // nobody handles traps, so the wave stops without a word
		return
	}
	g.m.violate("kernel", "%v", err)
	q.hang()
}

// KernelFault returns what the last kernel that faulted did, in the emulator's words, or nil.
func (m *Machine) KernelFault() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.gpus {
		if g.lastFault != nil {
			return g.lastFault
		}
	}
	return nil
}
