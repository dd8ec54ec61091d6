package simd

import (
	"encoding/binary"
	"math"
)

// Quantized activations. A row of activations is quantized once and then meets all rows of a weight matrix as
// integers of 8 bits: element i of a block becomes code q[i] in -127..127, with x[i] ≈ d*q[i]. Weights with blocks of
// 32 use a scale for every 32 elements, the K types one for every 256.
//
// A block of 256 takes ActKBytes:
//
//	  0  q      int8[256]
//	256  sum16  int16[16]  sums of q over runs of 16
//	288  sum32  int16[8]   sums of q over runs of 32
//	304  d      float32
//
// Four blocks of 32 make a group of Act32Bytes; the last group of a row is filled with zeros:
//
//	  0  q    int8[128]
//	128  d    float32[4]
//	144  sum  int32[4]     sums of q over each block
const (
	ActKBytes  = 320
	Act32Bytes = 192
)

// Offsets in the layouts above.
const (
	actKSum16 = 256
	actKSum32 = 288
	actKD     = 304
	act32D    = 128
	act32Sum  = 144
)

// tiniest is the smallest magnitude that a block of activations is quantized for. In a block below it everything
// becomes zero: the factor 127/max could be infinite.
const tiniest = 0x1p-100

// ActBytes returns the size of k quantized activations for weights of type f.
func (f Format) ActBytes(k int) int {
	if f.super() {
		return k / 256 * ActKBytes
	}
	return (k + 127) / 128 * Act32Bytes
}

// Quantize writes the quantized activations of x for weights of type f to dst, ActBytes(len(x)) bytes. len(x) must be
// a multiple of f's block. In a block that holds a NaN or an infinity all codes are zero and the scale is NaN, so
// that all products with it are NaN. The error of other elements is at most max|x|/254 of their block, but for the
// rounding of float32.
func (f Format) Quantize(dst []byte, x []float32) {
	if len(x) == 0 || len(x)%f.Block() != 0 || len(dst) < f.ActBytes(len(x)) {
		panic("simd: wrong sizes to quantize")
	}
	if f.super() {
		n := len(x) / 256
		if asmQuantizeK(&dst[0], &x[0], n) {
			return
		}
		for b := range n {
			quantizeKBlock(dst[b*ActKBytes:][:ActKBytes], x[b*256:][:256])
		}
		return
	}
	groups := len(x) / 128
	if groups > 0 && asmQuantize32(&dst[0], &x[0], groups) {
		dst, x = dst[groups*Act32Bytes:], x[groups*128:]
	}
	for ; len(x) > 0; dst = dst[Act32Bytes:] {
		clear(dst[:Act32Bytes])
		for j := 0; j < 4 && len(x) > 0; j, x = j+1, x[32:] {
			quantize32Block(dst[:Act32Bytes], j, x[:32])
		}
	}
}

// quantizeKBlock quantizes 256 elements.
func quantizeKBlock(dst []byte, x []float32) {
	d, id := blockScale(x)
	putFloat(dst[actKD:], d)
	for s := range 16 {
		sum := quantizeCodes(dst[16*s:][:16], x[16*s:][:16], id)
		binary.LittleEndian.PutUint16(dst[actKSum16+2*s:], uint16(int16(sum)))
	}
	for s := range 8 {
		binary.LittleEndian.PutUint16(dst[actKSum32+2*s:],
			uint16(int16At(dst[actKSum16+4*s:])+int16At(dst[actKSum16+4*s+2:])))
	}
}

// quantize32Block quantizes 32 elements as block j of a group.
func quantize32Block(group []byte, j int, x []float32) {
	d, id := blockScale(x)
	putFloat(group[act32D+4*j:], d)
	sum := quantizeCodes(group[32*j:][:32], x, id)
	binary.LittleEndian.PutUint32(group[act32Sum+4*j:], uint32(sum))
}

// blockScale returns the scale d of a block, max|x|/127, and the factor id that gives the codes.
func blockScale(x []float32) (d, id float32) {
	var m float32
	for _, v := range x {
		a := math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		if !(a <= math.MaxFloat32) {
			return float32(math.NaN()), 0
		}
		m = max(m, a)
	}
	if m < tiniest {
		return 0, 0
	}
	return m / 127, 127 / m
}

// quantizeCodes writes x*id, rounded to nearest even, and returns the sum of what it wrote.
func quantizeCodes(codes []byte, x []float32, id float32) (sum int32) {
	if id == 0 {
		clear(codes)
		return 0
	}
	for i, v := range x {
		q := int8(math.RoundToEven(float64(v * id)))
		codes[i] = byte(q)
		sum += int32(q)
	}
	return sum
}

func putFloat(b []byte, x float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(x)) }

func floatAt(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func int16At(b []byte) int16 { return int16(binary.LittleEndian.Uint16(b)) }

// halfAt converts the float16 at the start of b.
func halfAt(b []byte) float32 { return half(binary.LittleEndian.Uint16(b)) }

func half(h uint16) float32 {
	bits := uint32(h&0x7fff) << 13
	if bits >= 0x7c00<<13 { // infinity or NaN, which conversion makes quiet
		bits |= 0x70000000
		if bits&0x7fffff != 0 {
			bits |= 1 << 22
		}
		return math.Float32frombits(bits | uint32(h&0x8000)<<16)
	}
	f := math.Float32frombits(bits) * 0x1p112 // exact, subnormals included
	return math.Float32frombits(math.Float32bits(f) | uint32(h&0x8000)<<16)
}
