//go:build linux

package fake

import (
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// Kernel is what differs between versions of Linux.
type Kernel struct {
	Name         string
	Minor        uint32 // of the KFD interface
	Sizes        bool   // sysfs tells the sizes of the save area
	ExactBuffers bool   // CREATE_QUEUE checks buffers
	Small1151    bool   // gfx1151 is taken to have small register files
	ZeroVRAM     bool   // device memory comes zeroed
}

// Kernels that differ for a driver. Linux 6.12 is that of Debian 13 before the mend for gfx1151.
var (
	Linux68       = Kernel{Name: "6.8", Minor: 15, Small1151: true}
	Linux612      = Kernel{Name: "6.12", Minor: 17, Sizes: true, ExactBuffers: true, Small1151: true}
	Linux612Fixed = Kernel{Name: "6.12.117", Minor: 17, Sizes: true, ExactBuffers: true}
	Linux72       = Kernel{Name: "7.2", Minor: 23, Sizes: true, ExactBuffers: true, ZeroVRAM: true}
)

// GPU is a graphics card, or the graphics of a processor.
type GPU struct {
	Target   string // "gfx1100"
	CUs      int
	DeviceID uint32
	VRAM     int64 // bytes
	GTT      int64 // bytes of the host's that may be mapped
	LargeBAR bool
	APU      bool // shares the host's memory, and takes device memory from GTT
	Peer     bool // others may map its device memory
	Node     int  // index in the topology; 0: behind the last
}

// versions are gfx_target_version by target.
var versions = map[string]uint32{"gfx1100": 110000, "gfx1101": 110001, "gfx1102": 110002, "gfx1103": 110003,
	"gfx1150": 110500, "gfx1151": 110501, "gfx1200": 120000, "gfx1201": 120001}

// cards are products of each target: compute units, PCI device id, and whether they are APUs.
var cards = map[string]GPU{
	"gfx1100": {CUs: 96, DeviceID: 0x744c}, "gfx1101": {CUs: 60, DeviceID: 0x747e},
	"gfx1102": {CUs: 32, DeviceID: 0x7480}, "gfx1103": {CUs: 12, DeviceID: 0x15bf, APU: true},
	"gfx1150": {CUs: 16, DeviceID: 0x150e, APU: true}, "gfx1151": {CUs: 40, DeviceID: 0x1586, APU: true},
	"gfx1200": {CUs: 32, DeviceID: 0x7590}, "gfx1201": {CUs: 64, DeviceID: 0x7550},
}

// Card returns a product of a target, with 1 GiB of device memory and of shared memory, which is less than the real
// ones have. An unknown target is a panic.
func Card(target string) GPU {
	g, ok := cards[target]
	if !ok {
		panic("kfd fake: no card of target " + target)
	}
	g.Target, g.VRAM, g.GTT = target, 1<<30, 1<<30
	return g
}

// shared is memory that the machine and the process map each at its own place, so that the machine can use it whatever
// the process does.
type shared struct {
	fd   int
	data []byte

	blocks int64    // that the memory took when ranges were found
	ranges [][2]int // of whole pages that somebody has stored to
}

func newShared(n uint64) (*shared, error) {
	name := []byte("kfd-fake\x00")
	fd, _, e := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(&name[0])), 1, 0) // MFD_CLOEXEC
	if e != 0 {
		return nil, e
	}
	if err := syscall.Ftruncate(int(fd), int64(n)); err != nil {
		_ = syscall.Close(int(fd))
		return nil, err
	}
	data, err := syscall.Mmap(int(fd), 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		_ = syscall.Close(int(fd))
		return nil, err
	}
	return &shared{fd: int(fd), data: data}, nil
}

func (s *shared) release() {
	if s != nil && s.data != nil {
		_ = syscall.Munmap(s.data)
		_ = syscall.Close(s.fd)
		s.data = nil
	}
}

// written calls f with each range of whole pages that somebody has stored to; the rest is zero. A page that has memory
// keeps it, so that ranges are those of before unless there is more memory.
func (s *shared) written(f func(lo, hi int)) {
	var st syscall.Stat_t
	if err := syscall.Fstat(s.fd, &st); err != nil || st.Blocks != s.blocks {
		s.blocks = st.Blocks
		s.find()
	}
	for _, r := range s.ranges {
		f(r[0], r[1])
	}
}

// find looks for ranges that have memory.
func (s *shared) find() {
	const data, hole = 3, 4 // SEEK_DATA, SEEK_HOLE
	s.ranges = s.ranges[:0]
	for hi := int64(0); hi < int64(len(s.data)); {
		lo, err := syscall.Seek(s.fd, hi, data)
		if err != nil {
			return // ENXIO: nothing behind
		}
		if hi, err = syscall.Seek(s.fd, lo, hole); err != nil {
			return
		}
		s.ranges = append(s.ranges, [2]int{int(lo), int(hi)})
	}
}

