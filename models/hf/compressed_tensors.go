package hf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// compressedTensors reads quantization_config of the format compressed-tensors (llm-compressor) and refuses what would
// be read wrongly. It says nothing of single modules: their tensors do.
func (b *builder) compressedTensors(q *config) {
	formats := []string{"dense", "float-quantized", "int-quantized", "naive-quantized", "pack-quantized",
		"nvfp4-pack-quantized", "mxfp4-pack-quantized", "mixed-precision"}
	check := func(c *config) {
		if format := c.str("format"); c.has("format") && !slices.Contains(formats, format) {
			c.fail("%sformat %q is not read (%s are)", c.path, clip(format), strings.Join(formats, ", "))
		}
	}
	check(q)
	if s := q.sub("sparsity_config"); s != nil {
		if format := s.str("format"); format != "" && format != "dense" {
			s.fail("%sformat %q is not read (dense is)", s.path, clip(format))
		}
	}
	if _, v := q.lookup("transform_config"); v != nil {
		if o, ok := v.(object); !ok || len(o) > 0 {
			q.fail("%stransform_config is not read: its transforms of activations would be left out", q.path)
		}
	}
	groups := q.sub("config_groups")
	if groups == nil {
		return
	}
	for _, name := range sortedKeys(groups.objs[0]) {
		group := groups.sub(name)
		if group == nil {
			return
		}
		check(group)
		w := group.sub("weights")
		if w == nil {
			continue
		}
		bits := w.int(1, 32, "num_bits")
		if !slices.Contains(b.packedBits, bits) {
			b.packedBits = append(b.packedBits, bits)
		}
		if size := w.floats("block_structure"); size != nil {
			b.blockSizes(w, "block_structure", size)
		}
	}
}

// blockSizes takes the sizes of blocks that share a scale.
func (b *builder) blockSizes(q *config, name string, size []float64) {
	if len(size) != 2 || size[0] < 1 || size[1] < 1 || size[0] > models.MaxDim || size[1] > models.MaxDim {
		q.fail("%s%s is not two sizes", q.path, name)
		return
	}
	b.blockRows, b.blockCols = int(size[0]), int(size[1])
}

// packedIntegers returns the weights of a module of pack-quantized compressed-tensors: packed, I32 [rows, cols*bits/32]
// rounded up, has the numbers of a row, those of the lowest column in the lowest bits, above the least of them;
// shape is I64 or I32 [2], the rows and columns; scales are [rows, groups]; zeros, which may be nil, I32
// [rows*bits/32, groups] rounded up, are packed likewise along the rows; gIdx, which may be nil, is the group of each
// column. bits are those that the configuration names.
func packedIntegers(bits []int, packed, shape, scales, zeros, gIdx *stored) (*integers, error) {
	if packed.dtype != "I32" || len(packed.shape) != 2 || tensor.Shape(packed.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, packed integers are I32 of two dimensions",
			clip(packed.name), packed.dtype, packed.shape)
	}
	sizes, err := shape.integers(2)
	if err != nil {
		return nil, err
	}
	rows, cols := sizes[0], sizes[1]
	words := packed.shape[1]
	n := 0
	for _, bit := range bits {
		if slices.Contains([]int{2, 4, 8}, bit) && (cols*bit+31)/32 == words && rows == packed.shape[0] {
			n = bit
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("tensor %q has shape %v, which does not fit %v of %q in numbers of %v bits (2, 4 and "+
			"8 are read)", clip(packed.name), packed.shape, sizes, clip(shape.name), bits)
	}
	x := &integers{name: packed.name, rows: rows, cols: cols, most: 1<<n - 1}
	if err := x.scaleTable(scales); err != nil {
		return nil, err
	}
	if want := []int{(rows*n + 31) / 32, x.groups}; zeros != nil &&
		(zeros.dtype != "I32" || !slices.Equal(zeros.shape, want)) {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want I32 %v", clip(zeros.name), zeros.dtype, zeros.shape,
			want)
	}
	if gIdx != nil && (gIdx.dtype != "I32" || !slices.Equal(gIdx.shape, []int{cols})) {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want I32 [%d]", clip(gIdx.name), gIdx.dtype, gIdx.shape,
			cols)
	}
	x.zeros = func() ([]int16, error) {
		out := make([]int16, rows*x.groups)
		if zeros == nil {
			for i := range out {
				out[i] = 1 << (n - 1)
			}
			return out, nil
		}
		b, err := zeros.all()
		if err != nil {
			return nil, err
		}
		for i := range out {
			r, g := i/x.groups, i%x.groups
			out[i] = bitsAt(b[4*g:], r*n, n, 4*x.groups)
		}
		return out, nil
	}
	x.group = func() ([]int32, error) { return columnGroups(gIdx, cols, x.groupSize()) }
	x.codes = func() (func(dst []int16, lo, hi int), error) {
		b, err := packed.all()
		return func(dst []int16, lo, hi int) {
			for r := lo; r < hi; r++ {
				row, per := dst[(r-lo)*cols:][:cols], 32/n
				for i := range words {
					unpackWord(row[i*per:min(i*per+per, cols)], b[4*(r*words+i):], n)
				}
			}
		}, err
	}
	return x, nil
}

