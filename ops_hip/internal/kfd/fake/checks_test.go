//go:build linux

package fake

import (
	"fmt"
	"math"
	"syscall"
	"testing"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// check trips one of the 22 checks of ioctls: it does something wrong, and the machine answers with an error, a
// violation, or both. Whatever is not named as a rule must not be broken.
type check struct {
	number int
	name   string
	cfg    Config
	try    func(c *client)
	rules  []string
}

// twoGPUs is a machine of two cards.
var twoGPUs = Config{GPUs: []GPU{Card("gfx1100"), Card("gfx1201")}}

func peers() Config {
	a, b := Card("gfx1100"), Card("gfx1100")
	a.Peer, b.Peer = true, true
	return Config{GPUs: []GPU{a, b}}
}

func allocArgs(c *client, n uint64, flags uint32) *abi.Alloc {
	return &abi.Alloc{VA: 0x10000, Size: n, GPUID: c.gpu, Flags: flags}
}

// queueWith returns a check of CREATE_QUEUE with one thing changed.
func queueWith(number int, name string, k Kernel, change func(c *client), want syscall.Errno, rules ...string) check {
	return check{number, name, Config{Kernel: k}, func(c *client) {
		c.ready()
		change(c)
		expect(c.t, "CREATE_QUEUE", call(c, abi.IocCreateQueue, &c.args), want)
	}, rules}
}

func header(c *client) *abi.CWSRHeader { return (*abi.CWSRHeader)(sys.Pointer(uintptr(c.save.va))) }

var checks = []check{
	{1, "unknown ioctl", Config{}, func(c *client) {
		expect(c.t, "ioctl", c.m.Ioctl(c.kfd, 0xc0104b7f, unsafe.Pointer(&abi.AvailableMemory{})), syscall.ENOTTY)
	}, nil},
	{1, "ioctl of a later kernel", Config{Kernel: Linux68}, func(c *client) {
		expect(c.t, "ioctl", c.m.Ioctl(c.kfd, abi.IocCreateProcess, nil), syscall.ENOTTY)
	}, nil},
	{1, "short argument", Config{}, func(c *client) { // is extended by zeros, and cut on the way back
		v := [2]uint32{7, 7}
		expect(c.t, "ioctl", c.m.Ioctl(c.kfd, abi.IocGetVersion&^(4<<16)&^(8<<16)|4<<16, unsafe.Pointer(&v)), 0)
		if v != [2]uint32{1, 7} {
			c.t.Errorf("GET_VERSION with 4 bytes: %v", v)
		}
	}, []string{"ioctl-size"}},
	{2, "ioctl after a fork", Config{}, func(c *client) {
		expect(c.t, "ioctl", c.m.Fork().Ioctl(c.kfd, abi.IocGetVersion, unsafe.Pointer(&abi.Version{})), syscall.EBADF)
	}, []string{"fork"}},
	{2, "mmap after a fork", Config{}, func(c *client) {
		_, err := c.m.Fork().Mmap(c.kfd, 0, 0, 4096, 3, syscall.MAP_SHARED)
		expect(c.t, "mmap", err, syscall.EBADF)
	}, []string{"fork"}},
	{3, "padding", Config{}, func(c *client) {
		expect(c.t, "ioctl", call(c, abi.IocGetApertures, &abi.AperturesArgs{Pad: 1}), 0)
	}, []string{"reserved"}},
	queueWith(3, "queue padding", Linux72, func(c *client) { c.args.MetadataRingSize = 4096 }, 0, "reserved"),
	{4, "no render node", Config{}, func(c *client) {
		expect(c.t, "ACQUIRE_VM", call(c, abi.IocAcquireVM, &abi.AcquireVM{DRMFD: uint32(c.kfd), GPUID: c.gpu}),
			syscall.EINVAL)
	}, []string{"acquire-vm"}},
	{4, "another GPU's node", twoGPUs, func(c *client) {
		expect(c.t, "ACQUIRE_VM", call(c, abi.IocAcquireVM, &abi.AcquireVM{DRMFD: uint32(c.drm), GPUID: c.m.GPUID(1)}),
			syscall.EINVAL)
	}, []string{"acquire-vm"}},
	{4, "second file", Config{}, func(c *client) {
		c.acquire()
		c.acquire() // the same file again is no error
		fd, err := c.m.Open(c.m.RenderPath(0), syscall.O_RDWR)
		c.must("open", err)
		expect(c.t, "ACQUIRE_VM", call(c, abi.IocAcquireVM, &abi.AcquireVM{DRMFD: uint32(fd), GPUID: c.gpu}),
			syscall.EBUSY)
	}, nil},
	{5, "ALLOC before ACQUIRE_VM", Config{}, func(c *client) {
		expect(c.t, "ALLOC", call(c, abi.IocAlloc, allocArgs(c, 4096, abi.DeviceFlags)), syscall.ENODEV)
	}, nil},
	{5, "CREATE_QUEUE before ACQUIRE_VM", Config{}, func(c *client) {
		expect(c.t, "CREATE_QUEUE", call(c, abi.IocCreateQueue, &abi.CreateQueue{Ring: 4096, ReadPtr: 4096,
			WritePtr: 4096, RingSize: 4096, GPUID: c.gpu, Type: 2}), syscall.ESRCH)
	}, nil},
	{5, "unknown GPU", Config{}, func(c *client) {
		expect(c.t, "AVAILABLE_MEMORY", call(c, abi.IocAvailableMemory, &abi.AvailableMemory{GPUID: 1}), syscall.EINVAL)
	}, nil},
	{6, "RUNTIME_ENABLE twice", Config{}, func(c *client) {
		expect(c.t, "first", call(c, abi.IocRuntimeEnable, &abi.RuntimeEnableArgs{Mode: 1}), 0)
		expect(c.t, "second", call(c, abi.IocRuntimeEnable, &abi.RuntimeEnableArgs{Mode: 1}), syscall.EBUSY)
	}, nil},
	{6, "RUNTIME_ENABLE after queues", Config{}, func(c *client) {
		c.ready()
		c.must("RUNTIME_ENABLE", call(c, abi.IocRuntimeEnable, &abi.RuntimeEnableArgs{}))
		c.start()
		expect(c.t, "RUNTIME_ENABLE", call(c, abi.IocRuntimeEnable, &abi.RuntimeEnableArgs{Mode: 1}), syscall.EEXIST)
	}, []string{"runtime-order"}},
	{6, "RUNTIME_ENABLE of no use", Config{}, func(c *client) {
		expect(c.t, "RUNTIME_ENABLE", call(c, abi.IocRuntimeEnable, &abi.RuntimeEnableArgs{Mode: 2}), 0)
	}, []string{"runtime-mode"}},
	{7, "ALLOC", Config{}, func(c *client) {
		c.acquire()
		for _, x := range []struct {
			n     uint64
			flags uint32
			want  syscall.Errno
		}{
			{0, abi.DeviceFlags, syscall.EINVAL}, {4096, abi.MemWritable | abi.MemExecutable, syscall.EINVAL},
			{4096, abi.DeviceFlags | abi.MemPublic, syscall.EINVAL}, {2 << 30, abi.DeviceFlags, syscall.ENOMEM},
			{2 << 30, abi.HostFlags, syscall.ENOMEM}, {4096, abi.MemDoorbell, syscall.EINVAL},
			{8192, abi.MemMMIORemap, syscall.EINVAL}, {4096, abi.MemUserptr, syscall.EINVAL},
			{math.MaxUint64 - 4096, abi.HostFlags, syscall.ENOMEM}} {
			expect(c.t, fmt.Sprintf("ALLOC of %#x with %#x", x.n, x.flags),
				call(c, abi.IocAlloc, allocArgs(c, x.n, x.flags)), x.want)
		}
		before := available(c)
		b := c.alloc(100<<20, abi.DeviceFlags)
		if d := before - available(c); d != 100<<20 {
			c.t.Errorf("100 MiB took %d bytes", d)
		}
		c.free(b)
		if available(c) != before {
			c.t.Error("FREE gives not back what ALLOC took")
		}
	}, nil},
	{8, "doorbell memory", Config{}, func(c *client) {
		c.acquire()
		expect(c.t, "ALLOC", call(c, abi.IocAlloc, allocArgs(c, 8192, abi.MemDoorbell|abi.MemWritable|abi.MemExecutable)),
			0)
	}, []string{"alloc-kind"}},
	{8, "public device memory", Config{GPUs: []GPU{{Target: "gfx1100", CUs: 4, VRAM: 1 << 20, LargeBAR: true}}},
		func(c *client) {
			c.acquire()
			expect(c.t, "ALLOC", call(c, abi.IocAlloc, allocArgs(c, 4096, abi.DeviceFlags|abi.MemPublic)), 0)
		}, []string{"alloc-flags"}},
	{8, "shared memory that is cached", Config{}, func(c *client) {
		c.acquire()
		expect(c.t, "ALLOC", call(c, abi.IocAlloc, allocArgs(c, 4096, abi.HostFlags&^abi.MemUncached)), 0)
	}, []string{"alloc-flags"}},
	{8, "doubly mapped ring", Config{}, func(c *client) {
		c.acquire()
		expect(c.t, "ALLOC", call(c, abi.IocAlloc, allocArgs(c, 4096, abi.HostFlags|abi.MemAQLQueue)), 0)
	}, []string{"alloc-flags"}},
	{9, "MAP", Config{}, func(c *client) {
		c.acquire()
		for _, va := range []uint64{0, 0x10001, addressLimit - 4096 + 4096} {
			a := abi.Alloc{VA: va, Size: 4096, GPUID: c.gpu, Flags: abi.DeviceFlags}
			c.must("ALLOC", call(c, abi.IocAlloc, &a))
			expect(c.t, fmt.Sprintf("MAP at %#x", va), c.mapTo(buf{handle: a.Handle}, abi.IocMap, c.gpu), syscall.EINVAL)
		}
		b := c.alloc(4096, abi.DeviceFlags)
		expect(c.t, "MAP to no GPU", c.mapTo(b, abi.IocMap, 7), syscall.EINVAL)
		expect(c.t, "MAP again", c.mapTo(b, abi.IocMap, c.gpu), 0)
	}, nil},
	{9, "MAP of no handle", Config{}, func(c *client) {
		c.acquire()
		expect(c.t, "MAP", c.mapTo(buf{handle: 1}, abi.IocMap, c.gpu), syscall.ENOMEM)
	}, []string{"map-handle"}},
	{9, "n_success", Config{}, func(c *client) {
		c.acquire()
		b := c.alloc(4096, abi.DeviceFlags)
		a := abi.Map{Handle: b.handle, IDs: uint64(uintptr(unsafe.Pointer(&c.gpu))), N: 1, NSuccess: 2}
		expect(c.t, "MAP", call(c, abi.IocMap, &a), syscall.EINVAL)
		a.N, a.NSuccess = 0, 0
		expect(c.t, "MAP", call(c, abi.IocMap, &a), syscall.EINVAL)
	}, []string{"map-count"}},
	{9, "MAP over another", Config{}, func(c *client) {
		c.acquire()
		b := c.alloc(8192, abi.DeviceFlags)
		a := abi.Alloc{VA: b.va + 4096, Size: 4096, GPUID: c.gpu, Flags: abi.DeviceFlags}
		c.must("ALLOC", call(c, abi.IocAlloc, &a))
		expect(c.t, "MAP", c.mapTo(buf{handle: a.Handle}, abi.IocMap, c.gpu), syscall.EINVAL)
	}, []string{"map-overlap"}},
	{9, "MAP outside of what is reserved", Config{}, func(c *client) {
		c.acquire()
		a := abi.Alloc{VA: 0x7fff0000, Size: 4096, GPUID: c.gpu, Flags: abi.DeviceFlags}
		c.must("ALLOC", call(c, abi.IocAlloc, &a))
		expect(c.t, "MAP", c.mapTo(buf{handle: a.Handle}, abi.IocMap, c.gpu), 0)
	}, []string{"map-range"}},
	{9, "MAP of a peer's memory", twoGPUs, func(c *client) {
		c.acquire()
		fd, err := c.m.Open(c.m.RenderPath(1), syscall.O_RDWR)
		c.must("open", err)
		other := c.m.GPUID(1)
		c.must("ACQUIRE_VM", call(c, abi.IocAcquireVM, &abi.AcquireVM{DRMFD: uint32(fd), GPUID: other}))
		expect(c.t, "MAP", c.mapTo(c.alloc(4096, abi.DeviceFlags), abi.IocMap, other), syscall.EINVAL)
		expect(c.t, "MAP", c.mapTo(c.alloc(4096, abi.HostFlags), abi.IocMap, other), 0)
	}, nil},
	{9, "MAP of a peer's memory that it shares", peers(), func(c *client) {
		c.acquire()
		fd, err := c.m.Open(c.m.RenderPath(1), syscall.O_RDWR)
		c.must("open", err)
		other := c.m.GPUID(1)
		c.must("ACQUIRE_VM", call(c, abi.IocAcquireVM, &abi.AcquireVM{DRMFD: uint32(fd), GPUID: other}))
		b := c.alloc(4096, abi.DeviceFlags)
		expect(c.t, "MAP", c.mapTo(b, abi.IocMap, other), 0)
		if g := c.m.gpus; &g[0].device(b.va, 1)[0] != &g[1].device(b.va, 1)[0] {
			c.t.Error("two GPUs see different memory")
		}
	}, nil},
	{10, "UNMAP of the ring", Config{}, func(c *client) {
		c.ready()
		c.start()
		expect(c.t, "UNMAP", c.mapTo(c.ring, abi.IocUnmap, c.gpu), syscall.EBUSY)
	}, []string{"unmap-queue"}},
	{10, "UNMAP twice", Config{}, func(c *client) {
		c.acquire()
		b := c.alloc(4096, abi.DeviceFlags)
		expect(c.t, "UNMAP", c.mapTo(b, abi.IocUnmap, c.gpu), 0)
		expect(c.t, "UNMAP", c.mapTo(b, abi.IocUnmap, c.gpu), syscall.EINVAL)
	}, []string{"unmap"}},
	{10, "FREE of what is mapped", Config{}, func(c *client) {
		c.acquire()
		expect(c.t, "FREE", call(c, abi.IocFree, &abi.Free{Handle: c.alloc(4096, abi.DeviceFlags).handle}), syscall.EBUSY)
	}, []string{"free-mapped"}},
	{10, "FREE of the event page", Config{}, func(c *client) {
		c.ready()
		expect(c.t, "FREE", call(c, abi.IocFree, &abi.Free{Handle: c.page.handle}), syscall.EPERM)
	}, []string{"free"}},
	{10, "FREE twice", Config{}, func(c *client) {
		c.acquire()
		b := c.alloc(4096, abi.DeviceFlags)
		c.free(b)
		expect(c.t, "FREE", call(c, abi.IocFree, &abi.Free{Handle: b.handle}), syscall.EINVAL)
	}, []string{"free"}},
	{10, "addresses given back while mapped", Config{}, func(c *client) {
		c.acquire()
		b := c.alloc(4096, abi.DeviceFlags)
		expect(c.t, "munmap", c.m.Munmap(uintptr(b.va), 4096), 0)
	}, []string{"munmap"}},
	{11, "mmap by another file", Config{}, func(c *client) {
		b, off := c.unmapped()
		fd, err := c.m.Open(c.m.RenderPath(0), syscall.O_RDWR)
		c.must("open", err)
		_, err = c.m.Mmap(fd, off, uintptr(b.va), 4096, 3, syscall.MAP_SHARED|syscall.MAP_FIXED)
		expect(c.t, "mmap", err, syscall.EACCES)
		_, err = c.m.Mmap(c.drm, off, uintptr(b.va), 4096, 3, syscall.MAP_PRIVATE|syscall.MAP_FIXED)
		expect(c.t, "private mmap", err, syscall.EINVAL)
		_, err = c.m.Mmap(c.drm, off, uintptr(b.va), 8192, 3, syscall.MAP_SHARED|syscall.MAP_FIXED)
		expect(c.t, "long mmap", err, syscall.EINVAL)
	}, nil},
	{11, "mmap elsewhere", Config{}, func(c *client) {
		_, off := c.unmapped()
		_, err := c.m.Mmap(c.drm, off, 0, 4096, 3, syscall.MAP_SHARED)
		expect(c.t, "mmap", err, 0)
	}, []string{"buffer-mmap"}},
	{11, "mmap of nothing", Config{}, func(c *client) {
		c.acquire()
		_, err := c.m.Mmap(c.drm, 0x123000, 0, 4096, 3, syscall.MAP_SHARED)
		expect(c.t, "mmap", err, syscall.EINVAL)
	}, []string{"buffer-mmap"}},
	{11, "mmap over what is not the process's", Config{}, func(c *client) {
		_, off := c.unmapped()
		_, err := c.m.Mmap(c.drm, off, 0x7fff0000, 4096, 3, syscall.MAP_SHARED|syscall.MAP_FIXED)
		expect(c.t, "mmap", err, syscall.EINVAL)
	}, []string{"map-fixed"}},
	{12, "doorbells before a queue", Config{}, func(c *client) {
		_, err := c.m.Mmap(c.kfd, abi.MmapDoorbell|uint64(c.gpu)<<46, 0, 8192, 3, syscall.MAP_SHARED)
		expect(c.t, "mmap", err, syscall.EINVAL)
	}, []string{"doorbell-mmap"}},
	{12, "doorbells", Config{}, func(c *client) {
		c.ready()
		c.start()
		_, err := c.m.Mmap(c.kfd, c.args.DoorbellOffset&^0x1fff, 0, 4096, 3, syscall.MAP_SHARED)
		expect(c.t, "half of them", err, syscall.EINVAL)
		_, err = c.m.Mmap(c.kfd, abi.MmapDoorbell|7<<46, 0, 8192, 3, syscall.MAP_SHARED)
		expect(c.t, "another GPU's", err, syscall.ENODEV)
	}, nil},
	{12, "private doorbells", Config{}, func(c *client) {
		c.ready()
		c.start()
		_, err := c.m.Mmap(c.kfd, c.args.DoorbellOffset&^0x1fff, 0, 8192, 3, syscall.MAP_PRIVATE)
		expect(c.t, "mmap", err, syscall.EINVAL)
	}, []string{"doorbell-mmap"}},
	queueWith(13, "percentage", Linux72, func(c *client) { c.args.Percentage = 101 }, syscall.EINVAL),
	queueWith(13, "priority", Linux72, func(c *client) { c.args.Priority = 16 }, syscall.EINVAL),
	queueWith(13, "ring size", Linux72, func(c *client) { c.args.RingSize-- }, syscall.EINVAL),
	queueWith(13, "kernel address", Linux72, func(c *client) { c.args.WritePtr = 1 << 63 }, syscall.EFAULT),
	queueWith(13, "type", Linux72, func(c *client) { c.args.Type = 5 }, abi.ENOTSUPP),
	queueWith(13, "PM4", Linux72, func(c *client) { c.args.Type = abi.QueueCompute }, syscall.EINVAL, "queue-type"),
	queueWith(14, "control stack", Linux612, func(c *client) { c.args.CtlStackSize += 4096 }, syscall.EINVAL),
	queueWith(14, "save area", Linux612, func(c *client) { c.args.CtxSaveSize -= 4096 }, syscall.EINVAL),
	queueWith(14, "larger save area", Linux612, func(c *client) { c.args.CtxSaveSize += 4096 }, syscall.EINVAL),
	queueWith(14, "EOP", Linux612, func(c *client) { c.args.EOPSize = 2048 }, syscall.EINVAL),
	queueWith(14, "ring inside of a buffer", Linux72, func(c *client) {
		b := c.alloc(8192, abi.HostFlags)
		c.args.Ring = b.va
	}, syscall.EINVAL),
	queueWith(14, "pointers inside of a buffer", Linux72, func(c *client) {
		b := c.alloc(8192, abi.HostFlags)
		c.args.WritePtr, c.args.ReadPtr = b.va+0x38, b.va+0x80
	}, syscall.EINVAL),
	queueWith(14, "ring inside of a buffer, unnoticed by the kernel", Linux68, func(c *client) {
		b := c.alloc(8192, abi.HostFlags)
		copy(b.bytes(), c.ring.bytes())
		c.args.Ring, c.queue.Base = b.va, b.va
	}, 0, "queue-buffers"),
	queueWith(15, "queue page in device memory", Linux72, func(c *client) {
		b := c.alloc(4096, abi.DeviceFlags)
		c.args.WritePtr, c.args.ReadPtr = b.va+0x38, b.va+0x80
	}, syscall.EINVAL),
	queueWith(16, "debug area", Linux72, func(c *client) { header(c).DebugOffset = 0 }, 0, "cwsr-header"),
	queueWith(16, "debug size", Linux72, func(c *client) { header(c).DebugSize++ }, 0, "cwsr-header"),
	queueWith(16, "error word", Linux72, func(c *client) { header(c).ErrPayload = 0 }, 0, "cwsr-header"),
	queueWith(16, "error event", Linux72, func(c *client) { header(c).ErrEventID = 99 }, 0, "cwsr-header"),
	queueWith(16, "firmware's fields", Linux72, func(c *client) { header(c).WaveStateSize = 1 }, 0, "cwsr-header"),
	queueWith(17, "size", Linux72, func(c *client) { c.queue.Size = 32 }, 0, "queue-content"),
	queueWith(17, "read offset", Linux72, func(c *client) { c.queue.ReadOffset = 0x38 }, 0, "queue-content"),
	queueWith(17, "aperture", Linux72, func(c *client) { c.queue.GroupApertureHi = 0 }, 0, "queue-content"),
	queueWith(17, "compute units", Linux72, func(c *client) { c.queue.MaxCUID++ }, 0, "queue-content"),
	queueWith(17, "scratch", Linux72, func(c *client) { c.queue.ScratchSize = 4096 }, 0, "queue-content"),
	queueWith(17, "write index", Linux72, func(c *client) { c.queue.WriteDispatchID = 1 }, 0, "queue-content"),
	queueWith(17, "inactive signal", Linux72, func(c *client) { c.queue.InactiveSignal = 0 }, 0, "queue-content"),
	queueWith(17, "ring", Linux72, func(c *client) { c.ring.bytes()[64] = 0 }, 0, "ring-content"),
	{18, "too many queues", Config{Manual: true}, func(c *client) {
		c.ready()
		c.start()
		g := c.m.gpus[0]
		one := g.queues[0]
		for len(g.queues) < maxQueues {
			g.queues = append(g.queues, one)
		}
		c.args.QueueID, c.args.DoorbellOffset = 0, 0
		for _, b := range one.buffers { // as if they were of another queue
			b.show()
			clear(b.pins)
		}
		expect(c.t, "CREATE_QUEUE", call(c, abi.IocCreateQueue, &c.args), syscall.ENOSPC)
		g.queues = g.queues[:1]
	}, nil},
	{18, "buffers of two queues", Config{}, func(c *client) {
		c.ready()
		c.start()
		c.args.QueueID, c.args.DoorbellOffset = 0, 0
		expect(c.t, "CREATE_QUEUE", call(c, abi.IocCreateQueue, &c.args), syscall.EINVAL)
	}, []string{"queue-buffers"}},
	{19, "events without a page", Config{}, func(c *client) {
		_, err := c.createEvent(abi.EventSignal)
		expect(c.t, "CREATE_EVENT", err, 0)
		c.acquire()
		b := c.alloc(abi.EventPageSize, abi.HostFlags)
		expect(c.t, "a page now", call(c, abi.IocCreateEvent, &abi.CreateEvent{PageOffset: b.handle}), syscall.EINVAL)
	}, []string{"event-page"}},
	{19, "event page", Config{}, func(c *client) {
		c.acquire()
		small, dev := c.alloc(4096, abi.HostFlags), c.alloc(abi.EventPageSize, abi.DeviceFlags)
		for _, b := range []buf{small, dev, {handle: 5}} {
			expect(c.t, "CREATE_EVENT", call(c, abi.IocCreateEvent, &abi.CreateEvent{PageOffset: b.handle}),
				syscall.EINVAL)
		}
	}, nil},
	{19, "event type", Config{}, func(c *client) {
		_, err := c.createEvent(1)
		expect(c.t, "CREATE_EVENT", err, syscall.EINVAL)
	}, []string{"event-type"}},
	{19, "slots", Config{}, func(c *client) {
		c.ready()
		for i := c.event + 1; i < abi.EventSlots; i++ {
			if id, err := c.createEvent(abi.EventSignal); err != nil || id != i {
				c.t.Fatalf("event %d: %d, %v", i, id, err)
			}
		}
		_, err := c.createEvent(abi.EventSignal)
		expect(c.t, "CREATE_EVENT", err, syscall.ENOSPC)
		if id, err := c.createEvent(abi.EventMemory); err != nil || id < firstOtherID {
			c.t.Errorf("memory event: %d, %v", id, err)
		}
	}, nil},
	{19, "unknown event", Config{}, func(c *client) {
		expect(c.t, "SET_EVENT", call(c, abi.IocSetEvent, &abi.EventID{ID: 9}), syscall.EINVAL)
		d := abi.EventData{EventID: 9}
		expect(c.t, "WAIT_EVENTS", call(c, abi.IocWaitEvents,
			&abi.WaitEvents{Ptr: uint64(uintptr(unsafe.Pointer(&d))), N: 1}), syscall.EINVAL)
		expect(c.t, "WAIT_EVENTS", call(c, abi.IocWaitEvents, &abi.WaitEvents{N: 5000}), syscall.ENOMEM)
	}, []string{"event-id"}},
	{19, "dirty exception", Config{}, func(c *client) {
		id, err := c.createEvent(abi.EventMemory)
		c.must("CREATE_EVENT", err)
		d := abi.EventData{EventID: id, Data: [4]uint64{3: 1}}
		expect(c.t, "WAIT_EVENTS", call(c, abi.IocWaitEvents,
			&abi.WaitEvents{Ptr: uint64(uintptr(unsafe.Pointer(&d))), N: 1}), 0)
	}, []string{"wait-dirty"}},
	{20, "unknown queue", Config{}, func(c *client) {
		expect(c.t, "DESTROY_QUEUE", call(c, abi.IocDestroyQueue, &abi.DestroyQueue{QueueID: 3}), syscall.EINVAL)
	}, []string{"destroy-queue"}},
	{20, "busy queue", Config{Manual: true}, func(c *client) {
		c.ready()
		c.start()
		c.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem}).Packet())
		c.submit()
		expect(c.t, "DESTROY_QUEUE", call(c, abi.IocDestroyQueue, &abi.DestroyQueue{QueueID: c.args.QueueID}), 0)
	}, []string{"destroy-busy"}},
	{20, "hung queue", Config{Manual: true}, func(c *client) {
		c.ready()
		c.start()
		c.m.Inject(Fault{At: AtHang})
		c.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem}).Packet())
		c.submit()
		c.m.Step()
		before := c.m.Now()
		expect(c.t, "DESTROY_QUEUE", call(c, abi.IocDestroyQueue, &abi.DestroyQueue{QueueID: c.args.QueueID}),
			syscall.ETIME)
		if d := c.m.Now() - before; d < 2e9 {
			c.t.Errorf("destroying a hung queue took %v", d)
		}
	}, nil},
	{22, "changed retry", Config{}, func(c *client) {
		c.acquire()
		c.m.Inject(Fault{At: AtIoctl, Name: "AMDKFD_IOC_AVAILABLE_MEMORY", Err: syscall.EINTR, Count: 2})
		a := abi.AvailableMemory{GPUID: c.gpu}
		expect(c.t, "AVAILABLE_MEMORY", call(c, abi.IocAvailableMemory, &a), syscall.EINTR)
		expect(c.t, "as it was", call(c, abi.IocAvailableMemory, &a), syscall.EINTR)
		a.Pad = 1
		expect(c.t, "changed", call(c, abi.IocAvailableMemory, &a), 0)
	}, []string{"retry"}},
}

func available(c *client) uint64 {
	c.t.Helper()
	a := abi.AvailableMemory{GPUID: c.gpu}
	c.must("AVAILABLE_MEMORY", call(c, abi.IocAvailableMemory, &a))
	return a.Available
}

// unmapped returns a page of shared memory that the host has not mapped, and its offset.
func (c *client) unmapped() (buf, uint64) {
	c.t.Helper()
	c.acquire()
	a := abi.Alloc{VA: c.reserve(4 * 4096), Size: 4096, GPUID: c.gpu, Flags: abi.HostFlags}
	c.must("ALLOC", call(c, abi.IocAlloc, &a))
	return buf{va: a.VA, size: 4096, handle: a.Handle}, a.MmapOffset
}

func TestChecks(t *testing.T) {
	seen := map[int]bool{21: true} // TestLeaks
	for _, x := range checks {
		seen[x.number] = true
		t.Run(fmt.Sprintf("%d/%s", x.number, x.name), func(t *testing.T) {
			m := newMachine(t, x.cfg)
			c := newClient(t, m)
			x.try(c)
			tripped(t, m, x.rules...)
		})
	}
	for i := 1; i <= 22; i++ {
		if !seen[i] {
			t.Errorf("no test trips check %d", i)
		}
	}
}
