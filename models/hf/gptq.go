package hf

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// gptqScheme is what quantization_config says of GPTQ (AutoGPTQ, GPTQModel).
type gptqScheme struct {
	bits, group int // group is 0 for one of all columns
	plusOne     bool
}

// readGPTQ reads quantization_config. The first form of the format stores zero points less one.
func readGPTQ(q *config) (s gptqScheme) {
	s.bits = q.int(2, 8, "bits")
	if !slices.Contains([]int{2, 3, 4, 8}, s.bits) {
		q.fail("%sbits %d is not read (2, 3, 4 and 8 are)", q.path, s.bits)
	}
	s.group = groupSize(q, "group_size")
	format := q.str("checkpoint_format", "format")
	switch format {
	case "", "gptq":
		s.plusOne = true
	case "gptq_v2":
	default:
		q.fail("%scheckpoint_format %q is not read (gptq and gptq_v2 are)", q.path, clip(format))
	}
	if t := q.str("pack_dtype"); t != "" && t != "int32" {
		q.fail("%spack_dtype %q is not read (int32 is)", q.path, clip(t))
	}
	return s
}

// groupSize reads a number of columns, -1 of which means all of them; it returns 0 for that.
func groupSize(q *config, names ...string) int {
	return max(0, q.int(-1, 1<<30, names...))
}

// gptq returns the weights of a module: qweight, I32 [cols*bits/32, rows], has the numbers of a row below each other,
// those of the lowest column in the lowest bits; qzeros, I32 [groups, rows*bits/32], those of a group beside each
// other; scales are [groups, rows]; gIdx, which may be nil, is the group of each column.
func gptq(s gptqScheme, qweight, qzeros, scales, gIdx *stored) (*integers, error) {
	if qweight.dtype != "I32" || len(qweight.shape) != 2 || qweight.shape[0]*32%s.bits != 0 ||
		tensor.Shape(qweight.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, GPTQ of %d bits is I32 [columns*%d/32, rows]",
			clip(qweight.name), qweight.dtype, qweight.shape, s.bits, s.bits)
	}
	x := &integers{name: qweight.name, rows: qweight.shape[1], cols: qweight.shape[0] * 32 / s.bits, most: 1<<s.bits - 1}
	size := s.group
	if size == 0 {
		size = x.cols
	}
	x.groups = (x.cols + size - 1) / size
	if err := packedHead(x, s.bits, qzeros, scales); err != nil {
		return nil, err
	}
	if gIdx != nil && (gIdx.dtype != "I32" || !slices.Equal(gIdx.shape, []int{x.cols})) {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want I32 [%d]", clip(gIdx.name), gIdx.dtype, gIdx.shape,
			x.cols)
	}
	x.zeros = func() ([]int16, error) {
		words, err := qzeros.all()
		if err != nil {
			return nil, err
		}
		line := len(words) / x.groups
		zeros := make([]int16, x.rows*x.groups)
		for i := range zeros {
			r, g := i/x.groups, i%x.groups
			zeros[i] = bitsAt(words[g*line:], r*s.bits, s.bits, 4)
			if s.plusOne {
				zeros[i] = (zeros[i] + 1) & int16(x.most) // zero less one is all bits
			}
		}
		return zeros, nil
	}
	x.group = func() ([]int32, error) { return columnGroups(gIdx, x.cols, size) }
	x.codes = func() (func(dst []int16, lo, hi int), error) {
		words, err := qweight.all()
		return func(dst []int16, lo, hi int) {
			if s.bits == 3 { // numbers begin in one word and end in the next
				for c := range x.cols {
					for r := lo; r < hi; r++ {
						dst[(r-lo)*x.cols+c] = bitsAt(words[4*r:], c*s.bits, s.bits, 4*x.rows)
					}
				}
				return
			}
			per := 32 / s.bits
			for i := range x.cols / per {
				for r := lo; r < hi; r++ {
					unpackWord(dst[(r-lo)*x.cols+i*per:][:per], words[4*(i*x.rows+r):], s.bits)
				}
			}
		}, err
	}
	return x, nil
}

// packedHead checks the shapes of zero points and scales of GPTQ and AWQ, in which the rows of a group lie beside each
// other, and sets what reads the scales.
func packedHead(x *integers, bits int, qzeros, scales *stored) error {
	if x.rows*bits%32 != 0 {
		return fmt.Errorf("tensor %q has %d rows, whose zero points of %d bits are no whole words", clip(x.name), x.rows,
			bits)
	}
	if want := []int{x.groups, x.rows * bits / 32}; qzeros.dtype != "I32" || !slices.Equal(qzeros.shape, want) {
		return fmt.Errorf("tensor %q of %s has shape %v, want I32 %v", clip(qzeros.name), qzeros.dtype, qzeros.shape,
			want)
	}
	want := []int{x.groups, x.rows}
	if machineTypes[scales.dtype] == tensor.Invalid || !slices.Equal(scales.shape, want) {
		return fmt.Errorf("tensor %q of %s has shape %v, want F16, BF16 or F32 %v", clip(scales.name), scales.dtype,
			scales.shape, want)
	}
	x.halves = scales.dtype == "F16"
	x.scales = func() ([]float32, error) {
		s, err := scales.floats()
		return transposed(s, x.groups), err
	}
	return nil
}
