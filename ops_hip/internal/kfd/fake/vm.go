//go:build linux

package fake

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// bo is a buffer object.
type bo struct {
	m      *Machine
	gpu    *gpu // that it was allocated for
	handle uint64
	offset uint64 // for mmap of the render node
	va     uint64
	size   uint64
	flags  uint32

	mem       *shared         // bytes of the host; nil: device memory that only kernels touch, and registers
	vram      []byte          // bytes of device memory that only kernels touch
	views     map[*gpu]*view  // what GPUs that mapped it see of mem
	pins      map[*queue]bool // queues that it is a buffer of
	eventPage bool
}

// view is what a GPU sees of memory that it shares with the host.
type view struct {
	dev  []byte // bytes as kernels of the GPU see them
	base []byte // bytes as host and GPU last agreed; nil: they are the same memory

	stores *mem.Stores // pages of dev that may differ from base; nil without base
}

// release gives the bytes back that are the view's own.
func (v *view) release() {
	if v.base != nil {
		_, _ = syscall.Munmap(v.dev), syscall.Munmap(v.base)
	}
}

// String describes b.
func (b *bo) String() string {
	kind := "shared memory"
	switch {
	case b.flags&abi.MemMMIORemap != 0:
		kind = "registers"
	case b.mem == nil:
		kind = "device memory"
	case b.window():
		kind = "device memory that the host maps"
	}
	return fmt.Sprintf("%#x bytes of %s at %#x (handle %#x)", b.size, kind, b.va, b.handle)
}

// window reports whether b is device memory that the host maps.
func (b *bo) window() bool { return b.mem != nil && b.flags&abi.MemVRAM != 0 }

// buffered reports whether what the host stores in b waits for a flush: that of cards does.
func (b *bo) buffered() bool { return b.window() && !b.gpu.spec.APU }

// shared reports whether b is memory of the host that a GPU maps.
func (b *bo) shared() bool { return b.mem != nil && !b.window() }

func (b *bo) release() {
	for _, v := range b.views {
		v.release()
	}
	clear(b.views)
	b.mem.release()
	if b.vram != nil {
		_ = syscall.Munmap(b.vram)
		b.vram = nil
	}
}

const kindFlags = abi.MemVRAM | abi.MemGTT | abi.MemUserptr | abi.MemDoorbell | abi.MemMMIORemap

// alloc is ALLOC_MEMORY_OF_GPU, kfd_ioctl_alloc_memory_of_gpu.
func (m *Machine) alloc(a *abi.Alloc) error {
	g := m.gpuOf(a.GPUID)
	kind := a.Flags & kindFlags
	switch {
	case a.Size == 0, kind == 0:
		return syscall.EINVAL
	case g == nil:
		return syscall.EINVAL
	case kind == abi.MemVRAM && a.Flags&abi.MemPublic != 0 && !g.spec.LargeBAR:
		return syscall.EINVAL
	case kind == abi.MemUserptr && a.MmapOffset == 0:
		return syscall.EINVAL
	case kind == abi.MemDoorbell && a.Size != abi.DoorbellWindow, kind == abi.MemMMIORemap && a.Size != abi.PageSize:
		return syscall.EINVAL
	case g.vmFD < 0:
		return syscall.ENODEV
	}
	if kind == abi.MemMMIORemap && m.cfg.NoSharedCode {
		return m.allocRegisters(g, a)
	}
	if kind != abi.MemVRAM && kind != abi.MemGTT {
		m.violate("alloc-kind", "ALLOC with flags %#x: memory is device memory or shared memory, and no other kind",
			a.Flags)
	}
	if a.Flags&(abi.MemAQLQueue|abi.MemContiguous|abi.MemExtCoherent) != 0 {
		m.violate("alloc-flags", "ALLOC with flags %#x, of which AQL_QUEUE_MEM, CONTIGUOUS and EXT_COHERENT are not used",
			a.Flags)
	}
	if a.Flags&(abi.MemWritable|abi.MemExecutable) != abi.MemWritable|abi.MemExecutable {
		m.violate("alloc-flags", "ALLOC with flags %#x: memory is writable and executable", a.Flags)
	}
	if kind == abi.MemGTT && a.Flags&(abi.MemCoherent|abi.MemUncached) != abi.MemCoherent|abi.MemUncached {
		m.violate("alloc-flags", "ALLOC of shared memory with flags %#x: caches of the GPU would keep it without "+
			"COHERENT and UNCACHED", a.Flags)
	}
	if kind == abi.MemVRAM && a.Flags&(abi.MemCoherent|abi.MemUncached) != 0 {
		m.violate("alloc-flags", "ALLOC of device memory with flags %#x is not cached", a.Flags)
	}
	if kind == abi.MemVRAM && a.Flags&abi.MemPublic != 0 && !m.cfg.NoSharedCode {
		m.violate("alloc-flags", "ALLOC of device memory with flags %#x, which the host can map", a.Flags)
	}
	if a.MmapOffset != 0 && kind != abi.MemUserptr || a.Handle != 0 {
		m.violate("reserved", "ALLOC with handle %#x and mmap_offset %#x, which are the kernel's to set", a.Handle,
			a.MmapOffset)
	}
	if f := m.trip(AtAlloc, ""); f != nil {
		return f.Err
	}
	n := pages(a.Size)
	if kind == abi.MemVRAM && !g.spec.APU {
		if int64(n) < 0 || int64(n) > g.spec.VRAM-g.used {
			return syscall.ENOMEM
		}
	} else if int64(n) < 0 || int64(n) > g.freeGTT() {
		return syscall.ENOMEM
	}
	b := &bo{m: m, gpu: g, va: a.VA, size: a.Size, flags: a.Flags, views: map[*gpu]*view{}, pins: map[*queue]bool{}}
	if kind == abi.MemVRAM && a.Flags&abi.MemPublic == 0 {
		vram, err := memory(n)
		if err != nil {
			return err
		}
		b.vram = vram
		if !m.cfg.Kernel.ZeroVRAM || n <= maxPoison {
			fill(b.vram, 0xff)
		}
	} else {
		mem, err := newShared(n)
		if err != nil {
			return err
		}
		b.mem = mem
		if b.window() {
			fill(mem.data, 0xff)
		}
	}
	m.proc.nextBO++
	b.offset = uint64(1)<<32 + uint64(m.proc.nextBO)<<28
	m.add(b, a)
	return nil
}

