package hf

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// matrix is a tensor seen as rows of equal length that are made when they are read. It is immutable; read may be
// called from several goroutines.
type matrix struct {
	dtype      tensor.DType
	rows, cols int
	read       func(dst []byte, lo, hi int) error // fills dst with rows lo to hi

	// factors multiply what dtype says of the bytes: one factor all rows, several as many equal runs of rows. GGUF has
	// them in a tensor of its own beside NVFP4; nil for all other types.
	factors []float32
}

// rowBytes returns the size of a row.
func (m *matrix) rowBytes() int {
	f, _ := m.dtype.Format() // constructors take registered types only
	return m.cols / f.Block * f.Bytes
}

// machineTypes are the element types of safetensors that files of GGUF hold as they are.
var machineTypes = map[string]tensor.DType{"F32": tensor.F32, "F16": tensor.F16, "BF16": tensor.BF16}

// raw is t as its file has it, with rows of the last dimension; a vector is one row.
func raw(t *stored, dtype tensor.DType) *matrix {
	m := &matrix{dtype: dtype, rows: 1, cols: 1}
	if n := len(t.shape); n > 0 {
		m.cols = t.shape[n-1]
		m.rows = tensor.Shape(t.shape[:n-1]).Elems()
	}
	rowBytes := int64(m.rowBytes())
	m.read = func(dst []byte, lo, _ int) error { return t.read(dst, int64(lo)*rowBytes) }
	return m
}

// reshape is m with rows of another length over the same elements.
func (m *matrix) reshape(cols int) *matrix {
	if cols == m.cols {
		return m
	}
	f, _ := m.dtype.Format()
	if cols%f.Block != 0 || len(m.factors) > 1 {
		return m.float(nil).reshape(cols)
	}
	out := &matrix{dtype: m.dtype, rows: m.rows * m.cols / cols, cols: cols, factors: m.factors}
	out.read = func(dst []byte, lo, hi int) error {
		first, last := lo*cols/m.cols, (hi*cols+m.cols-1)/m.cols
		buf := make([]byte, (last-first)*m.rowBytes())
		if err := m.read(buf, first, last); err != nil {
			return err
		}
		copy(dst, buf[(lo*cols-first*m.cols)/f.Block*f.Bytes:])
		return nil
	}
	return out
}

// gatherSpan bounds the bytes that pick reads beyond those that it wants, to read once in place of row by row.
const gatherSpan = 1 << 20

// pick has n rows, the i-th of which is row at(i) of m.
func (m *matrix) pick(n int, at func(i int) int) *matrix {
	if len(m.factors) > 1 {
		m = m.float(nil)
	}
	out := &matrix{dtype: m.dtype, rows: n, cols: m.cols, factors: m.factors}
	size := m.rowBytes()
	out.read = func(dst []byte, lo, hi int) error {
		for lo < hi {
			// The longest run of rows that lie close to each other.
			first, last, end := at(lo), at(lo), lo+1
			for ; end < hi; end++ {
				a, b := min(first, at(end)), max(last, at(end))
				if span := (b - a + 1) * size; span > gatherSpan && b-a+1 > 2*(end-lo+1) {
					break
				}
				first, last = a, b
			}
			buf := dst[:(end-lo)*size]
			contiguous := last-first == end-lo-1
			for i := lo; contiguous && i < end; i++ {
				contiguous = at(i) == first+i-lo
			}
			if contiguous {
				if err := m.read(buf, first, last+1); err != nil {
					return err
				}
			} else {
				src := make([]byte, (last-first+1)*size)
				if err := m.read(src, first, last+1); err != nil {
					return err
				}
				for i := lo; i < end; i++ {
					copy(buf[(i-lo)*size:][:size], src[(at(i)-first)*size:])
				}
			}
			dst, lo = dst[(end-lo)*size:], end
		}
		return nil
	}
	return out
}

