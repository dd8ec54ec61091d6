package exec

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// atomicOp computes the new memory value from the old one and the operand.
type atomicOp struct {
	bytes int
	f     func(old, data uint64) uint64
}

// atomicOps are the read-modify-write operations by the part of the mnemonic
// that flat, global and LDS forms share. Compare-and-swap is separate, since it
// has two operands.
var atomicOps = map[string]atomicOp{
	"swap_b32": {4, func(_, d uint64) uint64 { return d }}, "swap_b64": {8, func(_, d uint64) uint64 { return d }},
	"add_u32":  {4, func(o, d uint64) uint64 { return o + d }},
	"add_u64":  {8, func(o, d uint64) uint64 { return o + d }},
	"sub_u32":  {4, func(o, d uint64) uint64 { return o - d }},
	"sub_u64":  {8, func(o, d uint64) uint64 { return o - d }},
	"rsub_u32": {4, func(o, d uint64) uint64 { return d - o }},
	"rsub_u64": {8, func(o, d uint64) uint64 { return d - o }},
	"min_u32":  {4, func(o, d uint64) uint64 { return min(o, d) }},
	"min_u64":  {8, func(o, d uint64) uint64 { return min(o, d) }},
	"max_u32":  {4, func(o, d uint64) uint64 { return max(o, d) }},
	"max_u64":  {8, func(o, d uint64) uint64 { return max(o, d) }},
	"min_i32":  {4, func(o, d uint64) uint64 { return uint64(uint32(min(int32(o), int32(d)))) }},
	"max_i32":  {4, func(o, d uint64) uint64 { return uint64(uint32(max(int32(o), int32(d)))) }},
	"min_i64":  {8, func(o, d uint64) uint64 { return uint64(min(int64(o), int64(d))) }},
	"max_i64":  {8, func(o, d uint64) uint64 { return uint64(max(int64(o), int64(d))) }},
	"and_b32":  {4, func(o, d uint64) uint64 { return o & d }},
	"and_b64":  {8, func(o, d uint64) uint64 { return o & d }},
	"or_b32":   {4, func(o, d uint64) uint64 { return o | d }},
	"or_b64":   {8, func(o, d uint64) uint64 { return o | d }},
	"xor_b32":  {4, func(o, d uint64) uint64 { return o ^ d }},
	"xor_b64":  {8, func(o, d uint64) uint64 { return o ^ d }},
	"inc_u32":  {4, atomicInc}, "inc_u64": {8, atomicInc}, "dec_u32": {4, atomicDec}, "dec_u64": {8, atomicDec},
	"csub_u32": {4, atomicSubClamp}, "sub_clamp_u32": {4, atomicSubClamp},
	"cond_sub_u32": {4, func(o, d uint64) uint64 {
		if o >= d {
			return o - d
		}
		return o
	}},
	"add_f32": {4, atomicF32(
		func(o, d uint32) uint32 { return math.Float32bits(math.Float32frombits(o) + math.Float32frombits(d)) })},
	"min_f32": {4, atomicF32(minNum)}, "max_f32": {4, atomicF32(maxNum)},
	"min_num_f32": {4, atomicF32(minNum)}, "max_num_f32": {4, atomicF32(maxNum)},
	"min_f64": {8, atomicF64(minNum64)}, "max_f64": {8, atomicF64(maxNum64)},
	"min_num_f64": {8, atomicF64(minNum64)}, "max_num_f64": {8, atomicF64(maxNum64)},
	"pk_add_f16": {4, func(o, d uint64) uint64 {
		lo := f32ToF16(f16Table[uint16(o)] + f16Table[uint16(d)])
		hi := f32ToF16(f16Table[uint16(o>>16)] + f16Table[uint16(d>>16)])
		return uint64(lo) | uint64(hi)<<16
	}},
	"pk_add_bf16": {4, func(o, d uint64) uint64 {
		lo := f32ToBF16(bf16ToF32(uint16(o)) + bf16ToF32(uint16(d)))
		hi := f32ToBF16(bf16ToF32(uint16(o>>16)) + bf16ToF32(uint16(d>>16)))
		return uint64(lo) | uint64(hi)<<16
	}},
}