// add gives a buffer its handle.
func (m *Machine) add(b *bo, a *abi.Alloc) {
	b.handle = uint64(b.gpu.id)<<32 | uint64(m.proc.nextBO)
	m.proc.bos[b.handle] = b
	b.gpu.account(b, +1)
	a.Handle, a.MmapOffset = b.handle, b.offset
}

// allocRegisters is ALLOC of the page of registers, which the host maps by /dev/kfd.
func (m *Machine) allocRegisters(g *gpu, a *abi.Alloc) error {
	if a.Flags != abi.MMIOFlags {
		m.violate("alloc-flags", "ALLOC of registers with flags %#x, want %#x", a.Flags, abi.MMIOFlags)
	}
	m.proc.nextBO++
	m.add(&bo{m: m, gpu: g, va: a.VA, size: a.Size, flags: a.Flags, offset: abi.MmapMMIO | uint64(g.id)<<abi.MmapGPUShift,
		views: map[*gpu]*view{}, pins: map[*queue]bool{}}, a)
	return nil
}

// maxPoison is the size up to which memory is filled with 0xff even where the kernel clears it: drivers must not rely
// on that, since older ones do not. Larger allocations would take memory that nobody uses.
const maxPoison = 64 << 20

func fill(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

func (g *gpu) account(b *bo, sign int64) {
	n := sign * int64(pages(b.size))
	switch b.flags & kindFlags {
	case abi.MemVRAM:
		g.used += n
	case abi.MemGTT:
		g.usedGTT += n
	}
}

// freeGTT returns the bytes of the host that g may still map; device memory of an APU is among them.
func (g *gpu) freeGTT() int64 {
	free := g.spec.GTT - g.usedGTT
	if g.spec.APU {
		free -= g.used
	}
	return free
}

// available is AVAILABLE_MEMORY.
func (m *Machine) available(a *abi.AvailableMemory) error {
	g := m.gpuOf(a.GPUID)
	if g == nil {
		return syscall.EINVAL
	}
	a.Available = uint64(g.freeGTT())
	if !g.spec.APU {
		a.Available = uint64(g.spec.VRAM-g.used) &^ (2<<20 - 1)
	}
	return nil
}

// free is FREE_MEMORY_OF_GPU, amdgpu_amdkfd_gpuvm_free_memory_of_gpu.
func (m *Machine) free(a *abi.Free) error {
	b := m.proc.bos[a.Handle]
	switch {
	case b == nil:
		m.violate("free", "FREE of handle %#x, which is none", a.Handle)
		return syscall.EINVAL
	case b.eventPage:
		m.violate("free", "FREE of the event page")
		return syscall.EPERM
	case len(b.views) > 0:
		m.violate("free-mapped", "FREE of %v, which a GPU has mapped", b)
		return syscall.EBUSY
	}
	for _, s := range m.spans {
		if s.bo == b {
			m.violate("free-mapped", "FREE of %v, which the host has mapped at %#x", b, s.lo)
		}
	}
	for _, g := range m.gpus { // a kernel that runs may use the bytes
		for g.running {
			m.cond.Wait()
		}
	}
	delete(m.proc.bos, a.Handle)
	b.gpu.account(b, -1)
	b.release()
	return nil
}

// targets reads the GPUs that MAP and UNMAP name.
func (m *Machine) targets(a *abi.Map) (*bo, []*gpu, error) {
	if a.N == 0 || a.NSuccess > a.N {
		m.violate("map-count", "MAP or UNMAP with %d GPUs, %d of them done", a.N, a.NSuccess)
		return nil, nil, syscall.EINVAL
	}
	ids, err := read(a.IDs, int(4*a.N))
	if err != nil {
		return nil, nil, err
	}
	b := m.proc.bos[a.Handle]
	if b == nil {
		m.violate("map-handle", "MAP or UNMAP of handle %#x, which is none", a.Handle)
		return nil, nil, syscall.ENOMEM
	}
	var list []*gpu
	for i := range int(a.N) {
		g := m.gpuOf(le.Uint32(ids[4*i:]))
		if g == nil {
			return nil, nil, syscall.EINVAL
		}
		if g.vmFD < 0 {
			return nil, nil, syscall.ENODEV
		}
		list = append(list, g)
	}
	return b, list, nil
}

// mapGPU is MAP_MEMORY_TO_GPU, kfd_ioctl_map_memory_to_gpu.
func (m *Machine) mapGPU(a *abi.Map) error {
	b, list, err := m.targets(a)
	if err != nil {
		return err
	}
	if f := m.trip(AtMap, ""); f != nil {
		if f.Err == syscall.EINTR && f.Partial && a.NSuccess < a.N {
			if err := m.mapOn(b, list[a.NSuccess]); err != nil {
				return err
			}
			a.NSuccess++
		}
		return f.Err
	}
	for ; a.NSuccess < a.N; a.NSuccess++ {
		if err := m.mapOn(b, list[a.NSuccess]); err != nil {
			return err
		}
	}
	return nil
}

// addressLimit is the end of a GPU's virtual addresses.
const addressLimit = 1 << 47

func (m *Machine) mapOn(b *bo, g *gpu) error {
	if b.views[g] != nil {
		return nil // already there, as for the kernel
	}
	end := b.va + pages(b.size)
	switch {
	case b.va == 0, b.va%abi.PageSize != 0, end > addressLimit, end < b.va:
		return syscall.EINVAL
	case b.flags&abi.MemMMIORemap != 0:
		m.violate("map-registers", "MAP of %v, which kernels have no business with", b)
		return syscall.EINVAL
	case b.flags&abi.MemVRAM != 0 && g != b.gpu && !b.gpu.spec.Peer:
		return syscall.EINVAL
	}
	for _, x := range g.maps {
		if b.va < x.va+pages(x.size) && x.va < end {
			m.violate("map-overlap", "MAP of %v overlaps %v", b, x)
			return syscall.EINVAL
		}
	}
	if !m.spans.covered(b.va, end) {
		m.violate("map-range", "MAP of %v, whose addresses the process has not reserved", b)
	}
	v := &view{dev: b.vram}
	switch {
	case b.mem != nil && m.cfg.OneMemory && !b.window():
		v.dev = b.mem.data
	case b.mem != nil:
		var err error
		if v.dev, err = memory(pages(b.size)); err != nil {
			return err
		}
		if v.base, err = memory(pages(b.size)); err != nil {
			_ = syscall.Munmap(v.dev)
			return err
		}
		v.stores = mem.NewStores(len(v.dev))
		b.mem.written(func(lo, hi int) {
			copy(v.dev[lo:hi], b.mem.data[lo:hi])
			copy(v.base[lo:hi], b.mem.data[lo:hi])
		})
	}
	if !g.hidden(b) {
		if err := g.space.Map(b.va, v.dev, false, b.String(), v.stores); err != nil {
			m.violate("map-overlap", "%v", err)
			return syscall.EINVAL
		}
	}
	b.views[g] = v
	g.maps = append(g.maps, b)
	return nil
}

// unmapGPU is UNMAP_MEMORY_FROM_GPU.
func (m *Machine) unmapGPU(a *abi.Map) error {
	b, list, err := m.targets(a)
	if err != nil {
		return err
	}
	for ; a.NSuccess < a.N; a.NSuccess++ {
		g := list[a.NSuccess]
		switch {
		case b.views[g] == nil:
			m.violate("unmap", "UNMAP of %v, which GPU %#x has not mapped", b, g.id)
			return syscall.EINVAL
		case len(b.pins) > 0:
			m.violate("unmap-queue", "UNMAP of %v, which a queue uses", b)
			return syscall.EBUSY
		}
		for _, q := range g.queues {
			if q.live() && q.outstanding() > 0 {
				m.violate("unmap-busy", "UNMAP of %v while %d packets of queue %d have not completed", b, q.outstanding(),
					q.id)
			}
		}
		for g.running {
			m.cond.Wait()
		}
		g.unmap(b)
	}
	return nil
}

func (g *gpu) unmap(b *bo) {
	if !g.hidden(b) {
		_ = g.space.Unmap(b.va) // it is there: views and mappings go together
	}
	b.views[g].release()
	delete(b.views, g)
	delete(g.icache, b)
	g.maps = slices.DeleteFunc(g.maps, func(x *bo) bool { return x == b })
}

// hidden reports whether b is memory of queues or events, which no kernel has business with: it is not in the address
// space of kernels.
func (g *gpu) hidden(b *bo) bool { return len(b.pins) > 0 || b.eventPage }

// hide takes b out of the kernels' address space; show puts it back.
func (b *bo) hide() {
	for g := range b.views {
		if !g.hidden(b) {
			_ = g.space.Unmap(b.va)
		}
	}
}

func (b *bo) show() {
	for g, v := range b.views {
		if !g.hidden(b) {
			_ = g.space.Map(b.va, v.dev, false, b.String(), v.stores)
		}
	}
}