// stack has the rows of all ms, one after the other. They have equal types and sizes, and at most one factor each.
func stack(ms []*matrix) *matrix {
	n, size := ms[0].rows, ms[0].rowBytes()
	out := &matrix{dtype: ms[0].dtype, rows: n * len(ms), cols: ms[0].cols}
	for _, m := range ms {
		out.factors = append(out.factors, m.factors...)
	}
	out.read = func(dst []byte, lo, hi int) error {
		for lo < hi {
			k := lo / n
			end := min(hi, (k+1)*n)
			if err := ms[k].read(dst[:(end-lo)*size], lo-k*n, end-k*n); err != nil {
				return err
			}
			dst, lo = dst[(end-lo)*size:], end
		}
		return nil
	}
	return out
}

// concat is the rows of ms, which are as long, behind each other. Those of different types, or with factors, become
// F32.
func concat(ms []*matrix) *matrix {
	out := &matrix{dtype: ms[0].dtype, cols: ms[0].cols}
	ms = slices.Clone(ms)
	mixed := slices.ContainsFunc(ms, func(m *matrix) bool { return m.dtype != out.dtype || m.factors != nil })
	for i, m := range ms {
		if out.rows += m.rows; mixed {
			ms[i], out.dtype = m.float(nil), tensor.F32
		}
	}
	size := out.rowBytes()
	out.read = func(dst []byte, lo, hi int) error {
		for _, m := range ms {
			if n := min(hi, m.rows) - lo; n > 0 {
				if err := m.read(dst[:n*size], lo, lo+n); err != nil {
					return err
				}
				dst, lo = dst[n*size:], lo+n
			}
			lo, hi = lo-m.rows, hi-m.rows
			if hi <= 0 {
				break
			}
		}
		return nil
	}
	return out
}

// pickColumns moves groups of width columns: the i-th group of the result is group at(i) of m.
func (m *matrix) pickColumns(width int, at func(i int) int) *matrix {
	f, _ := m.dtype.Format()
	if width%f.Block != 0 {
		return m.float(nil).pickColumns(width, at)
	}
	out := &matrix{dtype: m.dtype, rows: m.rows, cols: m.cols, factors: m.factors}
	size, group := m.rowBytes(), width/f.Block*f.Bytes
	out.read = func(dst []byte, lo, hi int) error {
		src := make([]byte, len(dst))
		if err := m.read(src, lo, hi); err != nil {
			return err
		}
		for row := 0; row < len(dst); row += size {
			for i := range size / group {
				copy(dst[row+i*group:][:group], src[row+at(i)*group:])
			}
		}
		return nil
	}
	return out
}

// slabCache keeps the slab that was transposed last, for all tensors of a folder: rows are read in order, a few at a
// time, and to transpose a slab for each of them would read it over and over.
type slabCache struct {
	mu   sync.Mutex
	of   *matrix
	k    int
	data []byte // not modified once it is here
}

// get returns slab k of m, transposed.
func (c *slabCache) get(m *matrix, slabRows, k int) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == m && c.k == k {
		return c.data, nil
	}
	size := m.rowBytes()
	slab := make([]byte, slabRows*size)
	if err := m.read(slab, k*slabRows, (k+1)*slabRows); err != nil {
		return nil, err
	}
	out := make([]byte, len(slab))
	elem := size / m.cols
	for i := range slabRows {
		for j := range m.cols {
			copy(out[(j*slabRows+i)*elem:][:elem], slab[i*size+j*elem:])
		}
	}
	c.of, c.k, c.data = m, k, out
	return out, nil
}

// transpose turns a stack of slabs [rows, cols] into one of [cols, rows].
func (m *matrix) transpose(slabRows int, c *slabCache) *matrix {
	if f, _ := m.dtype.Format(); f.Block > 1 {
		m = m.float(nil)
	}
	out := &matrix{dtype: m.dtype, rows: m.rows / slabRows * m.cols, cols: slabRows}
	size := out.rowBytes()
	out.read = func(dst []byte, lo, hi int) error {
		for lo < hi {
			k := lo / m.cols
			slab, err := c.get(m, slabRows, k)
			if err != nil {
				return err
			}
			end := min(hi, (k+1)*m.cols)
			copy(dst[:(end-lo)*size], slab[(lo-k*m.cols)*size:])
			dst, lo = dst[(end-lo)*size:], end
		}
		return nil
	}
	return out
}

