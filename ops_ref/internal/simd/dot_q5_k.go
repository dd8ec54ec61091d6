package simd

// dotQ5KRow is the definition of the product of a row of Q5_K (super-blocks of 256: d and dmin float16, 6-bit scales
// and mins, 5-bit q; see tensor/quant) with quantized activations, the same as dotQ4KRow's.
func dotQ5KRow(sum float32, w, act []byte) float32 {
	for ; len(w) > 0; w, act = w[176:], act[ActKBytes:] {
		var s, m int32
		for j := range 8 {
			scale, min := scaleMin(w[4:16], j)
			codes, shift := act[32*j:][:32], 4*(j&1)
			high := w[16:48]
			var dot int32
			for i, q := range w[48+j/2*32:][:32] {
				dot += int32(q>>shift&15|high[i]>>j&1<<4) * int32(int8(codes[i]))
			}
			s += int32(scale) * dot
			m += int32(min) * int32(int16At(act[actKSum32+2*j:]))
		}
		t := float32(float32(s)*halfAt(w)) - float32(float32(m)*halfAt(w[2:]))
		sum += float32(t * floatAt(act[actKD:]))
	}
	return sum
}
