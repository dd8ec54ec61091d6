package simd

// Codes is the format that weight types with blocks of 256 and no minimum become on their way to kernels: codes of 8
// bits, of which each sixteen have a scale. No file holds it. A block takes codesBytes:
//
//	  0  code   uint8[256]  128 too large, 1..255
//	256  scale  int8[16]
//	272  d      float32
//
// and room up to whole cache lines.
const (
	codesScale = 256
	codesD     = 272
	codesBytes = 320
)

// dotCodesRow is the definition of the product of a row of Codes with quantized activations:
//
//	for each block: sum += float32(Σ_j scale[j]·Σ (code-128)·a) · d · da
//
// over its runs j of 16, with every operation on floats rounded to float32.
func dotCodesRow(sum float32, w, act []byte) float32 {
	for ; len(w) > 0; w, act = w[codesBytes:], act[ActKBytes:] {
		var s int32
		for j := range 16 {
			codes, as := w[16*j:][:16], act[16*j:][:16]
			var dot int32
			for i, q := range codes {
				dot += (int32(q) - 128) * int32(int8(as[i]))
			}
			s += int32(int8(w[codesScale+j])) * dot
		}
		t := float32(float32(s) * floatAt(w[codesD:]))
		sum += float32(t * floatAt(act[actKD:]))
	}
	return sum
}
