package hf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// integers are weights stored as whole numbers: element (r, c) of [rows, cols] is (q - zero) * scale, with zero and
// scale of row r and of the group that column c belongs to. How the parts are packed is the business of those who fill
// this in (gptq.go, awq.go, compressed_tensors.go).
type integers struct {
	name               string // as it is stored, for messages
	rows, cols, groups int
	least, most        int // that q may be

	zeros  func() ([]int16, error)   // reads zero points, [rows, groups]
	scales func() ([]float32, error) // reads scales, [rows, groups]
	group  func() ([]int32, error)   // reads the group of each column
	halves bool                      // the scales are stored in F16

	// codes reads all numbers; what it returns fills dst with those of rows lo to hi.
	codes func() (rows func(dst []int16, lo, hi int), err error)
}

// presented returns the type that x is presented in: that of GGUF's blocks that hold every value exactly, which needs
// scales that F16 holds and groups that are runs of whole blocks; F32 if there is none.
func (x *integers) presented() (tensor.DType, error) {
	group, err := x.group()
	if err != nil {
		return tensor.Invalid, err
	}
	blocks := x.cols%intBlock == 0
	for c, g := range group {
		if g < 0 || int(g) >= x.groups {
			return tensor.Invalid, fmt.Errorf("tensor %q: column %d is of group %d, there are %d", clip(x.name), c, g,
				x.groups)
		}
		blocks = blocks && g == group[c-c%intBlock]
	}
	if !blocks {
		return tensor.F32, nil
	}
	if !x.halves {
		scales, err := x.scales()
		if err != nil {
			return tensor.Invalid, err
		}
		if slices.ContainsFunc(scales, func(s float32) bool { return quant.HalfToFloat(quant.FloatToHalf(s)) != s }) {
			return tensor.F32, nil
		}
	}
	zeros, err := x.zeros()
	if err != nil {
		return tensor.Invalid, err
	}
	lo, hi := x.least-int(slices.Max(zeros)), x.most-int(slices.Min(zeros))
	for _, b := range intBlocks {
		if lo >= -b.below && hi < b.below {
			return b.dtype, nil
		}
	}
	return tensor.F32, nil
}

// intBlock is the number of elements of each type in intBlocks.
const intBlock = 32

// intBlockType is a type of GGUF whose elements are a whole number from -below to below-1 times a scale in F16. put
// writes the numbers of a block, which lie behind the scale.
type intBlockType struct {
	dtype tensor.DType
	below int
	put   func(dst []byte, q []int16)
}

// intBlocks are such types, the smallest first.
var intBlocks = []intBlockType{
	{quant.Q4_0, 8, func(dst []byte, q []int16) {
		for j := range 16 {
			dst[j] = byte(q[j]+8) | byte(q[j+16]+8)<<4
		}
	}},
	{quant.Q5_0, 16, func(dst []byte, q []int16) {
		var fifth uint32
		for j := range 16 {
			a, b := byte(q[j]+16), byte(q[j+16]+16)
			dst[4+j] = a&15 | b<<4
			fifth |= uint32(a>>4)<<j | uint32(b>>4)<<(j+16)
		}
		binary.LittleEndian.PutUint32(dst, fifth)
	}},
	{quant.Q8_0, 128, func(dst []byte, q []int16) {
		for j := range intBlock {
			dst[j] = byte(int8(q[j]))
		}
	}},
}

// matrix presents x in a type that presented returned.
func (x *integers) matrix(dtype tensor.DType, c *unpackedCache) *matrix {
	m := &matrix{dtype: dtype, rows: x.rows, cols: x.cols}
	block := slices.IndexFunc(intBlocks, func(b intBlockType) bool { return b.dtype == dtype })
	m.read = func(dst []byte, lo, hi int) error {
		u, err := c.get(x)
		if err != nil {
			return err
		}
		size, strip := m.rowBytes(), max(1, min(hi-lo, intStrip/x.cols))
		q := make([]int16, strip*x.cols)
		out := make([]float32, x.cols)
		for ; lo < hi; lo += strip {
			strip = min(strip, hi-lo)
			u.rows(q, lo, lo+strip)
			for r := range strip {
				row := q[r*x.cols:][:x.cols]
				zeros, scales := u.zeros[(lo+r)*x.groups:][:x.groups], u.scales[(lo+r)*x.groups:][:x.groups]
				for i, g := range u.group {
					row[i] -= zeros[g]
				}
				to := dst[:size]
				dst = dst[size:]
				if block < 0 {
					for i, g := range u.group {
						out[i] = float32(row[i]) * scales[g]
					}
					putFloats(to, out)
					continue
				}
				f, _ := dtype.Format()
				for i := 0; i < x.cols; i += intBlock {
					binary.LittleEndian.PutUint16(to, quant.FloatToHalf(scales[u.group[i]]))
					intBlocks[block].put(to[2:], row[i:])
					to = to[f.Bytes:]
				}
			}
		}
		return nil
	}
	return m
}

