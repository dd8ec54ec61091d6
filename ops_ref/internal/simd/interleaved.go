package simd

import "encoding/binary"

// Interleaved rows are how matrices of quantized weights lie in memory at levels whose kernels want them so: sixteen
// rows together, every four consecutive bytes of each beside those of the others, so that a vector holds the same
// elements of all sixteen and a sum needs no adding across lanes. They take as many bytes as rows in files, and
// nothing of them is lost. Each super-block (or group of four blocks) of sixteen rows is
//
//	Q4_K, Q5_K  [dword of the block][row]uint32
//	Q6_K  scale [16][row]int8, codes [16][3][row]uint32, d [row]float16
//	Q8_0  d [4][row]float16, codes [32][row]uint32, 128 too large
//
// The 16 codes of a sub-block of Q6_K, of 6 bits, are four dwords, of which three are stored: their two high bits hold
// those of the fourth, the lowest first.
const InterleavedRows = 16

// Interleaves reports whether the kernels of this level want rows interleaved, where they can be.
func Interleaves() bool { return level == AVX512 }

// Interleaved reports whether matrices of rows rows of k elements can be interleaved.
func (f Format) Interleaved(rows, k int) bool {
	return rows > 0 && rows%InterleavedRows == 0 && k > 0 && k%f.step() == 0
}

// stepBytes returns the bytes of a super-block, or group of four blocks.
func (f Format) stepBytes() int { return f.step() / f.Block() * layouts[f].bytes }

// Interleave writes rows of k elements, a multiple of InterleavedRows of them, one behind the other as files have
// them, to dst, interleaved. Both have the same size.
func (f Format) Interleave(dst, src []byte, k int) {
	row, group := f.Bytes(k), InterleavedRows*f.Bytes(k)
	if k <= 0 || k%f.step() != 0 || len(src)%group != 0 || len(dst) != len(src) {
		panic("simd: wrong sizes to interleave")
	}
	step := f.stepBytes()
	for ; len(src) > 0; dst, src = dst[group:], src[group:] {
		if asmWeave(f, &dst[0], &src[0], row, k/f.step()) {
			continue
		}
		for b := range k / f.step() {
			to := dst[b*InterleavedRows*step:][:InterleavedRows*step]
			for r := range InterleavedRows {
				f.interleave(to, src[r*row+b*step:][:step], r)
			}
		}
	}
}

// InterleavedRow writes row r of InterleavedRows interleaved rows of k elements as files have it.
func (f Format) InterleavedRow(dst, w []byte, r, k int) {
	step := f.stepBytes()
	if k <= 0 || k%f.step() != 0 || uint(r) >= InterleavedRows || len(dst) < f.Bytes(k) ||
		len(w) < InterleavedRows*f.Bytes(k) {
		panic("simd: wrong sizes of an interleaved row")
	}
	for b := range k / f.step() {
		f.separate(dst[b*step:][:step], w[b*InterleavedRows*step:][:InterleavedRows*step], r)
	}
}

// DotInterleaved is DotColumns for rows interleaved rows, and gives the same bits.
func DotInterleaved(f Format, out []float32, outStride int, w []byte, rows int, acts []byte, cols, k int) {
	size, act := f.Bytes(k), f.ActBytes(k)
	if rows <= 0 || rows%InterleavedRows != 0 || cols <= 0 || k <= 0 || k%f.step() != 0 || len(w) < rows*size ||
		len(acts) < cols*act || len(out) < (cols-1)*outStride+rows {
		panic("simd: wrong sizes of a product")
	}
	for c := 0; c < cols; {
		n := asmDotInterleaved(f, &out[c*outStride], 4*outStride, &w[0], rows/InterleavedRows, k/f.step(),
			&acts[c*act], act, cols-c)
		if n == 0 {
			n = 1
			for r := range rows {
				out[c*outStride+r] = f.dotInterleaved(w[r/InterleavedRows*InterleavedRows*size:], r%InterleavedRows,
					acts[c*act:], k)
			}
		}
		c += n
	}
}

