//go:build linux

package fake

import (
	"bytes"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// vendor runs the PM4 of an indirect buffer.
func (q *queue) vendor(p *abi.Packet) *badPacket {
	g := q.gpu
	dwords := p[4] &^ abi.IndirectBufferBit
	addr := uint64(p[2]) | uint64(p[3])<<32
	switch {
	case p[0]>>16 != abi.VendorPM4 || p[1] != abi.Type3(abi.PM4IndirectBuffer, 3):
		return bad(abi.ECQueueVendor, "format %d with PM4 header %#x", p[0]>>16, p[1])
	case p[2]&3 != 0 || p[3]>>16 != 0 || p[4]&abi.IndirectBufferBit == 0 || dwords == 0 || dwords > abi.MaxIndirectDwords:
		return bad(abi.ECQueueVendor, "indirect buffer %#x, %#x, %#x", p[2], p[3], p[4])
	case p[5] != abi.VendorRemaining:
		return bad(abi.ECQueueVendor, "%#x behind the indirect buffer", p[5])
	}
	for _, x := range p[6:14] {
		if x != 0 {
			return bad(abi.ECQueueVendor, "reserved fields are set")
		}
	}
	b := g.find(addr)
	raw := g.host(addr, 4*uint64(dwords))
	if raw == nil || b.flags&abi.MemExecutable == 0 {
		return bad(abi.ECQueueVendor, "%d dwords of PM4 at %#x are not in executable shared memory", dwords, addr)
	}
	if old := q.kernargs[q.next]; old != nil && !bytes.Equal(old, raw) {
		g.m.violate("ib-changed", "the PM4 of packet %d of queue %d at %#x has changed since the doorbell", q.next, q.id,
			addr)
	}
	return g.pm4(bytes.Clone(raw))
}

// pm4 executes packets: those that the driver has a use for.
func (g *gpu) pm4(ib []byte) *badPacket {
	for len(ib) > 0 {
		h := le.Uint32(ib)
		n := int(h>>16&0x3fff) + 1
		if h>>30 != 3 || h&0xff&^2 != 0 || len(ib) < 4*(n+1) {
			return bad(abi.ECQueueVendor, "PM4 header %#x with %d bytes left", h, len(ib))
		}
		body := make([]uint32, n)
		for i := range body {
			body[i] = le.Uint32(ib[4+4*i:])
		}
		ib = ib[4*(n+1):]
		switch op := h >> 8 & 0xff; op {
		case abi.PM4NOP:
		case abi.PM4EventWrite:
			const flush = 7 | 4<<8 // CS_PARTIAL_FLUSH
			if n != 1 || body[0] != flush {
				return bad(abi.ECQueueVendor, "EVENT_WRITE %#x", body)
			}
		case abi.PM4AcquireMem:
			if b := g.acquireMem(body); b != nil {
				return b
			}
		default:
			return bad(abi.ECQueueVendor, "PM4 opcode %#x", op)
		}
	}
	return nil
}

// acquireMem is ACQUIRE_MEM.
func (g *gpu) acquireMem(body []uint32) *badPacket {
	if len(body) != 7 || body[0] != 0 || body[5] != 0xa {
		return bad(abi.ECQueueVendor, "ACQUIRE_MEM %#x", body)
	}
	if body[1] != 0xffffffff || body[2] != 0x00ffffff || body[3] != 0 || body[4] != 0 {
		g.m.violate("acquire-mem", "ACQUIRE_MEM covers a part of memory: %#x", body)
		return nil
	}
	gcr := body[6]
	if gcr&abi.GCRInvInstruction == 0 {
		return nil
	}
	if gcr&abi.GCRCode != abi.GCRCode {
		g.m.violate("acquire-mem", "ACQUIRE_MEM with %#x invalidates the instruction cache and leaves caches behind it, %#x",
			gcr, abi.GCRCode&^gcr)
		return nil
	}
	g.invalidateCode()
	return nil
}
