package simd

// dotQ8_0Row is the definition of the product of a row of Q8_0 (blocks of 32: d float16, q int8[32]) with quantized
// activations, from block first on:
//
//	for each block: sum += float32(Σ q·a) · d · da
//
// with every operation rounded to float32.
func dotQ8_0Row(sum float32, w, act []byte, first int) float32 {
	for b := first; b < len(w)/34; b++ {
		block, group, j := w[34*b:][:34], act[b/4*Act32Bytes:][:Act32Bytes], b%4
		codes := group[32*j:][:32]
		var s int32
		for i, q := range block[2:] {
			s += int32(int8(q)) * int32(int8(codes[i]))
		}
		t := float32(float32(s)*halfAt(block)) * floatAt(group[act32D+4*j:])
		sum += float32(t)
	}
	return sum
}