// dotInterleaved is dotRow for row r of InterleavedRows.
func (f Format) dotInterleaved(w []byte, r int, act []byte, k int) (sum float32) {
	var row [210]byte
	step, actStep := f.stepBytes(), f.ActBytes(f.step())
	for b := range k / f.step() {
		f.separate(row[:step], w[b*InterleavedRows*step:][:InterleavedRows*step], r)
		sum = dotRow(f, sum, row[:step], act[b*actStep:][:actStep], 0)
	}
	return sum
}

// Offsets in a super-block of sixteen rows of Q6_K, and a group of Q8_0.
const (
	wovenQ6KCodes = 256
	wovenQ6KD     = wovenQ6KCodes + 16*3*64
	wovenQ8_0     = 4 * 32
)

// interleave writes a super-block, or group, as that of row r of dst.
func (f Format) interleave(dst, src []byte, r int) {
	le := binary.LittleEndian
	switch f {
	case Q4_K, Q5_K:
		weave(dst[4*r:], src)
	case Q8_0:
		for b := range 4 {
			block := src[34*b:][:34]
			le.PutUint16(dst[32*b+2*r:], le.Uint16(block))
			codes := dst[wovenQ8_0+512*b+4*r:]
			for g := range 8 {
				le.PutUint32(codes[64*g:], le.Uint32(block[2+4*g:])^0x80808080)
			}
		}
	case Q6_K:
		le.PutUint16(dst[wovenQ6KD+2*r:], le.Uint16(src[208:]))
		for j, scale := range src[192:208] {
			dst[16*j+r] = scale
			low, high, lowShift, highShift := placesQ6K(j)
			var q [4]uint32
			for g := range q {
				q[g] = le.Uint32(src[low+4*g:])>>lowShift&0x0f0f0f0f | le.Uint32(
					src[high+4*g:])>>highShift&0x03030303<<4
			}
			codes := dst[wovenQ6KCodes+3*64*j+4*r:]
			for i := range 3 {
				le.PutUint32(codes[64*i:], q[i]|q[3]>>(2*i)&0x03030303<<6)
			}
		}
	}
}

// separate is the reverse of interleave.
func (f Format) separate(dst, w []byte, r int) {
	le := binary.LittleEndian
	switch f {
	case Q4_K, Q5_K:
		for i := range len(dst) / 4 {
			le.PutUint32(dst[4*i:], le.Uint32(w[64*i+4*r:]))
		}
	case Q8_0:
		for b := range 4 {
			block := dst[34*b:][:34]
			le.PutUint16(block, le.Uint16(w[32*b+2*r:]))
			for g := range 8 {
				le.PutUint32(block[2+4*g:], le.Uint32(w[wovenQ8_0+512*b+64*g+4*r:])^0x80808080)
			}
		}
	case Q6_K:
		clear(dst)
		le.PutUint16(dst[208:], le.Uint16(w[wovenQ6KD+2*r:]))
		for j := range 16 {
			dst[192+j] = w[16*j+r]
			low, high, lowShift, highShift := placesQ6K(j)
			var q [4]uint32
			for i := range 3 {
				x := le.Uint32(w[wovenQ6KCodes+64*(3*j+i)+4*r:])
				q[i] = x & 0x3f3f3f3f
				q[3] |= x >> 6 & 0x03030303 << (2 * i)
			}
			for g, x := range q {
				le.PutUint32(dst[low+4*g:], le.Uint32(dst[low+4*g:])|x&0x0f0f0f0f<<lowShift)
				le.PutUint32(dst[high+4*g:], le.Uint32(dst[high+4*g:])|x>>4&0x03030303<<highShift)
			}
		}
	}
}

// placesQ6K says where sub-block j of 16 elements of a block of Q6_K has its low and high bits.
func placesQ6K(j int) (low, high, lowShift, highShift int) {
	n, t := j/8, j/2%4
	return 64*n + 32*(t&1) + 16*(j&1), 128 + 32*n + 16*(j&1), 4 * (t >> 1), 2 * t
}

// weave writes each dword of src 64 bytes after the one before.
func weave(dst, src []byte) {
	for i := range len(src) / 4 {
		binary.LittleEndian.PutUint32(dst[64*i:], binary.LittleEndian.Uint32(src[4*i:]))
	}
}
