package cpu

import (
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// integerFormats are the weight types with kernels on integers.
var integerFormats = map[tensor.DType]simd.Format{quant.Q8_0: simd.Q8_0, quant.Q4_K: simd.Q4_K, quant.Q5_K: simd.Q5_K,
	quant.Q6_K: simd.Q6_K}

// conversions are the weight types that become such a format on their way to kernels.
var conversions = map[tensor.DType]simd.Conversion{quant.Q4_0: simd.Q4_0, quant.Q5_0: simd.Q5_0,
	quant.IQ4_NL: simd.IQ4_NL, quant.MXFP4: simd.MXFP4, quant.Q3_K: simd.Q3_K, quant.IQ4_XS: simd.IQ4_XS,
	quant.IQ3_S: simd.IQ3_S, quant.IQ3_XXS: simd.IQ3_XXS, quant.IQ2_S: simd.IQ2_S, quant.IQ2_XS: simd.IQ2_XS,
	quant.IQ2_XXS: simd.IQ2_XXS, quant.IQ1_M: simd.IQ1_M, quant.IQ1_S: simd.IQ1_S, quant.TQ2_0: simd.TQ2_0,
	quant.TQ1_0: simd.TQ1_0}

// expansions are the weight types that kernels turn into float32.
var expansions = map[tensor.DType]simd.Expansion{quant.Q4_1: simd.Q4_1, quant.Q5_1: simd.Q5_1, quant.Q2_K: simd.Q2_K}

// floatFormats are the weight types that kernels read as floating-point numbers.
var floatFormats = map[tensor.DType]simd.FloatType{tensor.F32: simd.F32, tensor.F16: simd.F16, tensor.BF16: simd.BF16}

// matrix is a weight matrix and how kernels read it.
type matrix struct {
	data              []byte
	rowBytes, rows, k int
	format            tensor.Format

	integer     bool // kernels on integers, of format f
	f           simd.Format
	interleaved bool // rows of that format, as simd.InterleavedRows says
	convert     bool // rows become that format first
	conv        simd.Conversion

	typ   simd.FloatType // of rows as floating-point numbers
	dense bool           // rows become float32 first
	grow  bool           // by expansion exp
	exp   simd.Expansion
}

// newMatrix returns the matrix whose rows are the innermost rows of w.
func newMatrix(w opsref.View[float32]) matrix {
	m := matrix{data: w.Raw, rowBytes: w.RowBytes(), rows: w.Shape.Rows(), k: w.Shape.Last(), format: w.Format,
		interleaved: w.Layout.Name == interleaved}
	m.f, m.integer = integerFormats[w.DType]
	if m.conv, m.convert = conversions[w.DType]; m.convert {
		m.integer, m.f = true, m.conv.Format()
	}
	m.choose(1)
	return m
}

// choose decides how rows become floating-point numbers if each meets the given number of tokens.
func (m *matrix) choose(tokens int) {
	typ, ok := floatFormats[m.format.DType]
	m.typ = typ
	m.dense = !ok || typ != simd.F32 && (tokens > 2 || m.k%16 != 0) // converting pays if several tokens use the result
	m.exp, m.grow = expansions[m.format.DType]
}

// from returns the bytes of the rows from r on.
func (m *matrix) from(r int) []byte { return m.data[r*m.rowBytes:] }

// floatRows is the number of rows that become float32 at a time.
const floatRows = 8

// scratch returns the bytes that a worker needs for rows in other forms.
func (m *matrix) scratch() int {
	switch {
	case m.convert:
		return m.converted()*simd.TileRows + 4*m.k
	case m.integer || !m.dense:
		return 0
	}
	return 4 * m.k * floatRows
}

// converted returns the bytes of a converted row, rounded up so that what follows is aligned.
func (m *matrix) converted() int { return (m.f.Bytes(m.k) + 63) &^ 63 }

// The numbers of tokens up to which rows are multiplied as they are, or as they are interleaved. Above them, panels of
// rows are made first. Experts keep to the smaller: where panels are more exact (see simd.RoundsColumns), routers of
// mixtures feel it.
const (
	fewTokens      = 8
	fewInterleaved = 16
)

// few returns that number for m.
func (m *matrix) few() int {
	if m.interleaved {
		return fewInterleaved
	}
	return fewTokens
}

// dotRows returns how many rows to multiply with several tokens at a time, so that they stay in the first cache.
func (m *matrix) dotRows() int {
	size := m.rowBytes
	if m.convert && !m.conv.Direct(m.k) {
		size = m.converted()
	}
	n := min(cachedRows(size), simd.TileRows)
	if m.interleaved {
		n = max(n&^(simd.InterleavedRows-1), simd.InterleavedRows)
	}
	return n
}

// integerRows are rows in the form of f: themselves, or converted. wide has a bit for each that cannot be converted,
// of which all products are to be computed again.
type integerRows struct {
	*matrix
	n      int
	data   []byte
	stride int
	wide   uint32
}

// rowsAsInteger returns n rows from r on, at most simd.TileRows if they must be converted, in local.
func (m *matrix) rowsAsInteger(local []byte, r, n int) integerRows {
	rows := integerRows{matrix: m, n: n, data: m.from(r), stride: m.rowBytes}
	if !m.convert {
		return rows
	}
	rows.data, rows.stride = local, m.converted()
	for i := range n {
		if !m.conv.Convert(local[i*rows.stride:][:rows.stride], m.from(r + i)[:m.rowBytes]) {
			rows.wide |= 1 << i
		}
	}
	return rows
}

// multiply sets out[c*stride+i] to the product of row r+i and column c of acts, for n rows, at most simd.TileRows if
// they must be converted. It returns what integerRows calls wide.
func (m *matrix) multiply(local []byte, r, n int, out []float32, stride int, acts []byte, cols int) (wide uint32) {
	if m.convert && m.conv.Dot(out, stride, m.from(r), m.rowBytes, n, acts, cols, m.k) {
		return 0
	}
	rows := m.rowsAsInteger(local, r, n)
	rows.dot(out, stride, acts, cols)
	return rows.wide
}

// dot sets out[c*stride+i] to the product of row i and column c of acts.
func (r integerRows) dot(out []float32, stride int, acts []byte, cols int) {
	if r.interleaved {
		simd.DotInterleaved(r.f, out, stride, r.data, r.n, acts, cols, r.k)
		return
	}
	simd.DotColumns(r.f, out, stride, r.data, r.stride, r.n, acts, cols, r.k)
}

// repack writes panel i of some: elements first to first+size-1 of simd.TileRows rows.
func (r integerRows) repack(panels []byte, i, first, size int) {
	if r.interleaved {
		r.f.RepackInterleaved(panels, i, r.data, r.k, first, size)
		return
	}
	r.f.Repack(panels, i, r.data[r.f.Bytes(first):], r.stride, size)
}

// rowsAsFloat returns n rows from r on, at most floatRows, as floating-point numbers, converted in local if need be.
func (m *matrix) rowsAsFloat(local []byte, r, n int) simd.Matrix {
	if !m.dense {
		return simd.Matrix{Type: m.typ, Data: m.from(r), Stride: m.rowBytes}
	}
	if m.convert { // after the converted rows
		local = local[m.converted()*simd.TileRows:]
	}
	m.floats(cast.Of[float32](local), r, n, 0, m.k)
	return simd.Matrix{Type: simd.F32, Data: local, Stride: 4 * m.k}
}

// floats writes elements first to first+size-1, whole blocks, of n rows from r on as float32.
func (m *matrix) floats(dst []float32, r, n, first, size int) {
	typ, float := floatFormats[m.format.DType]
	skip := first / m.format.Block * m.format.Bytes
	bytes := size / m.format.Block * m.format.Bytes
	for i := range n {
		row, src := dst[i*size:][:size], m.from(r + i)[skip:][:bytes]
		switch {
		case m.grow:
			m.exp.Floats(row, src)
		case float && typ != simd.F32:
			simd.Widen(typ, row, src)
		default:
			m.format.Dequant(row, src)
		}
	}
}

// rounds returns how many activations share a scale where n multiplies integers, see ops.Caps.
func rounds(n *ops.Node) int {
	if n.Op != ops.MulMatOp && n.Op != ops.MulMatExpertsOp && n.Op != ops.MulMatSomeExpertsOp {
		return 0
	}
	w := n.In[1].DType()
	if f, ok := integerFormats[w]; ok {
		return f.Block()
	}
	if c, ok := conversions[w]; ok {
		return c.Format().Block()
	}
	return 0
}
