package conformance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// field is a place in a block that holds a floating-point number: a scale, a minimum, or the element itself.
type field struct {
	off  int
	kind fieldKind
}

// fieldKind is an encoding of a field: its size, a number of ordinary size, and what a kernel may trip over.
type fieldKind struct {
	name     string
	bytes    int
	nan, one uint32 // one is near 0.1: products of scales and codes stay near 1
	values   []special
}

type special struct {
	what string
	bits uint32
}

// fieldKinds in the order in which probe tries them. The NaN of float32 has its payload in the lower half, so that
// it is none to a bfloat16 in the upper half; a binary16 there was found before.
var fieldKinds = []fieldKind{
	{"f16", 2, 0x7E00, 0x2E66,
		[]special{{"zero", 0}, {"minus zero", 0x8000}, {"negative", 0xAE66}, {"smallest subnormal", 1},
			{"largest subnormal", 0x03FF},
			{"negative subnormal", 0x8155}, {"largest", 0x7BFF}, {"most negative", 0xFBFF}, {"infinity", 0x7C00},
			{"minus infinity", 0xFC00}, {"NaN", 0x7E00},
			{"negative NaN with payload", 0xFE55}, {"signalling NaN", 0x7C01}}},
	{"f32", 4, 0x7F800001, 0x3DCCCCCD, []special{{"zero", 0}, {"minus zero", 0x80000000}, {"negative", 0xBDCCCCCD},
		{"smallest subnormal", 1}, {"largest subnormal", 0x007FFFFF},
		{"smallest normal", 0x00800000}, {"large", 0x60000000}, {"largest", 0x7F7FFFFF}, {"infinity", 0x7F800000},
		{"minus infinity", 0xFF800000}, {"NaN", 0x7FC00000},
		{"negative NaN with payload", 0xFFC55555}, {"signalling NaN", 0x7F800001}}},
	{"bf16", 2, 0x7FC0, 0x3DCD, []special{{"zero", 0}, {"minus zero", 0x8000}, {"negative", 0xBDCD},
		{"smallest subnormal", 1}, {"smallest normal", 0x0080}, {"large", 0x6000},
		{"largest", 0x7F7F}, {"infinity", 0x7F80}, {"minus infinity", 0xFF80}, {"NaN", 0x7FC0},
		{"negative NaN with payload", 0xFFD5}, {"signalling NaN", 0x7F81}}},
}

func (f field) put(block []byte, bits uint32) {
	if f.kind.bytes == 4 {
		binary.LittleEndian.PutUint32(block[f.off:], bits)
	} else {
		binary.LittleEndian.PutUint16(block[f.off:], uint16(bits))
	}
}

// probe finds the fields of a block type without knowing its layout: a number is where a NaN that is put in comes
// out. Scales of other encodings (E8M0, UE4M3, nibbles of a half) have no NaN and are found byte by byte.
func probe(f tensor.Format) []field {
	var fs []field
	taken := make([]bool, f.Bytes)
	for _, kind := range fieldKinds {
		for off := 0; off+kind.bytes <= f.Bytes; off++ {
			if slices.Contains(taken[off:off+kind.bytes], true) {
				continue
			}
			block := make([]byte, f.Bytes)
			fill(block, 0x11)
			x := field{off, kind}
			x.put(block, kind.nan)
			if hasNaN(dequantize(f, block)) {
				fs = append(fs, x)
				for i := range kind.bytes {
					taken[off+i] = true
				}
			}
		}
	}
	slices.SortFunc(fs, func(a, b field) int { return a.off - b.off })
	return fs
}

func dequantize(f tensor.Format, b []byte) []float32 {
	x := make([]float32, len(b)/f.Bytes*f.Block)
	f.Dequant(x, b)
	return x
}

func hasNaN(x []float32) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

// hostileRow is a row of a weight matrix whose last block, or every block, is meant to break kernels. Others are tame.
type hostileRow struct {
	what string
	data []byte
}

// byteExtremes are the codes at the ends of signed and unsigned ranges.
var byteExtremes = []byte{0x00, 0x7F, 0x80, 0xFF}

// hostileRows returns rows of blocks blocks each.
func hostileRows(f tensor.Format, blocks int, r *rand.Rand) []hostileRow {
	fields := probe(f)
	inField := make([]bool, f.Bytes)
	for _, x := range fields {
		for i := range x.kind.bytes {
			inField[x.off+i] = true
		}
	}
	tame := func() []byte {
		b := make([]byte, f.Bytes)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for _, x := range fields {
			x.put(b, x.kind.one)
		}
		return b
	}
	var rows []hostileRow
	add := func(what string, edit func(block []byte)) {
		var row []byte
		for range blocks {
			row = append(row, tame()...)
		}
		edit(row[len(row)-f.Bytes:])
		rows = append(rows, hostileRow{what, row})
	}
	add("tame", func([]byte) {})
	for _, x := range fields {
		for _, v := range x.kind.values {
			what := fmt.Sprintf("%s at byte %d is %s", x.kind.name, x.off, v.what)
			add(what, func(b []byte) { x.put(b, v.bits) })
			// In every block, so that small numbers are not lost beside ordinary ones.
			var row []byte
			for range blocks {
				b := tame()
				x.put(b, v.bits)
				row = append(row, b...)
			}
			rows = append(rows, hostileRow{what + " in every block", row})
		}
	}
	for _, v := range []byte{0x00, 0xFF, 0x55, 0xAA, 0x0F, 0xF0} {
		add(fmt.Sprintf("all codes %#02x", v), func(b []byte) {
			for i := range b {
				if !inField[i] {
					b[i] = v
				}
			}
		})
	}
	for i := range f.Bytes {
		if inField[i] {
			continue
		}
		vs := byteExtremes
		if f.Bytes > 40 { // one of the four at each byte of a large block
			vs = vs[i%4:][:1]
		}
		for _, v := range vs {
			add(fmt.Sprintf("byte %d is %#02x", i, v), func(b []byte) { b[i] = v })
		}
	}
	for i := range 8 {
		add(fmt.Sprintf("random bytes %d", i), func(b []byte) {
			for j := range b {
				b[j] = byte(r.Uint32())
			}
		})
	}
	return rows
}