// memory returns n bytes of zeros outside of the Go heap, so that pages which nobody touches cost nothing.
func memory(n uint64) ([]byte, error) {
	return syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_NORESERVE)
}

// gpu is a GPU of a machine.
type gpu struct {
	m       *Machine
	spec    GPU
	gen     decode.Gen
	version uint32
	id      uint32 // as ioctls name it
	index   int
	node    int
	minor   int // of the render node

	vmFD      int  // file that holds the VM; -1: none
	removed   bool // taken out
	lost      bool // faulted, hung or was reset; its queues are stopped for good
	paused    bool // queues are evicted, and will be restored
	hadQueue  bool
	running   bool // a kernel runs, without the lock
	processor bool // the packet processor has been started
	wrote     bool // kernels ran since the last system release
	space     mem.Space
	maps      []*bo // that the GPU has mapped
	queues    []*queue
	doorbell  *shared
	registers *shared // that the host may map
	icache    map[*bo]*loaded
	lastTime  uint64 // timestamp
	used      int64  // bytes of device memory
	usedGTT   int64
	lastFault error             // of a kernel
	signals   map[uint64]uint64 // outstanding completion signals, and whose packets' they are
}

func newGPU(m *Machine, i int, spec GPU) *gpu {
	version, ok := versions[spec.Target]
	if !ok {
		panic("kfd fake: no target " + spec.Target)
	}
	gen, err := decode.GenOf(spec.Target)
	if err != nil {
		panic(err.Error())
	}
	bell, err := newShared(abi.DoorbellWindow)
	if err != nil {
		panic(fmt.Sprintf("kfd fake: memory for doorbells: %v", err))
	}
	for k := range bell.data {
		bell.data[k] = 0xff
	}
	registers, err := newShared(abi.PageSize)
	if err != nil {
		panic(fmt.Sprintf("kfd fake: memory for registers: %v", err))
	}
	g := &gpu{m: m, spec: spec, registers: registers, gen: gen, version: version, id: uint32(0x4000 + 0x1357*i), index: i, node: i + 1,
		minor: 128 + i, vmFD: -1, doorbell: bell, icache: map[*bo]*loaded{}, signals: map[uint64]uint64{}}
	if spec.Node != 0 {
		g.node = spec.Node
	}
	return g
}

// gpuOf returns the GPU that an ioctl names.
func (m *Machine) gpuOf(id uint32) *gpu {
	i := slices.IndexFunc(m.gpus, func(g *gpu) bool { return g.id == id })
	if i < 0 {
		return nil
	}
	return m.gpus[i]
}

// GPUID returns the number by which ioctls name GPU i.
func (m *Machine) GPUID(i int) uint32 { return m.gpus[i].id }

// RenderPath returns the path of the render node of GPU i.
func (m *Machine) RenderPath(i int) string { return fmt.Sprintf("%s%d", renderPath, m.gpus[i].minor) }

// cwsr returns the sizes that the kernel demands.
func (g *gpu) cwsr() abi.CWSR {
	vgpr := abi.VGPRBytes(g.version)
	if g.spec.Target == "gfx1151" && g.m.cfg.Kernel.Small1151 {
		vgpr = abi.VGPRBytesSmall
	}
	return abi.CWSRSizes(uint32(g.spec.CUs), vgpr)
}

// find returns the buffer that the GPU has mapped at an address.
func (g *gpu) find(addr uint64) *bo {
	for _, b := range g.maps {
		if addr-b.va < pages(b.size) {
			return b
		}
	}
	return nil
}

// host returns n bytes of host memory at an address that the GPU has mapped.
func (g *gpu) host(addr uint64, n uint64) []byte {
	b := g.find(addr)
	if b == nil || !b.shared() {
		return nil
	}
	off := addr - b.va
	if n > uint64(len(b.mem.data))-off {
		return nil
	}
	return b.mem.data[off : off+n : off+n]
}

// clock is the GPU's counter of 100 MHz, which never stands still.
func (g *gpu) clock() uint64 {
	t := uint64(g.m.now().Nanoseconds()/10) + 1_000_000
	if f := g.m.trip(AtClock, ""); f != nil {
		t = f.Value
	}
	return t
}

// stamp is a timestamp later than all before it.
func (g *gpu) stamp() uint64 {
	g.lastTime = max(g.lastTime+1, uint64(g.m.now().Nanoseconds()/10)+1_000_000)
	return g.lastTime
}
