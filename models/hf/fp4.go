package hf

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// fp4 are the values of the codes of 4-bit floats (OCP Microscaling Formats, table 5).
var fp4 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}

// nvfp4Block is the number of elements of NVFP4 that share a scale.
const nvfp4Block = 16

// nvfp4 returns NVFP4 weights in F32. codes is U8 [..., rows, cols/2], the even element of two in the low bits; scales
// F8_E4M3 [..., rows, cols/16]; global one number, F32, for all of it. An element is its code's value times the product
// of its scale and factor(global).
func nvfp4(codes, scales, global *stored, factor func(float32) float32) (*matrix, error) {
	n := len(codes.shape)
	if codes.dtype != "U8" || n < 2 || codes.shape[n-1]*2%nvfp4Block != 0 || tensor.Shape(codes.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, NVFP4 is U8 [..., rows, columns/2] in blocks of %d",
			clip(codes.name), codes.dtype, codes.shape, nvfp4Block)
	}
	cols := codes.shape[n-1] * 2
	if want := append(slices.Clone(codes.shape[:n-1]), cols/nvfp4Block); scales.dtype != "F8_E4M3" ||
		!slices.Equal(scales.shape, want) {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, the scales of %q are F8_E4M3 %v", clip(scales.name),
			scales.dtype, scales.shape, clip(codes.name), want)
	}
	if global.dtype != "F32" || tensor.Shape(global.shape).Elems() != 1 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want F32 of one number", clip(global.name), global.dtype,
			global.shape)
	}
	m := &matrix{dtype: tensor.F32, rows: tensor.Shape(codes.shape[:n-1]).Elems(), cols: cols}
	m.read = func(dst []byte, lo, hi int) error {
		q, s := make([]byte, (hi-lo)*cols/2), make([]byte, (hi-lo)*cols/nvfp4Block)
		if err := codes.read(q, int64(lo)*int64(cols/2)); err != nil {
			return err
		}
		if err := scales.read(s, int64(lo)*int64(cols/nvfp4Block)); err != nil {
			return err
		}
		g, err := global.floats()
		if err != nil {
			return err
		}
		x := make([]float32, 2*len(q))
		for i := range x {
			x[i] = fp4[q[i/2]>>(i%2*4)&15] * float32(e4m3[s[i/nvfp4Block]]*factor(g[0]))
		}
		putFloats(dst, x)
		return nil
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
