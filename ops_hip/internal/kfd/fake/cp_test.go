//go:build linux

package fake

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// rig is a client with the driver's kernels in shared memory, and memory to work on.
type rig struct {
	*client
	object *codeobj.Object
	code   buf
	ib     buf
	host   buf // two pages: arguments, then data
	dev    buf
}

func newRig(t testing.TB, m *Machine) *rig {
	t.Helper()
	c := newClient(t, m)
	c.ready()
	c.start()
	image, err := os.ReadFile("../drv/objects/" + m.cfg.GPUs[0].Target + "/copy.co")
	c.must("read kernels", err)
	o, err := codeobj.Parse(image)
	c.must("parse kernels", err)
	r := &rig{client: c, object: o, code: c.alloc(uint64(len(o.Image)), abi.HostFlags), ib: c.alloc(4096, abi.HostFlags),
		host: c.alloc(8192, abi.HostFlags), dev: c.alloc(8192, abi.DeviceFlags)}
	copy(r.code.bytes(), o.Image)
	for i, w := range abi.AcquireMem(abi.GCRCode) {
		le.PutUint32(r.ib.bytes()[4*i:], w)
	}
	return r
}

// fill returns a launch of the kernel that fills n bytes at to.
func (r *rig) fill(to, n uint64, value byte, signal uint64) abi.Dispatch {
	args := r.host.bytes()
	le.PutUint64(args, to)
	le.PutUint64(args[8:], n)
	le.PutUint32(args[16:], uint32(value)*0x01010101)
	le.PutUint32(args[20:], 256)
	k := r.object.Kernel("fill")
	return abi.Dispatch{Header: abi.HeaderDispatchSingle, Setup: 3, GroupX: 256, GroupY: 1, GroupZ: 1, GridX: 256, GridY: 1,
		GridZ: 1, KernelObject: r.code.va + k.DescriptorAddr, Kernarg: r.host.va, Completion: signal}
}

// invalidate runs the packet that empties the instruction cache.
func (r *rig) invalidate() {
	r.put(abi.Indirect(r.ib.va, 8, 0))
	r.submit()
	r.steps()
}

// steps executes all packets of a Manual machine.
func (r *rig) steps() {
	for r.m.Step() {
	}
}

func (r *rig) launch(d abi.Dispatch) {
	r.put(d.Packet())
	r.submit()
	r.steps()
}

func TestLaunch(t *testing.T) {
	for _, one := range []bool{false, true} {
		for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
			m := newMachine(t, Config{GPUs: []GPU{Card(target)}, OneMemory: one})
			r := newRig(t, m)
			r.invalidate()
			s, at := r.signal(0)
			r.launch(r.fill(r.host.va+4096, 100, 0x5a, at))
			if got := r.wait(1000); got != abi.WaitComplete || s.Value != 0 {
				t.Fatalf("%s: result %d, value %d: %v", target, got, s.Value, m.KernelFault())
			}
			want := append(bytes.Repeat([]byte{0x5a}, 100), 0)
			if got := r.host.bytes()[4096:][:101]; !bytes.Equal(got, want) {
				t.Errorf("%s: filled bytes are %x", target, got)
			}
			if g := m.gpus[0]; g.device(r.dev.va, 1)[0] != 0xff {
				t.Errorf("%s: fresh device memory is not poisoned", target)
			}
			tripped(t, m)
		}
	}
}

