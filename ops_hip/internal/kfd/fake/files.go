//go:build linux

package fake

import (
	"fmt"
	"io/fs"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// firstFD is above every file that a process has, so that one that reaches the real kernel fails.
const firstFD = 100_000

// Paths of devices.
const (
	kfdPath    = "/dev/kfd"
	renderPath = "/dev/dri/renderD"
)

// file is an open file.
type file struct {
	fd     int
	path   string
	render *gpu // nil: /dev/kfd, or what SMI_EVENTS opened
	kfd    bool
}

// Open implements sys.Sys.
func (m *Machine) Open(path string, flags int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.trip(AtOpen, path); f != nil {
		return -1, f.Err
	}
	if e := m.denied[path]; e != 0 {
		return -1, e
	}
	f := &file{path: path, kfd: path == kfdPath}
	switch {
	case f.kfd && !m.tree.hasKFD():
		return -1, syscall.ENOENT
	case f.kfd && len(m.gpus) == 0:
		return -1, syscall.EINVAL
	case !f.kfd:
		for _, g := range m.gpus {
			if path == fmt.Sprintf("%s%d", renderPath, g.minor) {
				f.render = g
			}
		}
		if f.render == nil {
			return -1, syscall.ENOENT
		}
	}
	if f.gone() {
		return -1, syscall.ENODEV
	}
	if flags&syscall.O_ACCMODE != syscall.O_RDWR {
		m.violate("open-flags", "%s is opened with flags %#x, which cannot write", path, flags)
	}
	return m.addFile(f), nil
}

// gone reports whether the device behind a file was taken out.
func (f *file) gone() bool { return f.render != nil && f.render.removed }

func (m *Machine) addFile(f *file) int {
	m.lastFD++
	f.fd = m.lastFD
	m.fds[f.fd] = f
	return f.fd
}

// Close implements sys.Sys.
func (m *Machine) Close(fd int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.fds[fd]
	if f == nil {
		m.violate("close", "file %d is closed, and was not open", fd)
		return syscall.EBADF
	}
	delete(m.fds, fd)
	if f.kfd && m.opened(true) == nil {
		for id := range m.proc.queues {
			m.violate("close-live", "/dev/kfd is closed while queue %d exists", id)
		}
		for _, b := range m.proc.bos {
			if !b.eventPage {
				m.violate("close-live", "/dev/kfd is closed while %v is allocated", b)
			}
		}
		for id := range m.proc.events.all {
			m.violate("close-live", "/dev/kfd is closed while event %d exists", id)
		}
		if m.proc.runtime && !m.lost() {
			m.violate("close-live", "/dev/kfd is closed before RUNTIME_ENABLE with mode 0")
		}
		m.proc.runtime = false
	}
	if g := f.render; g != nil && g.vmFD == fd {
		for _, b := range m.proc.bos {
			if b.gpu == g && !b.eventPage {
				m.violate("close-live", "render node %d, which holds the VM, is closed while %v is allocated", g.minor, b)
			}
		}
	}
	return nil
}

// opened returns an open file of /dev/kfd, if there is one.
func (m *Machine) opened(kfd bool) *file {
	for _, f := range m.fds {
		if f.kfd == kfd {
			return f
		}
	}
	return nil
}

// lost reports whether a GPU faulted, hung or went away.
func (m *Machine) lost() bool {
	for _, g := range m.gpus {
		if g.lost {
			return true
		}
	}
	return false
}

// Mmap implements sys.Sys. Anonymous memory is real; buffers and doorbells are memory that the machine sees too.
func (m *Machine) Mmap(fd int, off uint64, addr, n uintptr, prot, flags int) (uintptr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lo, size := uint64(addr), uint64(n)
	if size == 0 || lo%abi.PageSize != 0 || off%abi.PageSize != 0 {
		return 0, syscall.EINVAL
	}
	hi := lo + pages(size)
	fixed := flags&syscall.MAP_FIXED != 0
	if fixed && !m.spans.covered(lo, hi) {
		m.violate("map-fixed", "mmap places %#x bytes at %#x, which the process has not reserved", size, lo)
		return 0, syscall.EINVAL
	}
	if fd == -1 {
		return m.mapAnonymous(lo, size, prot, flags)
	}
	f := m.fds[fd]
	if f == nil {
		m.violate("mmap-fd", "mmap of file %d, which is not open", fd)
		return 0, syscall.EBADF
	}
	if f.gone() {
		return 0, syscall.ENODEV
	}
	if f.kfd {
		return m.mapKFD(off, lo, size, prot, flags)
	}
	return m.mapBuffer(f, off, lo, size, prot, flags)
}

func (m *Machine) mapAnonymous(lo, size uint64, prot, flags int) (uintptr, error) {
	if f := m.trip(AtMmapAnonymous, ""); f != nil {
		return 0, f.Err
	}
	if flags&syscall.MAP_ANONYMOUS == 0 {
		return 0, syscall.EBADF
	}
	p, err := rawMap(lo, size, prot, flags, -1, 0)
	if err != nil {
		return 0, err
	}
	kind := anonymous
	if prot == syscall.PROT_NONE {
		kind = reserved
		if flags&syscall.MAP_NORESERVE == 0 {
			m.violate("reserve-flags", "addresses are reserved without MAP_NORESERVE, which counts them as memory")
		}
	}
	m.spans.set(span{lo: p, hi: p + pages(size), kind: kind})
	return uintptr(p), nil
}

// mapKFD maps the doorbells of a GPU.
func (m *Machine) mapKFD(off, lo, size uint64, prot, flags int) (uintptr, error) {
	if f := m.trip(AtMmapDoorbell, ""); f != nil {
		return 0, f.Err
	}
	var g *gpu
	for _, x := range m.gpus {
		if uint64(x.id) == off>>abi.MmapGPUShift&0xffff {
			g = x
		}
	}
	if off>>62 == abi.MmapMMIO>>62 && g != nil && m.cfg.NoSharedCode {
		return m.mapRegisters(g, lo, size, prot, flags)
	}
	switch {
	case off>>62 != abi.MmapDoorbell>>62:
		m.violate("doorbell-mmap", "mmap of /dev/kfd at %#x, which is no doorbell", off)
		return 0, syscall.EFAULT
	case g == nil:
		return 0, syscall.ENODEV
	case size != abi.DoorbellWindow:
		return 0, syscall.EINVAL
	case off&(abi.DoorbellWindow-1) != 0:
		m.violate("doorbell-mmap", "mmap of doorbells at %#x, inside the window of %#x bytes", off, abi.DoorbellWindow)
		return 0, syscall.EINVAL
	case flags&syscall.MAP_SHARED == 0 || prot != syscall.PROT_READ|syscall.PROT_WRITE:
		m.violate("doorbell-mmap", "mmap of doorbells with protection %d and flags %#x, not shared and writable", prot,
			flags)
		return 0, syscall.EINVAL
	case !g.hadQueue:
		m.violate("doorbell-mmap", "mmap of doorbells of GPU %#x, which has had no queue", g.id)
		return 0, syscall.EINVAL
	}
	for _, s := range m.spans {
		if s.kind == doorbells && s.gpu == g {
			m.violate("doorbell-mmap", "mmap of doorbells of GPU %#x, which are mapped at %#x", g.id, s.lo)
		}
	}
	p, err := rawMap(lo, size, prot, flags, g.doorbell.fd, 0)
	if err != nil {
		return 0, err
	}
	m.spans.set(span{lo: p, hi: p + size, kind: doorbells, gpu: g})
	return uintptr(p), nil
}

// mapRegisters maps the page of registers of a GPU.
func (m *Machine) mapRegisters(g *gpu, lo, size uint64, prot, flags int) (uintptr, error) {
	if f := m.trip(AtMmapRegisters, ""); f != nil {
		return 0, f.Err
	}
	var b *bo
	for _, x := range m.proc.bos {
		if x.gpu == g && x.flags&abi.MemMMIORemap != 0 {
			b = x
		}
	}
	if size != abi.PageSize || flags&syscall.MAP_SHARED == 0 {
		return 0, syscall.EINVAL
	}
	if b == nil || flags&syscall.MAP_FIXED == 0 || lo != b.va || prot != syscall.PROT_READ|syscall.PROT_WRITE {
		m.violate("registers-mmap", "registers of GPU %#x are mapped at %#x: they are not allocated there, readable and "+
			"writable", g.id, lo)
		return 0, syscall.EINVAL
	}
	p, err := rawMap(lo, size, prot, flags, g.registers.fd, 0)
	if err != nil {
		return 0, err
	}
	m.spans.set(span{lo: p, hi: p + size, kind: registers, bo: b, gpu: g})
	return uintptr(p), nil
}

// takeRegisters does what the host has stored in registers.
func (g *gpu) takeRegisters() {
	flush := (*uint32)(unsafe.Pointer(&g.registers.data[abi.HDPMemFlush]))
	if atomic.SwapUint32(flush, 0) != 0 {
		g.flush()
	}
}

// mapBuffer maps a buffer for the host.
func (m *Machine) mapBuffer(f *file, off, lo, size uint64, prot, flags int) (uintptr, error) {
	if f := m.trip(AtMmapBuffer, ""); f != nil {
		return 0, f.Err
	}
	var b *bo
	for _, x := range m.proc.bos {
		if x.offset == off {
			b = x
		}
	}
	switch {
	case b == nil:
		m.violate("buffer-mmap", "mmap of offset %#x of %s, which no buffer has", off, f.path)
		return 0, syscall.EINVAL
	case f.render != b.gpu || b.gpu.vmFD != f.fd:
		return 0, syscall.EACCES
	case flags&syscall.MAP_PRIVATE != 0 && prot&syscall.PROT_WRITE != 0:
		return 0, syscall.EINVAL
	case size > pages(b.size):
		return 0, syscall.EINVAL
	case b.flags&abi.MemUserptr != 0:
		return 0, syscall.EPERM
	}
	if b.flags&abi.MemVRAM != 0 && b.flags&abi.MemPublic == 0 {
		m.violate("buffer-mmap", "%v is mapped for the host, which must not touch device memory", b)
		return 0, syscall.EINVAL
	}
	if flags&syscall.MAP_FIXED == 0 || lo != b.va || size != pages(b.size) {
		m.violate("buffer-mmap", "%v is mapped for the host at %#x with %#x bytes: not exactly where the GPU sees it", b,
			lo, size)
	}
	p, err := rawMap(lo, size, prot, flags, b.mem.fd, 0)
	if err != nil {
		return 0, err
	}
	m.spans.set(span{lo: p, hi: p + pages(size), kind: buffer, bo: b})
	return uintptr(p), nil
}

// Munmap implements sys.Sys. The addresses rest before they are used again.
func (m *Machine) Munmap(addr, n uintptr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	lo, hi := uint64(addr), uint64(addr)+pages(uint64(n))
	if n == 0 || lo%abi.PageSize != 0 {
		return syscall.EINVAL
	}
	if !m.spans.covered(lo, hi) {
		m.violate("munmap", "munmap of %#x bytes at %#x, which are not all mapped", n, addr)
		return syscall.EINVAL
	}
	for _, s := range m.spans {
		if s.kind == registers && s.lo < hi && lo < s.hi {
			s.gpu.takeRegisters()
		}
		if s.kind == doorbells && s.lo < hi && lo < s.hi {
			for id, q := range m.proc.queues {
				if q.gpu == s.gpu {
					m.violate("munmap", "doorbells of GPU %#x are unmapped while queue %d exists", s.gpu.id, id)
				}
			}
		}
	}
	for _, g := range m.gpus {
		for _, b := range g.maps {
			if b.eventPage && len(m.proc.queues) == 0 {
				continue // it stays the kernel's as long as the process lives
			}
			if b.va < hi && lo < b.va+b.size {
				m.violate("munmap", "addresses of %v are given back while GPU %#x has it mapped", b, g.id)
			}
		}
	}
	m.spans.clear(lo, hi)
	return m.park(lo, hi)
}

// ReadFile implements sys.Sys.
func (m *Machine) ReadFile(path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.trip(AtRead, path); f != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: f.Err}
	}
	if e := m.denied[path]; e != 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: e}
	}
	return m.tree.read(path)
}

// ReadDir implements sys.Sys.
func (m *Machine) ReadDir(path string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tree.list(path)
}

// Deny makes a file fail with an error when it is opened or read.
func (m *Machine) Deny(path string, err syscall.Errno) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.denied[path] = err
}
