package hf

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// FP8 checkpoints. A weight of 8-bit floats comes with scales that multiply it:
//
//   - name_scale_inv, [out/block rows, in/block columns] rounded up: the blocks of DeepSeek and Qwen
//     (quantization_config weight_block_size, normally 128 by 128);
//   - name_scale, one value, or one for each row: compressed-tensors.
//
// Stacks of experts have the same with one dimension more in front.

// e4m3 and e5m2 are the values of the 8-bit floats of the OCP 8-bit floating point specification. E4M3 has no
// infinities; 0x7F and 0xFF are NaN.
var e4m3, e5m2 = floatTable(4, 7), floatTable(5, 15)

func floatTable(expBits, bias int) (t [256]float32) {
	manBits := 7 - expBits
	for i := range t {
		exp, man := i>>manBits&(1<<expBits-1), i&(1<<manBits-1)
		x := math.Ldexp(float64(man)/float64(int(1)<<manBits)+1, exp-bias)
		switch {
		case exp == 0:
			x = math.Ldexp(float64(man)/float64(int(1)<<manBits), 1-bias)
		case expBits == 4 && i&0x7F == 0x7F, expBits == 5 && exp == 31 && man > 0:
			x = math.NaN()
		case expBits == 5 && exp == 31:
			x = math.Inf(1)
		}
		if i >= 128 {
			x = -x
		}
		t[i] = float32(x)
	}
	return t
}

// fp8 returns the weights t times their scale, in F32. blockRows and blockCols are the sizes of blocks, 0 where
// there are none.
func fp8(t, scale *stored, blockRows, blockCols int) (*matrix, error) {
	table := &e4m3
	if t.dtype == "F8_E5M2" {
		table = &e5m2
	}
	n := len(t.shape)
	if n < 2 || tensor.Shape(t.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, which is no matrix", clip(t.name), t.dtype, t.shape)
	}
	rows, cols := t.shape[n-2], t.shape[n-1]
	slabs := tensor.Shape(t.shape[:n-2]).Elems()
	s, at, err := scaleOf(t, scale, blockRows, blockCols)
	if err != nil {
		return nil, err
	}
	m := &matrix{dtype: tensor.F32, rows: slabs * rows, cols: cols}
	m.read = func(dst []byte, lo, hi int) error {
		codes := make([]byte, (hi-lo)*cols)
		if err := t.read(codes, int64(lo)*int64(cols)); err != nil {
			return err
		}
		x := make([]float32, cols)
		scales := make([]float32, s.cols)
		for row := lo; row < hi; row++ {
			k := at(row/rows, row%rows)
			if err := s.floats(scales, k, k+1); err != nil {
				return err
			}
			for i, c := range codes[(row-lo)*cols:][:cols] {
				j := 0
				if blockCols > 0 {
					j = i / blockCols
				}
				x[i] = table[c] * scales[j]
			}
			putFloats(dst[(row-lo)*cols*4:], x)
		}
		return nil
	}
	return m, nil
}

// scaleOf returns the scales as a matrix, and the row of it that belongs to a row of a slab.
func scaleOf(t, scale *stored, blockRows, blockCols int) (*matrix, func(slab, row int) int, error) {
	dtype, ok := machineTypes[scale.dtype]
	if !ok {
		return nil, nil, fmt.Errorf("tensor %q of scales is %s", clip(scale.name), scale.dtype)
	}
	n := len(t.shape)
	front, rows, cols := t.shape[:n-2], t.shape[n-2], t.shape[n-1]
	fits := func(tail ...int) bool {
		return slices.Equal(scale.shape, slices.Concat(front, tail))
	}
	blocks := 0
	if blockRows > 0 {
		blocks = (rows + blockRows - 1) / blockRows
	}
	switch {
	case blockRows > 0 && fits(blocks, (cols+blockCols-1)/blockCols):
		return cached(raw(scale, dtype)), func(slab, row int) int { return slab*blocks + row/blockRows }, nil
	case blockRows > 0:
	case fits(rows, 1), fits(rows):
		return cached(raw(scale, dtype)).reshape(1), func(slab, row int) int { return slab*rows + row }, nil
	case len(scale.shape) == 0, fits(1, 1), fits(1):
		return cached(raw(scale, dtype)).reshape(1),
			func(slab, _ int) int { return min(slab, tensor.Shape(scale.shape).Elems()-1) }, nil
	}
	return nil, nil, fmt.Errorf("tensor %q has shape %v, which does not fit %q of shape %v in blocks of %d by %d",
		clip(scale.name), scale.shape, clip(t.name), t.shape, blockRows, blockCols)
}

// cached is m as it was when it was first read as a whole: scales are small, and read for every row.
func cached(m *matrix) *matrix {
	all := sync.OnceValues(func() ([]byte, error) {
		b := make([]byte, m.rows*m.rowBytes())
		return b, m.read(b, 0, m.rows)
	})
	out := *m
	size := m.rowBytes()
	out.read = func(dst []byte, lo, _ int) error {
		b, err := all()
		if err == nil {
			copy(dst, b[lo*size:])
		}
		return err
	}
	return &out
}

// mxfp4 returns MXFP4 weights as GGUF's blocks. blocks is [..., rows, n, 16]: byte j of a block holds elements 2j
// (low nibble) and 2j+1; scales is [..., rows, n]. GGUF pairs elements j and j+16 and puts the scale in front.
func mxfp4(blocks, scales *stored) (*matrix, error) {
	n := len(blocks.shape)
	if blocks.dtype != "U8" || n < 3 || blocks.shape[n-1] != 16 || tensor.Shape(blocks.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, MXFP4 blocks are U8 [..., 16]", clip(blocks.name),
			blocks.dtype, blocks.shape)
	}
	if scales.dtype != "U8" && scales.dtype != "F8_E8M0" || !slices.Equal(scales.shape, blocks.shape[:n-1]) {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, the scales of blocks %v are U8 %v", clip(scales.name),
			scales.dtype, scales.shape, blocks.shape, blocks.shape[:n-1])
	}
	per := blocks.shape[n-2] // blocks of a row
	m := &matrix{dtype: quant.MXFP4, rows: tensor.Shape(blocks.shape[:n-2]).Elems(), cols: per * 32}
	m.read = func(dst []byte, lo, hi int) error {
		codes, e := make([]byte, (hi-lo)*per*16), make([]byte, (hi-lo)*per)
		if err := blocks.read(codes, int64(lo)*int64(per)*16); err != nil {
			return err
		}
		if err := scales.read(e, int64(lo)*int64(per)); err != nil {
			return err
		}
		for i := range e {
			src, out := codes[i*16:][:16], dst[i*17:][:17]
			out[0] = e[i]
			for j := range 16 {
				low := src[j/2] >> (j % 2 * 4) & 15
				high := src[8+j/2] >> (j % 2 * 4) & 15
				out[1+j] = low | high<<4
			}
		}
		return nil
	}
	return m, nil
}