// Every error of a packet stops the queue, with the code of its exception in both channels.
func TestBadPackets(t *testing.T) {
	vendor := func(change func(r *rig, p *abi.Packet)) func(*rig) abi.Packet {
		return func(r *rig) abi.Packet {
			p := abi.Indirect(r.ib.va, 8, 0)
			change(r, &p)
			return p
		}
	}
	dispatch := func(change func(d *abi.Dispatch)) func(*rig) abi.Packet {
		return func(r *rig) abi.Packet {
			d := r.fill(r.host.va+4096, 16, 1, 0)
			change(&d)
			return d.Packet()
		}
	}
	barrier := func(change func(b *abi.BarrierAnd)) func(*rig) abi.Packet {
		return func(r *rig) abi.Packet {
			b := abi.BarrierAnd{Header: abi.HeaderBarrierSystem}
			change(&b)
			return b.Packet()
		}
	}
	word := func(i int, w uint32) func(*rig, *abi.Packet) {
		return func(r *rig, _ *abi.Packet) { le.PutUint32(r.ib.bytes()[4*i:], w) }
	}
	for _, x := range []struct {
		name   string
		code   int
		packet func(r *rig) abi.Packet
	}{
		{"setup", abi.ECQueueDispatchDim, dispatch(func(d *abi.Dispatch) { d.Setup = 1 })},
		{"empty grid", abi.ECQueueDispatchDim, dispatch(func(d *abi.Dispatch) { d.GridY = 0 })},
		{"grid in blocks", abi.ECQueueDispatchDim, dispatch(func(d *abi.Dispatch) { d.GridX = 1 })},
		{"empty workgroup", abi.ECQueueWorkgroupSize, dispatch(func(d *abi.Dispatch) { d.GroupX = 0 })},
		{"large workgroup", abi.ECQueueWorkgroupSize, dispatch(func(d *abi.Dispatch) { d.GroupX, d.GridX = 2048, 2048 })},
		{"large product", abi.ECQueueWorkgroupSize, dispatch(func(d *abi.Dispatch) { d.GroupY, d.GridY = 8, 8 })},
		{"LDS", abi.ECQueueGroupSegment, dispatch(func(d *abi.Dispatch) { d.GroupSize = 65537 })},
		{"scratch", abi.ECQueueRegister, dispatch(func(d *abi.Dispatch) { d.PrivateSize = 16 })},
		{"reserved", abi.ECQueueReserved, dispatch(func(d *abi.Dispatch) { d.Reserved1 = 1 })},
		{"reserved half", abi.ECQueueReserved, dispatch(func(d *abi.Dispatch) { d.Reserved0 = 1 })},
		{"descriptor", abi.ECQueueCodeAddress, dispatch(func(d *abi.Dispatch) { d.KernelObject += 64 })},
		{"unaligned descriptor", abi.ECQueueCodeAddress, dispatch(func(d *abi.Dispatch) { d.KernelObject++ })},
		{"no descriptor", abi.ECQueueCodeAddress, dispatch(func(d *abi.Dispatch) { d.KernelObject = 64 })},
		{"unaligned arguments", abi.ECQueueReserved, dispatch(func(d *abi.Dispatch) { d.Kernarg += 16 })},
		{"no arguments", abi.ECQueueReserved, dispatch(func(d *abi.Dispatch) { d.Kernarg = 0 })},
		{"signal", abi.ECQueueReserved, dispatch(func(d *abi.Dispatch) { d.Completion = 64 })},
		{"barrier", abi.ECQueueReserved, barrier(func(b *abi.BarrierAnd) { b.Reserved1 = 1 })},
		{"dependency", abi.ECQueueReserved, barrier(func(b *abi.BarrierAnd) { b.Deps[4] = 64 })},
		{"agent dispatch", abi.ECQueueUnsupported, barrier(func(b *abi.BarrierAnd) { b.Header += 1 })},
		{"format", abi.ECQueueVendor, vendor(func(_ *rig, p *abi.Packet) { p[0] += 1 << 16 })},
		{"indirect buffer", abi.ECQueueVendor, vendor(func(_ *rig, p *abi.Packet) { p[4] = 8 })},
		{"remaining dwords", abi.ECQueueVendor, vendor(func(_ *rig, p *abi.Packet) { p[5] = 0 })},
		{"PM4 in device memory", abi.ECQueueVendor, vendor(func(r *rig, p *abi.Packet) {
			*p = abi.Indirect(r.dev.va, 8, 0)
		})},
		{"PM4 opcode", abi.ECQueueVendor, vendor(word(0, abi.Type3(0x15, 7)))},
		{"PM4 header", abi.ECQueueVendor, vendor(word(0, 0))},
		{"ACQUIRE_MEM", abi.ECQueueVendor, vendor(word(1, 5))},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := newMachine(t, Config{Manual: true})
			r := newRig(t, m)
			r.invalidate()
			r.put(x.packet(r))
			r.submit()
			r.steps()
			tripped(t, m, "bad-packet")
			if bits := le.Uint64(r.errs.bytes()[64:]); bits != 1<<(x.code-1) {
				t.Errorf("error bits are %#x, want those of code %d", bits, x.code)
			}
			if v := int64(le.Uint64(r.errs.bytes()[8:])); v != legacy[uint32(x.code)] || v == 0 {
				t.Errorf("the inactive signal is %#x, want %#x", v, legacy[uint32(x.code)])
			}
			if r.wait(10) != abi.WaitComplete {
				t.Error("the event of errors has not happened")
			}
			if m.Step() {
				t.Error("the queue goes on")
			}
		})
	}
}