func atomicInc(o, d uint64) uint64 {
	if o >= d {
		return 0
	}
	return o + 1
}

func atomicDec(o, d uint64) uint64 {
	if o == 0 || o > d {
		return d
	}
	return o - 1
}

func atomicSubClamp(o, d uint64) uint64 {
	if o < d {
		return 0
	}
	return o - d
}

func atomicF32(f func(o, d uint32) uint32) func(o, d uint64) uint64 {
	return func(o, d uint64) uint64 { return uint64(f(uint32(o), uint32(d))) }
}

func atomicF64(f func(o, d float64) float64) func(o, d uint64) uint64 {
	return func(o, d uint64) uint64 {
		return math.Float64bits(f(math.Float64frombits(o), math.Float64frombits(d)))
	}
}

// atomicLane performs one lane's read-modify-write on p and returns the old value.
func atomicLane(p []byte, op atomicOp, data uint64) (old uint64) {
	if op.bytes == 4 {
		old = uint64(binary.LittleEndian.Uint32(p))
		binary.LittleEndian.PutUint32(p, uint32(op.f(old, data)))
		return old
	}
	old = binary.LittleEndian.Uint64(p)
	binary.LittleEndian.PutUint64(p, op.f(old, data))
	return old
}

// lane64 reads one or two registers of a lane.
func (w *wave) lane64(reg uint8, i, bytes int) uint64 {
	x := uint64(w.v[reg][i])
	if bytes == 8 {
		x |= uint64(w.v[reg+1][i]) << 32
	}
	return x
}

func (w *wave) setLane64(reg uint8, i, bytes int, x uint64) {
	w.v[reg][i] = uint32(x)
	if bytes == 8 {
		w.v[reg+1][i] = uint32(x >> 32)
	}
}

// compileAtomic resolves a flat or global atomic.
func (c *compiler) compileAtomic(i *decode.Inst) (opFunc, error) {
	_, name, _ := strings.Cut(i.Name, "_atomic_")
	m := c.vmem(i)
	data := uint8(i.Find('0').Code)
	d := i.Find('D')
	op, ok := atomicOps[name]
	swap := strings.HasPrefix(name, "cmpswap_")
	if swap {
		op, ok = atomicOp{bytes: 4}, name == "cmpswap_b32" || name == "cmpswap_b64"
		if name == "cmpswap_b64" {
			op.bytes = 8
		}
	}
	if !ok {
		return nil, errUnsupported
	}
	return func(w *wave) {
		e := w.exec()
		w.wg.worker.stats.bytes(m.format, false, op.bytes*bits.OnesCount32(e))
		w.wg.worker.stats.bytes(m.format, true, op.bytes*bits.OnesCount32(e))
		for ; e != 0; e &= e - 1 {
			k := bits.TrailingZeros32(e)
			addr := m.address(w, k)
			if addr&uint64(op.bytes-1) != 0 {
				w.failAddr(Misaligned, k, addr, "atomic")
				return
			}
			p := m.at(w, addr, op.bytes, k, true)
			if p == nil {
				return
			}
			w.markAtomic(addr, op.bytes)
			lock := w.wg.l.Space.Lock(addr)
			lop := op
			x := w.lane64(data, k, op.bytes)
			if swap {
				cmp := w.lane64(data+uint8(op.bytes/4), k, op.bytes)
				lop.f = func(o, x uint64) uint64 {
					if o == cmp {
						return x
					}
					return o
				}
			}
			old := atomicLane(p, lop, x)
			lock.Unlock()
			if d != nil {
				w.setLane64(uint8(d.Code), k, op.bytes, old)
			}
		}
	}, nil
}
