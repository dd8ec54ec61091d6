package hf

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

// awqGroup reads the group size from quantization_config of AWQ (AutoAWQ) and refuses other forms than the common one.
func awqGroup(q *config) int {
	if bits := q.int(1, 32, "bits", "w_bit"); bits != 4 {
		q.fail("%sbits %d is not read (4 is)", q.path, bits)
	}
	if v := q.str("version"); v != "" && strings.ToLower(v) != "gemm" {
		q.fail("%sversion %q is not read (gemm is)", q.path, clip(v))
	}
	return groupSize(q, "group_size", "q_group_size")
}

// awqShift is the lowest bit that holds the row with the given number modulo 8: a word has even rows in its lower half.
var awqShift = [8]int{0, 16, 4, 20, 8, 24, 12, 28}

// awq returns the weights of a module: qweight, I32 [cols, rows/8], and qzeros, I32 [groups, rows/8], have eight rows
// in a word; scales are [groups, rows].
func awq(group int, qweight, qzeros, scales *stored) (*integers, error) {
	if qweight.dtype != "I32" || len(qweight.shape) != 2 || tensor.Shape(qweight.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, AWQ is I32 [columns, rows/8]", clip(qweight.name),
			qweight.dtype, qweight.shape)
	}
	x := &integers{name: qweight.name, rows: qweight.shape[1] * 8, cols: qweight.shape[0], most: 15}
	if group == 0 {
		group = x.cols
	}
	x.groups = (x.cols + group - 1) / group
	if err := packedHead(x, 4, qzeros, scales); err != nil {
		return nil, err
	}
	at := func(words []byte, i, r int) int16 {
		return int16(binary.LittleEndian.Uint32(words[i*x.rows/2+r/8*4:]) >> awqShift[r%8] & 15)
	}
	x.zeros = func() ([]int16, error) {
		words, err := qzeros.all()
		if err != nil {
			return nil, err
		}
		zeros := make([]int16, x.rows*x.groups)
		for i := range zeros {
			zeros[i] = at(words, i%x.groups, i/x.groups)
		}
		return zeros, nil
	}
	x.group = func() ([]int32, error) { return inTurn(x.cols, group), nil }
	x.codes = func() (func(dst []int16, lo, hi int), error) {
		words, err := qweight.all()
		return func(dst []int16, lo, hi int) {
			for r := lo; r < hi; r++ {
				shift, row := awqShift[r%8], dst[(r-lo)*x.cols:][:x.cols]
				for c := range row {
					row[c] = int16(binary.LittleEndian.Uint32(words[c*x.rows/2+r/8*4:]) >> shift & 15)
				}
			}
		}, err
	}
	return x, nil
}