// Rules of doorbells and packets, each broken once.
func TestRules(t *testing.T) {
	nothing := (&abi.BarrierAnd{Header: abi.HeaderBarrierSystem}).Packet()
	for _, x := range []struct {
		name  string
		rules []string
		try   func(r *rig)
	}{
		{"in order", nil, func(r *rig) { r.put(nothing); r.submit(); r.steps() }},
		{"doorbell before index", []string{"doorbell-before-index"}, func(r *rig) {
			r.put(nothing)
			r.m.Ring(r.bell, r.write-1)
			r.queue.WriteDispatchID = r.write
			r.steps()
		}},
		{"doorbell behind the index", []string{"doorbell-before-index", "doorbell-before-header"}, func(r *rig) {
			r.put(nothing)
			r.queue.WriteDispatchID = r.write
			r.m.Ring(r.bell, r.write)
		}},
		{"doorbell of an older packet", []string{"doorbell-value"}, func(r *rig) {
			r.put(nothing)
			r.submit()
			r.m.Ring(r.bell, r.write-1)
		}},
		{"doorbell too small", []string{"doorbell-value"}, func(r *rig) {
			r.put(nothing)
			r.put(nothing)
			r.queue.WriteDispatchID = r.write
			r.m.Ring(r.bell, r.write-2)
		}},
		{"doorbell before header", []string{"doorbell-before-header"}, func(r *rig) {
			r.write++
			r.submit()
			r.steps()
		}},
		{"overrun", []string{"ring-overrun"}, func(r *rig) {
			for range 40 {
				r.put(nothing)
			}
			r.submit()
			for range 40 {
				r.put(nothing)
			}
			r.submit()
		}},
		{"overwritten", []string{"packet-changed"}, func(r *rig) {
			r.put(nothing)
			r.submit()
			r.write--
			r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Deps: [5]uint64{r.errs.va}}).Packet())
			r.steps()
		}},
		{"other doorbell", []string{"doorbell"}, func(r *rig) { var x uint64; r.m.Ring(&x, 0) }},
		{"doorbell by a plain store", []string{"doorbell"}, func(r *rig) { *r.bell = 5; r.wait(0) }},
		{"signal twice", []string{"signal-reuse"}, func(r *rig) {
			_, at := r.signal(0)
			for range 2 {
				r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Completion: at}).Packet())
			}
			r.submit()
		}},
		{"signal not fresh", []string{"signal-value"}, func(r *rig) {
			s, at := r.signal(0)
			s.Value = 0
			r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Completion: at}).Packet())
			r.submit()
		}},
		{"mailbox", []string{"mailbox"}, func(r *rig) {
			s, at := r.signal(0)
			s.Mailbox += 8
			r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Completion: at}).Packet())
			r.submit()
			r.steps()
		}},
		{"barrier that waits for ever", []string{"barrier-stall"}, func(r *rig) {
			_, at := r.signal(0)
			r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Deps: [5]uint64{at}}).Packet())
			r.submit()
			r.m.Sleep(2 * stallLimit)
			r.m.Sleep(2 * stallLimit)
		}},
		{"no barrier bit", []string{"packet-policy"}, func(r *rig) {
			r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem &^ abi.HeaderBarrier}).Packet())
			r.submit()
			r.steps()
		}},
		{"no agent fences", []string{"packet-policy"}, func(r *rig) {
			r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem & 0x1ff}).Packet())
			r.submit()
			r.steps()
		}},
		{"no invalidation", []string{"stale-code"}, func(r *rig) { r.launch(r.fill(r.host.va+4096, 16, 1, 0)) }},
		{"code that changed", []string{"stale-code"}, func(r *rig) {
			r.invalidate()
			at, size, _ := segment(r.code.bytes())
			r.code.bytes()[at+size-1] ^= 1
			r.launch(r.fill(r.host.va+4096, 16, 1, 0))
		}},
		{"code that overwrites itself", []string{"code-changed"}, func(r *rig) {
			r.invalidate()
			at, size, _ := segment(r.code.bytes())
			r.launch(r.fill(r.code.va+at+size-16, 16, 1, 0))
		}},
		{"PM4 that changes", []string{"ib-changed"}, func(r *rig) {
			r.put(abi.Indirect(r.ib.va, 8, 0))
			r.submit()
			le.PutUint32(r.ib.bytes(), abi.Type3(abi.PM4NOP, 7))
			r.steps()
		}},
		{"invalidation of too little", []string{"acquire-mem", "stale-code"}, func(r *rig) {
			le.PutUint32(r.ib.bytes()[28:], abi.GCRInvInstruction)
			r.invalidate()
			r.launch(r.fill(r.host.va+4096, 16, 1, 0))
		}},
		{"arguments behind the acquire", []string{"kernarg-stale", "kernarg-reuse"}, func(r *rig) {
			r.invalidate()
			d := r.fill(r.host.va+4096, 16, 1, 0)
			first := d
			r.put(first.Packet())
			d.Header = abi.HeaderDispatchLast
			r.put(d.Packet())
			r.submit()
			r.m.Step()
			r.host.bytes()[8]++
			r.steps()
		}},
		{"arguments that change", []string{"kernarg-reuse"}, func(r *rig) {
			r.invalidate()
			r.put(nothing)
			r.put(func() abi.Packet { d := r.fill(r.host.va+4096, 16, 1, 0); return d.Packet() }())
			r.submit()
			r.host.bytes()[8]++
			r.steps()
		}},
		{"arguments at the end of memory", []string{"kernarg-end"}, func(r *rig) {
			r.invalidate()
			d := r.fill(r.host.va+4096, 16, 1, 0)
			copy(r.host.bytes()[8192-64:], r.host.bytes()[:64])
			d.Kernarg = r.host.va + 8192 - 64
			r.launch(d)
		}},
		{"signal without release", []string{"signal-before-release"}, func(r *rig) {
			r.invalidate()
			_, at := r.signal(0)
			d := r.fill(r.host.va+4096, 16, 1, at)
			d.Header = abi.HeaderDispatchFirst
			r.launch(d)
			if r.host.bytes()[4096] != 0 {
				r.t.Error("the host sees what was not released")
			}
			r.put(nothing)
			r.submit()
			r.steps()
			if r.host.bytes()[4096] != 1 {
				r.t.Error("the host does not see what was released")
			}
		}},
		{"stores of both sides", []string{"memory-race"}, func(r *rig) {
			r.invalidate()
			d := r.fill(r.host.va+4096, 16, 1, 0)
			d.Header = abi.HeaderDispatchFirst
			r.launch(d)
			r.host.bytes()[4100] = 7
			r.put(nothing)
			r.submit()
			r.steps()
		}},
		{"unmap of a busy queue's memory", []string{"unmap-busy"}, func(r *rig) {
			r.put(nothing)
			r.submit()
			r.must("UNMAP", r.mapTo(r.dev, abi.IocUnmap, r.gpu))
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := newMachine(t, Config{Manual: true})
			x.try(newRig(t, m))
			tripped(t, m, x.rules...)
		})
	}
}