// float is m in F32 with f, which may be nil, applied to each element.
func (m *matrix) float(f func(float32) float32) *matrix {
	if m.dtype == tensor.F32 && f == nil {
		return m
	}
	out := &matrix{dtype: tensor.F32, rows: m.rows, cols: m.cols}
	out.read = func(dst []byte, lo, hi int) error {
		x := make([]float32, len(dst)/4)
		if err := m.floats(x, lo, hi); err != nil {
			return err
		}
		if f != nil {
			for i, v := range x {
				x[i] = f(v)
			}
		}
		putFloats(dst, x)
		return nil
	}
	return out
}

// scaled is m in F32 with row i multiplied by by(i).
func (m *matrix) scaled(by func(i int) float32) *matrix {
	out := &matrix{dtype: tensor.F32, rows: m.rows, cols: m.cols}
	out.read = func(dst []byte, lo, hi int) error {
		x := make([]float32, len(dst)/4)
		if err := m.floats(x, lo, hi); err != nil {
			return err
		}
		for i := range x {
			x[i] *= by(lo + i/m.cols)
		}
		putFloats(dst, x)
		return nil
	}
	return out
}

// floats reads rows lo to hi into x.
func (m *matrix) floats(x []float32, lo, hi int) error {
	buf := make([]byte, (hi-lo)*m.rowBytes())
	if err := m.read(buf, lo, hi); err != nil {
		return err
	}
	err := quant.Dequantize(m.dtype, x, buf)
	for i := range x {
		if m.factors == nil {
			break
		}
		x[i] *= m.factors[(lo+i/m.cols)*len(m.factors)/m.rows]
	}
	return err
}

func putFloats(dst []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

// values is a tensor of computed numbers.
func values(x []float32) *matrix {
	return &matrix{dtype: tensor.F32, rows: 1, cols: len(x), read: func(dst []byte, _, _ int) error {
		putFloats(dst, x)
		return nil
	}}
}

// narrowed is an F32 matrix rounded to BF16.
func (m *matrix) narrowed() *matrix {
	out := &matrix{dtype: tensor.BF16, rows: m.rows, cols: m.cols}
	out.read = func(dst []byte, lo, hi int) error {
		x := make([]float32, len(dst)/2)
		if err := m.floats(x, lo, hi); err != nil {
			return err
		}
		return quant.Quantize(tensor.BF16, dst, x, m.cols, nil)
	}
	return out
}

// plusOne turns the weights of zero-centred norms, which multiply by 1+w, into plain ones.
func plusOne(x float32) float32 { return 1 + x }

// interleaveHalves is the row order of queries and keys in files whose rotary pairs are neighbours: in each head of
// dim rows, new row 2i is old row i and new row 2i+1 is old row i+dim/2.
func interleaveHalves(dim int) func(int) int {
	return func(i int) int { return i - i%dim + i%2*(dim/2) + i%dim/2 }
}

// retile is the order of value heads in files where value head h uses key head h mod keys: stored are the heads of
// one key head after the other.
func retile(keys, values int) func(int) int {
	per := values / keys
	return func(i int) int { return i%keys*per + i/keys }
}

// grouped applies an order of groups to rows that come in groups of size.
func grouped(size int, at func(int) int) func(int) int {
	return func(i int) int { return at(i/size)*size + i%size }
}

// rowsOf is a vector, or a matrix, as rows that an order can be applied to: elements of a vector are rows.
func rowsOf(m *matrix) *matrix {
	if m.rows == 1 {
		return m.reshape(1)
	}
	return m
}

// reorder is m with its rows, or its elements if it is a vector, in another order.
func reorder(m *matrix, at func(int) int) *matrix {
	r := rowsOf(m)
	return r.pick(r.rows, at).reshape(m.cols)
}
