//go:build linux

package drv

import (
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// objects are the kernels that copy and fill, by target.
//
//go:embed objects/*/copy.co
var objects embed.FS

// copyObject returns those of a target.
func copyObject(target string) ([]byte, error) {
	b, err := objects.ReadFile("objects/" + target + "/copy.co")
	if err != nil {
		return nil, fmt.Errorf("kfd: there are no kernels for %s: %w", target, ErrNoDevice)
	}
	return b, nil
}

// Sizes of copies.
const (
	copyBlock    = 256 // threads
	blocksPerCU  = 4   // so that enough loads are under way for memory that is far away
	stagingBytes = 256 << 10
)

// upload copies b to the device, through the staging memory, and waits.
func (d *Device) upload(to uint64, b []byte) error {
	for len(b) > 0 {
		n := copy(d.staging.bytes(), b)
		if err := d.copyNow(to, uint64(d.staging.va), int64(n)); err != nil {
			return err
		}
		to, b = to+uint64(n), b[n:]
	}
	return nil
}

// copyNow copies n bytes and waits.
func (d *Device) copyNow(to, from uint64, n int64) error {
	p, m, err := d.copyPacket(to, from, n)
	if err != nil {
		return err
	}
	if err := d.submit(&p, m.sig); err != nil {
		return err
	}
	return d.sync(m)
}

// work returns the packet of a kernel of the driver's own over n bytes, 16 for each thread, with its arguments except
// the last, the number of threads, which it adds.
func (d *Device) work(kernel string, n int64, each int64, args ...uint64) (abi.Packet, mark, error) {
	k := d.copier.kernels[kernel]
	if k == nil {
		return abi.Packet{}, mark{}, fmt.Errorf("kfd: there is no kernel %s", kernel)
	}
	blocks := min((n+each*copyBlock-1)/(each*copyBlock), blocksPerCU*int64(d.vm.gpu.CUs))
	p, err := k.packet(d, [3]uint32{uint32(blocks), 1, 1}, [3]uint32{copyBlock, 1, 1}, k.minArgs)
	if err != nil {
		return p, mark{}, err
	}
	m, kernarg, err := d.take()
	if err != nil {
		return p, m, err
	}
	b := unsafe.Slice((*byte)(pointer(kernarg)), kernargSlot)
	for i, a := range append(args, uint64(blocks*copyBlock)) {
		at := k.Args[i]
		if at.Size == 4 {
			binary.LittleEndian.PutUint32(b[at.Offset:], uint32(a))
		} else {
			binary.LittleEndian.PutUint64(b[at.Offset:], a)
		}
	}
	p.AsDispatch().Kernarg = uint64(kernarg)
	p.SetCompletion(addressOf(m.sig))
	return p, m, nil
}

// copyPacket returns a copy of n bytes.
func (d *Device) copyPacket(to, from uint64, n int64) (abi.Packet, mark, error) {
	if (to^from)%16 == 0 {
		return d.work("copy_aligned", n, 16, to, from, uint64(n))
	}
	return d.work("copy_bytes", n, 1, to, from, uint64(n))
}

// Copy enqueues the copy of n bytes, both of this device's or its HostAlloc, which must not overlap.
func (s *Stream) Copy(to, from uint64, n int64) error {
	return s.move("a copy", n, func(d *Device) (abi.Packet, mark, error) {
		if err := errors.Join(d.mem.check(uintptr(to), n, false), d.mem.check(uintptr(from), n, false)); err != nil {
			return abi.Packet{}, mark{}, err
		}
		return d.copyPacket(to, from, n)
	})
}

// CopyHost is Copy with one side, the host's, in memory of HostAlloc.
func (s *Stream) CopyHost(to, from uint64, n int64, toHost bool) error {
	host := from
	if toHost {
		host = to
	}
	if n > 0 {
		if err := s.d.mem.check(uintptr(host), n, true); err != nil {
			return err
		}
	}
	return s.Copy(to, from, n)
}

// Fill enqueues the filling of n bytes.
func (s *Stream) Fill(to uint64, value byte, n int64) error {
	return s.move("filling", n, func(d *Device) (abi.Packet, mark, error) {
		if err := d.mem.check(uintptr(to), n, false); err != nil {
			return abi.Packet{}, mark{}, err
		}
		return d.work("fill", n, 16, to, uint64(n), uint64(value)*0x01010101)
	})
}

// move enqueues a packet of the driver's own kernels over n bytes.
func (s *Stream) move(what string, n int64, packet func(*Device) (abi.Packet, mark, error)) error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := s.working(what); err != nil {
		return err
	}
	if n < 0 {
		return fmt.Errorf("kfd: %s of %d bytes", what, n)
	}
	if n == 0 {
		return nil
	}
	p, m, err := packet(d)
	if err != nil {
		return err
	}
	return s.submit(&p, m)
}

// CopyObject returns the kernels that copy and fill, for a target: "fill" takes an address, the number of bytes, four
// equal bytes as a number, and the number of threads.
func CopyObject(target string) ([]byte, error) { return copyObject(target) }