// intStrip is how many numbers are unpacked at a time.
const intStrip = 1 << 16

// unpacked are all numbers of a tensor, in memory as the file has them.
type unpacked struct {
	zeros  []int16
	scales []float32
	group  []int32
	rows   func(dst []int16, lo, hi int)
}

// unpackedCache keeps the tensors of a folder that were read last. Most files store columns of weights together, so
// that to read a few rows is to read a tensor: to do that for each piece of it would take the square of the time.
type unpackedCache struct {
	mu   sync.Mutex
	list []unpackedEntry // the oldest first
}

type unpackedEntry struct {
	of  *integers
	all func() (*unpacked, error)
}

// unpackedKept is how many tensors the cache keeps: as many as are read at a time when a model is loaded.
const unpackedKept = 8

// get returns the numbers of x. They are not modified.
func (c *unpackedCache) get(x *integers) (*unpacked, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.list, func(e unpackedEntry) bool { return e.of == x })
	e := unpackedEntry{x, sync.OnceValues(x.unpack)}
	if i >= 0 {
		e = c.list[i]
		c.list = slices.Delete(c.list, i, i+1)
	} else if len(c.list) == unpackedKept {
		c.list = slices.Delete(c.list, 0, 1)
	}
	c.list = append(c.list, e)
	c.mu.Unlock()
	return e.all()
}

func (x *integers) unpack() (u *unpacked, err error) {
	u = &unpacked{}
	if u.zeros, err = x.zeros(); err != nil {
		return nil, err
	}
	if u.scales, err = x.scales(); err != nil {
		return nil, err
	}
	if u.group, err = x.group(); err != nil {
		return nil, err
	}
	u.rows, err = x.codes()
	return u, err
}

// all returns the bytes of t.
func (t *stored) all() ([]byte, error) {
	b := make([]byte, t.size)
	return b, t.read(b, 0)
}

// floats returns the elements of t, which is of a machine type.
func (t *stored) floats() ([]float32, error) {
	b, err := t.all()
	if err != nil {
		return nil, err
	}
	x := make([]float32, tensor.Shape(t.shape).Elems())
	return x, quant.Dequantize(machineTypes[t.dtype], x, b)
}

// transposed turns a table of n rows into one of n columns.
func transposed[T any](x []T, n int) []T {
	if n == 0 {
		return x
	}
	out, cols := make([]T, len(x)), len(x)/n
	for i, v := range x {
		out[i%cols*n+i/cols] = v
	}
	return out
}

// inTurn gives column c group c/size.
func inTurn(cols, size int) []int32 {
	g := make([]int32, cols)
	for c := range g {
		g[c] = int32(c / size)
	}
	return g
}

// columnGroups reads the group of each column; t may be nil, or hold -1 alone, which gives them in turn.
func columnGroups(t *stored, cols, size int) ([]int32, error) {
	if t == nil {
		return inTurn(cols, size), nil
	}
	b, err := t.all()
	if err != nil {
		return nil, err
	}
	g := make([]int32, cols)
	for c := range g {
		g[c] = int32(binary.LittleEndian.Uint32(b[4*c:]))
	}
	if !slices.ContainsFunc(g, func(i int32) bool { return i != -1 }) {
		return inTurn(cols, size), nil
	}
	return g, nil
}

// unpackWord fills dst with the numbers of the given bits in the 32-bit word that b begins with, the lowest first.
func unpackWord(dst []int16, b []byte, bits int) {
	w, mask := binary.LittleEndian.Uint32(b), uint32(1)<<bits-1
	for k := range dst {
		dst[k] = int16(w & mask)
		w >>= bits
	}
}

// bitsAt returns the number of the given bits that begins at bit i of 32-bit words which lie stride bytes apart.
func bitsAt(words []byte, i, bits, stride int) int16 {
	at, shift := i/32*stride, i%32
	w := binary.LittleEndian.Uint32(words[at:]) >> shift
	if shift+bits > 32 {
		w |= binary.LittleEndian.Uint32(words[at+stride:]) << (32 - shift)
	}
	return int16(w & (1<<bits - 1))
}
