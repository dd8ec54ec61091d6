package simd

// dotQ4KRow is the definition of the product of a row of Q4_K (super-blocks of 256: d and dmin float16, 6-bit scales
// and mins, 4-bit q; see tensor/quant) with quantized activations:
//
//	for each super-block: sum += (float32(Σ_j scale[j]·Σ q·a)·d - float32(Σ_j min[j]·Σ a)·dmin) · da
//
// over its sub-blocks j, with every operation on floats rounded to float32.
func dotQ4KRow(sum float32, w, act []byte) float32 {
	for ; len(w) > 0; w, act = w[144:], act[ActKBytes:] {
		var s, m int32
		for j := range 8 {
			scale, min := scaleMin(w[4:16], j)
			codes, shift := act[32*j:][:32], 4*(j&1)
			var dot int32
			for i, q := range w[16+j/2*32:][:32] {
				dot += int32(q>>shift&15) * int32(int8(codes[i]))
			}
			s += int32(scale) * dot
			m += int32(min) * int32(int16At(act[actKSum32+2*j:]))
		}
		t := float32(float32(s)*halfAt(w)) - float32(float32(m)*halfAt(w[2:]))
		sum += float32(t * floatAt(act[actKD:]))
	}
	return sum
}

// scaleMin returns scale and min j of the 12 bytes b in which Q4_K and Q5_K pack them.
func scaleMin(b []byte, j int) (scale, min byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}
