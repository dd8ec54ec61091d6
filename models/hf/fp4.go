package hf

import (
	"fmt"
	"math"
	"slices"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// fp4 are the values of the codes of 4-bit floats (OCP Microscaling Formats, table 5).
var fp4 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}

const (
	nvfp4Run   = 16 // elements that share a scale
	nvfp4Block = 64 // elements of a block of GGUF
)

// nvfp4 returns NVFP4 weights in blocks of GGUF, or in F32 where rows are no whole blocks. codes is U8 [..., rows,
// cols/2], the even element of two in the low bits; scales F8_E4M3 [..., rows, cols/16]; global one number, F32. An
// element is its code's value times its scale times factor(global).
func nvfp4(codes, scales, global *stored, factor func(float32) float32) (*matrix, error) {
	n := len(codes.shape)
	if codes.dtype != "U8" || n < 2 || codes.shape[n-1]*2%nvfp4Run != 0 || tensor.Shape(codes.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, NVFP4 is U8 [..., rows, columns/2] in blocks of %d",
			clip(codes.name), codes.dtype, codes.shape, nvfp4Run)
	}
	cols := codes.shape[n-1] * 2
	if want := append(slices.Clone(codes.shape[:n-1]), cols/nvfp4Run); scales.dtype != "F8_E4M3" ||
		!slices.Equal(scales.shape, want) {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, the scales of %q are F8_E4M3 %v", clip(scales.name),
			scales.dtype, scales.shape, clip(codes.name), want)
	}
	if global.dtype != "F32" || tensor.Shape(global.shape).Elems() != 1 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want F32 of one number", clip(global.name), global.dtype,
			global.shape)
	}
	g, err := global.floats()
	if err != nil {
		return nil, err
	}
	by := factor(g[0])
	if x := float64(by); math.IsNaN(x) || math.IsInf(x, 0) || x == 0 {
		return nil, fmt.Errorf("tensor %q is %v, which makes no weights", clip(global.name), g[0])
	}
	parts := func(lo, hi int) (q, s []byte, err error) {
		q, s = make([]byte, (hi-lo)*cols/2), make([]byte, (hi-lo)*cols/nvfp4Run)
		if err := codes.read(q, int64(lo)*int64(cols/2)); err != nil {
			return nil, nil, err
		}
		if err := scales.read(s, int64(lo)*int64(cols/nvfp4Run)); err != nil {
			return nil, nil, err
		}
		if i := slices.IndexFunc(s, func(c byte) bool { return c > 0x7E && c != 0x80 }); i >= 0 { // -0 is 0
			return nil, nil, fmt.Errorf("tensor %q: scale %v of row %d is negative or no number", clip(scales.name),
				e4m3[s[i]], lo+i/(cols/nvfp4Run))
		}
		return q, s, nil
	}
	m := &matrix{dtype: quant.NVFP4, rows: tensor.Shape(codes.shape[:n-1]).Elems(), cols: cols, factors: []float32{by}}
	m.read = func(dst []byte, lo, hi int) error {
		q, s, err := parts(lo, hi)
		for ; len(s) > 0; q, s, dst = q[32:], s[4:], dst[36:] {
			for i := range 4 {
				src, out := q[8*i:][:8], dst[4+8*i:][:8]
				dst[i] = s[i] & 0x7F
				for j := range 8 { // elements j and j+8
					out[j] = src[j/2]>>(j%2*4)&15 | src[4+j/2]>>(j%2*4)<<4
				}
			}
		}
		return err
	}
	if cols%nvfp4Block != 0 {
		m.dtype, m.factors = tensor.F32, nil
		m.read = func(dst []byte, lo, hi int) error {
			q, s, err := parts(lo, hi)
			x := make([]float32, 2*len(q))
			for i := range x {
				x[i] = fp4[q[i/2]>>(i%2*4)&15] * e4m3[s[i/nvfp4Run]] * by
			}
			putFloats(dst, x)
			return err
		}
	}
	return m, nil
}

// packedMXFP4 is mxfp4 for codes of [..., rows, cols/2].
func packedMXFP4(codes, scales *stored) (*matrix, error) {
	n := len(codes.shape)
	if n < 2 || codes.shape[n-1]%16 != 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, MXFP4 is U8 [..., rows, columns/2] in blocks of 32",
			clip(codes.name), codes.dtype, codes.shape)
	}
	blocks := *codes
	blocks.shape = append(slices.Clone(codes.shape[:n-1]), codes.shape[n-1]/16, 16)
	return mxfp4(&blocks, scales)
}
