package opship

import "github.com/hipengine/hipengine/tensor/quant"

func init() {
	// The types whose blocks of 32 elements end with 16 bytes of nibbles; before those are a head, and four bytes of
	// high bits or none.
	layouts[quant.Q4_0] = nibbleLayout(2, 0)
	layouts[quant.Q4_1] = nibbleLayout(4, 0)
	layouts[quant.Q5_0] = nibbleLayout(2, 4)
	layouts[quant.Q5_1] = nibbleLayout(4, 4)
	layouts[quant.IQ4_NL] = nibbleLayout(2, 0)
	layouts[quant.MXFP4] = nibbleLayout(1, 0)
}

// nibbleLayout is the layout of kernels/quant_nibbles.h: nibbles, 16 bytes a block; high bits; heads.
func nibbleLayout(head, high int) layout {
	size := head + high + 16
	return layout{block: 32, file: size, packed: size, repack: func(dst, src []byte, n int) {
		bits, heads := dst[16*n:], dst[(16+high)*n:]
		for b := range n {
			in := src[size*b:][:size]
			copy(dst[16*b:][:16], in[head+high:])
			copy(heads[head*b:][:head], in)
			if high > 0 {
				spreadFifth(bits[4*b:][:4], func(e int) byte { return in[head+e/8] >> (e % 8) & 1 })
			}
		}
	}}
}

// spreadFifth writes the fifth bits of 32 elements as fifth in kernels/quant_nibbles.h reads them.
func spreadFifth(dst []byte, bit func(e int) byte) {
	clear(dst)
	for e := range 32 {
		dst[e%4] |= bit(e) << (e / 4)
	}
}