// A kernel that leaves its memory raises the memory event with the page of the address; its queue ends.
func TestMemoryFault(t *testing.T) {
	m := newMachine(t, Config{Manual: true})
	r := newRig(t, m)
	r.invalidate()
	id, err := r.createEvent(abi.EventMemory)
	r.must("CREATE_EVENT", err)
	end := r.dev.va + 8192
	r.launch(r.fill(end-64, 100, 1, 0))
	d := &abi.EventData{EventID: id}
	if got, err := waitFor(r.client, false, 10, d); err != nil || got != abi.WaitComplete {
		t.Fatalf("result %d, %v", got, err)
	}
	if e := d.Memory(); e.VA != end || !e.NotPresent || e.GPUID != r.gpu {
		t.Errorf("%+v, want %#x of GPU %#x", e, end, r.gpu)
	}
	if m.KernelFault() == nil {
		t.Error("no kernel has faulted")
	}
	r.put(abi.Packet{uint32(abi.HeaderBarrierSystem)})
	r.submit()
	if m.Step() {
		t.Error("the queue goes on after a fault")
	}
	tripped(t, m)
}

// Two GPUs can wait for each other's signals in shared memory.
func TestBarrierAcross(t *testing.T) {
	m := newMachine(t, Config{})
	r := newRig(t, m)
	s, at := r.signal(1)
	_, done := r.signal(0)
	r.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Deps: [5]uint64{at}, Completion: done}).Packet())
	r.submit()
	if got := r.wait(10); got != abi.WaitTimeout {
		t.Errorf("result %d before the dependency", got)
	}
	s.Value = 0
	if got := r.wait(10000); got != abi.WaitComplete {
		t.Errorf("result %d after the dependency", got)
	}
	tripped(t, m)
}

func TestSymbols(t *testing.T) {
	m := newMachine(t, Config{Manual: true})
	r := newRig(t, m)
	for _, k := range r.object.Kernels {
		if got := symbol(r.object.Image, k.DescriptorAddr); got != k.Name {
			t.Errorf("the kernel at %#x is %q, want %q", k.DescriptorAddr, got, k.Name)
		}
	}
	if got, want := symbol(r.object.Image, 8), fmt.Sprintf("kernel %#x", 8); got != want {
		t.Errorf("no kernel is %q, want %q", got, want)
	}
}
