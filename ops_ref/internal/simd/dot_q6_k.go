package simd

// dotQ6KRow is the definition of the product of a row of Q6_K (super-blocks of 256 in sub-blocks of 16: 6-bit q, int8
// scales, d float16; see tensor/quant) with quantized activations:
//
//	for each super-block: sum += float32(Σ_j scale[j]·Σ (q-32)·a) · d · da
//
// over its sub-blocks j, with every operation on floats rounded to float32.
func dotQ6KRow(sum float32, w, act []byte) float32 {
	for ; len(w) > 0; w, act = w[210:], act[ActKBytes:] {
		ql, qh, scales := w[:128], w[128:192], w[192:208]
		var s int32
		for j := range 16 {
			r := j / 2 // run of 32
			n, t := r/4, r%4
			low, high := ql[64*n+32*(t&1)+16*(j&1):][:16], qh[32*n+16*(j&1):][:16]
			codes := act[16*j:][:16]
			var dot int32
			for i := range 16 {
				q := low[i]>>(4*(t>>1))&15 | high[i]>>(2*t)&3<<4
				dot += (int32(q) - 32) * int32(int8(codes[i]))
			}
			s += int32(int8(scales[j])) * dot
		}
		t := float32(float32(s) * halfAt(w[208:]))
		sum += float32(t * floatAt(act[actKD:]))
	}
	return sum
}
