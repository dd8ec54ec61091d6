//go:build linux

package topo

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// Info is what the graphics driver says of a GPU.
type Info struct {
	CounterKHz   uint32 // of timestamps
	MaxEngineKHz uint64
	MaxMemoryKHz uint64
	ActiveCUs    uint32
	Revision     uint32 // of PCI
	Integrated   bool
	BusBits      uint32
}

// Caller can open files and issue ioctls; package sys has them.
type Caller interface {
	Open(path string, flags int) (int, error)
	Close(fd int) error
	Ioctl(fd int, nr uint32, arg unsafe.Pointer) error
}

// DevInfo asks the graphics driver about g by its render node, which it opens and closes.
func DevInfo(s Caller, g *GPU) (Info, error) {
	fd, err := s.Open(g.RenderPath(), syscall.O_RDWR)
	if err != nil {
		return Info{}, fmt.Errorf("topo: %s: %w", g.RenderPath(), err)
	}
	i, err := DevInfoOf(s, fd)
	if cerr := s.Close(fd); err == nil && cerr != nil {
		err = fmt.Errorf("topo: %s: %w", g.RenderPath(), cerr)
	}
	return i, err
}

// DevInfoOf is DevInfo on an open render node.
func DevInfoOf(s Caller, fd int) (Info, error) {
	b := new([abi.DevInfoSize]byte)
	a := &abi.DRMInfo{Ptr: uint64(uintptr(unsafe.Pointer(b))), Size: abi.DevInfoSize, Query: abi.QueryDevInfo}
	var pin runtime.Pinner
	pin.Pin(b)
	defer pin.Unpin()
	for {
		err := s.Ioctl(fd, abi.IocDRMInfo, unsafe.Pointer(a))
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return Info{}, fmt.Errorf("topo: %s: %w", abi.IoctlName(abi.IocDRMInfo), err)
		}
		break
	}
	le := binary.LittleEndian
	return Info{CounterKHz: le.Uint32(b[abi.DevInfoCounterFreq:]), MaxEngineKHz: le.Uint64(b[abi.DevInfoMaxEngineKHz:]),
		MaxMemoryKHz: le.Uint64(b[abi.DevInfoMaxMemoryKHz:]), ActiveCUs: le.Uint32(b[abi.DevInfoActiveCUs:]),
		Revision:   le.Uint32(b[abi.DevInfoPCIRev:]),
		Integrated: le.Uint64(b[abi.DevInfoIDsFlags:])&abi.DevInfoFlagsFusion != 0,
		BusBits:    le.Uint32(b[abi.DevInfoVRAMBits:])}, nil
}
