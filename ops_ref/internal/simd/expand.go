package simd

import "encoding/binary"

// Expansion is a weight type that becomes float32 in two steps: its codes become bytes, eight at a time, and then a
// kernel multiplies each run of 16 with its scale and adds its minimum. The results are those of tensor/quant.
type Expansion uint8

// The types, named as in tensor/quant.
const (
	Q4_1 Expansion = iota
	Q5_1
	Q2_K
)

// expansions holds elements and bytes of a block.
var expansions = [...]struct{ block, bytes int }{Q4_1: {32, 20}, Q5_1: {32, 24}, Q2_K: {256, 84}}

// runs are up to 256 elements on their way: each run of 16 has a step and a minimum.
type runs struct {
	codes       [256]byte
	steps, mins [16]float32
}

// Floats writes the len(dst) elements that the blocks of src hold.
func (e Expansion) Floats(dst []float32, src []byte) {
	x := &expansions[e]
	if len(dst)%x.block != 0 || len(src) < len(dst)/x.block*x.bytes {
		panic("simd: wrong sizes to expand")
	}
	if len(dst) == 0 || asmExpandBlocks(e, &dst[0], &src[0], len(dst)/x.block) {
		return
	}
	var r runs
	for len(dst) > 0 {
		n := min(len(dst), 256)
		for i := 0; i < n; i += x.block {
			e.unpack(&r, i, src)
			src = src[x.bytes:]
		}
		if !asmExpand(&dst[0], &r, n/16) {
			expand(dst[:n], &r)
		}
		dst = dst[n:]
	}
}

// expand is the definition of the kernel, each operation rounded.
func expand(dst []float32, r *runs) {
	for i := range dst {
		dst[i] = float32(r.steps[i/16]*float32(r.codes[i])) + r.mins[i/16]
	}
}

// unpack reads one block into r from element i on.
func (e Expansion) unpack(r *runs, i int, src []byte) {
	switch e {
	case Q4_1, Q5_1:
		for s := i / 16; s < i/16+2; s++ {
			r.steps[s], r.mins[s] = halfAt(src), halfAt(src[2:])
		}
		if e == Q4_1 {
			nibbles(r.codes[i:i+32], src[4:20])
			return
		}
		nibbles(r.codes[i:i+32], src[8:24])
		for j := range 4 { // the fifth bits of eight codes
			at := r.codes[i+8*j:][:8]
			binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)|spreadBits(src[4+j])<<4)
		}
	case Q2_K:
		d, dmin := halfAt(src[80:]), halfAt(src[82:])
		for s, sm := range src[:16] {
			r.steps[s], r.mins[s] = d*float32(sm&15), -float32(dmin*float32(sm>>4))
		}
		pairs(&r.codes, src[16:80])
	}
}

// nibbles writes the low nibbles of 16 bytes and then the high ones.
func nibbles(codes, qs []byte) {
	for j := 0; j < 16; j += 8 {
		q := binary.LittleEndian.Uint64(qs[j:])
		binary.LittleEndian.PutUint64(codes[j:], q&0x0f0f0f0f0f0f0f0f)
		binary.LittleEndian.PutUint64(codes[j+16:], q>>4&0x0f0f0f0f0f0f0f0f)
	}
}

// pairs writes the codes of two bits of Q2_K.
func pairs(codes *[256]byte, qs []byte) {
	for j := 0; j < 64; j += 8 {
		q := binary.LittleEndian.Uint64(qs[j:])
		for t := range 4 {
			binary.LittleEndian.PutUint64(codes[j/32*128+32*t+j%32:], q>>(2*t)&0x0303030303030303)
		}
	}
}

// spreadBits returns bit i of b as byte i.
func spreadBits(b byte) uint64 {
	x := uint64(b) * 0x0101010101010101 & 0x8040201008040201 // byte i is bit i in its place, or zero
	return (x&0x7f7f7f7f7f7f7f7f + 0x7f7f7f7f7f7f7f7f | x) >> 7 & 0x0101010101010101
}