// bytes8 returns the weights of a module of int-quantized compressed-tensors: I8 [rows, cols]; scales as in
// packedIntegers, and zeros, which may be nil, I8 of the same shape.
func bytes8(t, scales, zeros *stored) (*integers, error) {
	if len(t.shape) != 2 || tensor.Shape(t.shape).Elems() == 0 {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want two dimensions", clip(t.name), t.dtype, t.shape)
	}
	x := &integers{name: t.name, rows: t.shape[0], cols: t.shape[1], least: -128, most: 127}
	if err := x.scaleTable(scales); err != nil {
		return nil, err
	}
	if zeros != nil && (zeros.dtype != "I8" || !slices.Equal(zeros.shape, scales.shape)) {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want I8 %v", clip(zeros.name), zeros.dtype, zeros.shape,
			scales.shape)
	}
	x.zeros = func() ([]int16, error) {
		out := make([]int16, x.rows*x.groups)
		if zeros == nil {
			return out, nil
		}
		b, err := zeros.all()
		if err != nil {
			return nil, err
		}
		for i := range out {
			out[i] = int16(int8(b[i*len(b)/len(out)]))
		}
		return out, nil
	}
	x.group = func() ([]int32, error) { return inTurn(x.cols, x.groupSize()), nil }
	x.codes = func() (func(dst []int16, lo, hi int), error) {
		b, err := t.all()
		return func(dst []int16, lo, hi int) {
			for i, v := range b[lo*x.cols : hi*x.cols] {
				dst[i] = int16(int8(v))
			}
		}, err
	}
	return x, nil
}

// scaleTable checks the shape of scales, [rows, groups] or, of one for all, [1] or none, takes the number of groups
// from it, and sets what reads them.
func (x *integers) scaleTable(t *stored) error {
	one := tensor.Shape(t.shape).Elems() == 1
	x.groups = 1
	if len(t.shape) == 2 {
		x.groups = t.shape[1]
	}
	if machineTypes[t.dtype] == tensor.Invalid || x.groups < 1 || x.cols%x.groups != 0 ||
		!one && (len(t.shape) != 2 || t.shape[0] != x.rows) {
		return fmt.Errorf("tensor %q of %s has shape %v, want F16, BF16 or F32 [%d, groups of columns of %q]",
			clip(t.name), t.dtype, t.shape, x.rows, clip(x.name))
	}
	x.halves = t.dtype == "F16"
	x.scales = func() ([]float32, error) {
		s, err := t.floats()
		if err != nil || !one {
			return s, err
		}
		return slices.Repeat(s, x.rows), nil
	}
	return nil
}

// groupSize is the number of columns of a group.
func (x *integers) groupSize() int { return x.cols / x.groups }

// integers reads n numbers from 1 to the largest dimension, of I64 or I32.
func (t *stored) integers(n int) ([]int, error) {
	size := map[string]int64{"I64": 8, "I32": 4}[t.dtype]
	if size == 0 || tensor.Shape(t.shape).Elems() != n {
		return nil, fmt.Errorf("tensor %q of %s has shape %v, want I64 [%d]", clip(t.name), t.dtype, t.shape, n)
	}
	b, err := t.all()
	if err != nil {
		return nil, err
	}
	out := make([]int, n)
	for i := range out {
		v := int64(int32(binary.LittleEndian.Uint32(b[int64(i)*size:])))
		if size == 8 {
			v = int64(binary.LittleEndian.Uint64(b[8*i:]))
		}
		if v < 1 || v > 1<<31-1 {
			return nil, fmt.Errorf("tensor %q: %d is no size", clip(t.name), v)
		}
		out[i] = int(v)
	}
	return out, nil
}
