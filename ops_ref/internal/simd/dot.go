package simd

// Format is a weight type that has kernels on integers.
type Format uint8

// The formats, named as in tensor/quant, whose layouts they have, but for Codes, which has its own.
const (
	Q8_0 Format = iota
	Q4_K
	Q5_K
	Q6_K
	Codes
)

// layouts holds elements and bytes of a block.
var layouts = [...]struct{ block, bytes int }{
	Q8_0:  {32, 34},
	Q4_K:  {256, 144},
	Q5_K:  {256, 176},
	Q6_K:  {256, 210},
	Codes: {256, codesBytes},
}

// Block returns the number of elements in a block of f.
func (f Format) Block() int { return layouts[f].block }

// Bytes returns the size of k elements, whole blocks.
func (f Format) Bytes(k int) int { return k / f.Block() * layouts[f].bytes }

// super reports whether f has blocks of 256.
func (f Format) super() bool { return layouts[f].block == 256 }

// Dot sets out[r] to the product of row r of w, which holds rows of rowBytes bytes, each k elements of type f, with
// the quantized activations act. All levels compute the sums of integers within a block exactly and then add the
// blocks in order in float32, as the row functions of the dot files say, so that they give the same bits.
func Dot(f Format, out []float32, w []byte, rowBytes int, act []byte, k int) {
	rows := len(out)
	if rows == 0 {
		return
	}
	size := k / f.Block() * layouts[f].bytes
	if k <= 0 || k%f.Block() != 0 || rowBytes < size || len(w) < (rows-1)*rowBytes+size || len(act) < f.ActBytes(k) {
		panic("simd: wrong sizes of a product")
	}
	steps, done := k/256, k
	if !f.super() {
		steps = k / 128
		done = steps * 128
	}
	if steps == 0 || !dotQuads(f, out, w, rowBytes, steps, act) {
		done = 0
		clear(out)
	}
	if done == k {
		return
	}
	for r := range out {
		out[r] = dotRow(f, out[r], w[r*rowBytes:][:size], act, done/f.Block())
	}
}

// dotQuads runs the kernel on all rows: fours, and what is left one by one as four times the same.
func dotQuads(f Format, out []float32, w []byte, rowBytes, steps int, act []byte) bool {
	quads := len(out) / 4
	if quads > 0 && !asmDot(f, &out[0], &w[0], rowBytes, quads, steps, &act[0]) {
		return false
	}
	for r := 4 * quads; r < len(out); r++ {
		var same [4]float32
		if !asmDot(f, &same[0], &w[r*rowBytes], 0, 1, steps, &act[0]) {
			return false
		}
		out[r] = same[0]
	}
	return true
}

// dotRow adds the products of the blocks of one row, from block first on, to sum.
func dotRow(f Format, sum float32, w, act []byte, first int) float32 {
	switch f {
	case Q8_0:
		return dotQ8_0Row(sum, w, act, first)
	case Q4_K:
		return dotQ4KRow(sum, w, act)
	case Q5_K:
		return dotQ5KRow(sum, w, act)
	case Codes:
		return dotCodesRow(sum, w, act)
	default:
		return dotQ6KRow(sum, w, act)
	}
}
