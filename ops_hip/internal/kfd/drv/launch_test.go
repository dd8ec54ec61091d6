//go:build linux && (amd64 || arm64)

package drv

import (
	"sync/atomic"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// instant is a GPU that has done all packets as soon as the doorbell rings.
type instant struct {
	sys.Sys
	q     *queue
	rings int
}

func (s *instant) Ring(_ *uint64, v uint64) {
	s.rings++
	if c := s.q.packet(v).Completion(); c != 0 {
		atomic.StoreInt64(&(*abi.Signal)(pointer(uintptr(c))).Value, 0)
	}
	atomic.StoreUint64(&s.q.desc.ReadDispatchID, v+1)
}

// instantDevice returns a device whose queue is memory of the host alone.
func instantDevice(t testing.TB) (*Device, *instant) {
	t.Helper()
	s := &instant{Sys: sys.NewLinux()}
	p, err := NewProcess(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{p: p, vm: &vm{}, kernels: map[uint64]*Kernel{}}
	s.q = &d.q
	at := func(n uintptr) *buffer {
		va, err := s.Mmap(-1, 0, 0, n, 3, 0x22) // readable, writable; private, anonymous
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Munmap(va, n); err != nil {
				t.Error(err)
			}
		})
		return &buffer{va: va, size: n}
	}
	d.q.size = p.opt.RingPackets
	d.q.ring, d.q.page = at(uintptr(d.q.size)*abi.PacketSize), at(abi.PageSize)
	d.q.desc, d.q.doorbell = (*abi.Queue)(pointer(d.q.page.va)), new(uint64)
	d.sig.pool, d.sig.kernarg = at(poolSignals*abi.SignalSize), at(poolSignals*kernargSlot)
	return d, s
}

// graphOf returns a graph of n launches.
func graphOf(d *Device, n int) *Graph {
	g := &Graph{d: d}
	for i := range n {
		x := abi.Dispatch{Header: d.header(i == 0, i == n-1), Setup: abi.SetupDims, GroupX: 256, GroupY: 1, GroupZ: 1,
			GridX: 256, GridY: 1, GridZ: 1, KernelObject: 64, Kernarg: uint64(64 * i)}
		g.packets = append(g.packets, x.Packet())
	}
	return g
}

// TestGraphPackets looks at what a graph puts into the ring: headers by place, one completion, a doorbell for each
// half ring.
func TestGraphPackets(t *testing.T) {
	d, s := instantDevice(t)
	st := &Stream{d: d}
	const n = 10000 // more than the ring holds
	g := graphOf(d, n)
	for round := range 3 {
		s.rings = 0
		if err := g.Launch(st); err != nil {
			t.Fatal(err)
		}
		if s.rings != 3 || d.q.write != uint64(n*(round+1)) || !isDone(st.last.sig) {
			t.Errorf("round %d: %d doorbells, %d packets written", round, s.rings, d.q.write)
		}
	}
	last := d.q.packet(d.q.write - 1)
	if last.Header() != abi.HeaderDispatchLast || last.Completion() != addressOf(st.last.sig) {
		t.Errorf("the last packet is %08x", *last)
	}
	if p := d.q.packet(d.q.write - 2); p.Header() != abi.HeaderDispatchInner || p.Completion() != 0 {
		t.Errorf("the packet before the last is %08x", *p)
	}
	if p := g.packets[0]; p.Header() != abi.HeaderDispatchFirst {
		t.Errorf("the first packet is %08x", p)
	}
	if g := graphOf(d, 1); g.packets[0].Header() != abi.HeaderDispatchSingle {
		t.Errorf("a single packet is %08x", g.packets[0])
	}
	d.p.opt.SystemFences = true
	for i, p := range graphOf(d, 3).packets {
		if p.Header() != abi.HeaderDispatchSingle {
			t.Errorf("with fences of the system packet %d is %08x", i, p)
		}
	}
}

// BenchmarkGraphLaunch is what starting a graph of 1,000 launches costs in this program, without a GPU. It must not
// allocate.
func BenchmarkGraphLaunch(b *testing.B) {
	d, _ := instantDevice(b)
	st, g := &Stream{d: d}, graphOf(d, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Launch(st); err != nil {
			b.Fatal(err)
		}
	}
}

// TestGraphAllocations pins that starting a graph allocates nothing.
func TestGraphAllocations(t *testing.T) {
	d, _ := instantDevice(t)
	st, g := &Stream{d: d}, graphOf(d, 100)
	if n := testing.AllocsPerRun(100, func() {
		if err := g.Launch(st); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("starting a graph allocates %v times", n)
	}
}
