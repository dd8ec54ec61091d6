package exec

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// elem is the element type of a matrix operand.
type elem uint8

const (
	elemF16 elem = iota
	elemBF16
	elemI8
	elemI4
	elemFP8
	elemBF8
)

// wmmaShape describes a v_wmma instruction: 16x16 result, inner size k.
type wmmaShape struct {
	a, b elem
	k    int
	half bool // C and D are f16 or bf16
}

var wmmaOps = map[string]wmmaShape{
	"v_wmma_f32_16x16x16_f16":     {elemF16, elemF16, 16, false},
	"v_wmma_f32_16x16x16_bf16":    {elemBF16, elemBF16, 16, false},
	"v_wmma_f16_16x16x16_f16":     {elemF16, elemF16, 16, true},
	"v_wmma_bf16_16x16x16_bf16":   {elemBF16, elemBF16, 16, true},
	"v_wmma_i32_16x16x16_iu8":     {elemI8, elemI8, 16, false},
	"v_wmma_i32_16x16x16_iu4":     {elemI4, elemI4, 16, false},
	"v_wmma_i32_16x16x32_iu4":     {elemI4, elemI4, 32, false},
	"v_wmma_f32_16x16x16_fp8_fp8": {elemFP8, elemFP8, 16, false},
	"v_wmma_f32_16x16x16_fp8_bf8": {elemFP8, elemBF8, 16, false},
	"v_wmma_f32_16x16x16_bf8_fp8": {elemBF8, elemFP8, 16, false},
	"v_wmma_f32_16x16x16_bf8_bf8": {elemBF8, elemBF8, 16, false},
}

func (e elem) bits() int {
	switch e {
	case elemF16, elemBF16:
		return 16
	case elemI4:
		return 4
	}
	return 8
}

func (e elem) float(x uint32) float32 {
	switch e {
	case elemF16:
		return f16Table[uint16(x)]
	case elemBF16:
		return bf16ToF32(uint16(x))
	case elemFP8:
		return fp8ToF32(uint8(x))
	}
	return bf8ToF32(uint8(x))
}

// matrix is a 16-row operand with 16 inner elements per row.
type matrix [16][16]float64

// intMatrix is a 16-row operand with up to 32 inner elements per row.
type intMatrix [16][32]int32

// wmma is a compiled matrix instruction.
type wmma struct {
	shape      wmmaShape
	gfx12      bool
	d, a, b    uint8
	c          [8]vsrc
	hi         bool // half accumulator in the upper halves (GFX11 op_sel)
	negA, negB uint8
	negC       uint8 // bit 0 negate, bit 1 absolute value (neg_lo, neg_hi of source 2)
	sa, sb     bool
	clamp      bool
}

// element returns the raw element k of row or column r of a fragment at VGPR v.
// GFX11 keeps all of a row in lane r and wants a copy in lane r+16; GFX12 splits
// the row between the two. Source: RDNA3 and RDNA4 ISA, "Wave Matrix
// Multiply-Accumulate".
func (m *wmma) element(w *wave, v uint8, e elem, r, k int) uint32 {
	bits := e.bits()
	lane := r
	if m.gfx12 {
		half := m.shape.k / 2
		lane += 16 * (k / half)
		k %= half
	}
	per := 32 / bits
	x := w.v[int(v)+k/per][lane] >> (bits * (k % per))
	return x & uint32(uint64(1)<<bits-1)
}

// copied reports whether lanes 16 to 31 hold a copy of what lanes 0 to 15 hold of a fragment, as GFX11 wants it, and
// faults if not. The executor reads the lower lanes alone, so that a missing copy would not show. Source: RDNA3 ISA,
// "Wave Matrix Multiply-Accumulate".
func (m *wmma) copied(w *wave, v uint8, e elem) bool {
	for i := range m.shape.k * e.bits() / 32 {
		reg := &w.v[int(v)+i]
		if [16]uint32(reg[:16]) == [16]uint32(reg[16:]) {
			continue
		}
		lane := 16
		for reg[lane] == reg[lane-16] {
			lane++
		}
		w.fail(BadFragment, lane,
			fmt.Sprintf("v%d holds %#x here and %#x in lane %d, which has the same row", int(v)+i, reg[lane],
				reg[lane-16], lane-16))
		return false
	}
	return true
}

// rowOf returns the row of C that register i holds in lane half h.
func (m *wmma) rowOf(i, h int) int {
	if m.gfx12 {
		return 8*h + i
	}
	return 2*i + h
}

func (m *wmma) run(w *wave) {
	if w.exec() == 0 {
		return
	}
	if w.exec() != fullExec {
		w.fail(PartialExec, -1, "matrix instructions are undefined with inactive lanes")
		return
	}
	if !m.gfx12 && !(m.copied(w, m.a, m.shape.a) && m.copied(w, m.b, m.shape.b)) {
		return
	}
	var c [8]*vec
	var spread [8]vec
	n := 8
	if m.shape.half && m.gfx12 {
		n = 4
	}
	for i := 0; i < n; i++ {
		s := &m.c[i]
		if s.kind == fromSGPR {
			splat(&spread[i], w.s[s.idx])
			c[i] = &spread[i]
		} else {
			c[i] = w.vec(s, 0)
		}
	}
	if m.shape.a == elemI8 || m.shape.a == elemI4 {
		m.integer(w, c)
	} else {
		m.float(w, c)
	}
}

func (m *wmma) integer(w *wave, c [8]*vec) {
	var a, b intMatrix
	width := uint(m.shape.a.bits())
	for r := 0; r < 16; r++ {
		for k := 0; k < m.shape.k; k++ {
			a[r][k] = int32(field(m.element(w, m.a, m.shape.a, r, k), width, m.sa))
			b[r][k] = int32(field(m.element(w, m.b, m.shape.b, r, k), width, m.sb))
		}
	}
	var out [8]vec
	for i := range out {
		for lane := range out[i] {
			row, col := m.rowOf(i, lane>>4), lane&15
			var s int32
			for k := 0; k < m.shape.k; k++ {
				s += a[row][k] * b[col][k]
			}
			if m.clamp {
				out[i][lane] = uint32(max(math.MinInt32, min(int64(s)+int64(int32(c[i][lane])), math.MaxInt32)))
			} else {
				out[i][lane] = uint32(s) + c[i][lane]
			}
		}
	}
	for i := range out {
		w.v[int(m.d)+i] = out[i]
	}
}

// load reads a float fragment. Negation applies to even elements by bit 0 of neg
// and to odd elements by bit 1.
func (m *wmma) load(w *wave, v uint8, e elem, neg uint8, out *matrix) {
	if e == elemF16 && neg == 0 { // the common case, without a call per element
		regs, half := 8, 16
		if m.gfx12 {
			regs, half = 4, 8
		}
		for i := 0; i < regs; i++ {
			reg := &w.v[int(v)+i]
			for r := 0; r < 16; r++ {
				out[r][2*i], out[r][2*i+1] = float64(f16Table[uint16(reg[r])]), float64(f16Table[reg[r]>>16])
				if m.gfx12 {
					x := reg[r+16]
					out[r][half+2*i], out[r][half+2*i+1] = float64(f16Table[uint16(x)]), float64(f16Table[x>>16])
				}
			}
		}
		return
	}
	for r := 0; r < 16; r++ {
		for k := 0; k < m.shape.k; k++ {
			x := e.float(m.element(w, v, e, r, k))
			if neg>>(k&1)&1 != 0 {
				x = -x
			}
			out[r][k] = float64(x)
		}
	}
}

func (m *wmma) float(w *wave, c [8]*vec) {
	var a, b matrix
	m.load(w, m.a, m.shape.a, m.negA, &a)
	m.load(w, m.b, m.shape.b, m.negB, &b)
	var acc [16][16]float64
	m.loadAcc(c, &acc)
	for r := range acc {
		row := &a[r]
		for col := 0; col < 16; col += 4 { // four independent sums hide the latency of addition
			s0, s1, s2, s3 := acc[r][col], acc[r][col+1], acc[r][col+2], acc[r][col+3]
			y0, y1, y2, y3 := &b[col], &b[col+1], &b[col+2], &b[col+3]
			for k, x := range row { // products of halves are exact, so fusing them changes nothing
				s0 += x * y0[k]
				s1 += x * y1[k]
				s2 += x * y2[k]
				s3 += x * y3[k]
			}
			acc[r][col], acc[r][col+1], acc[r][col+2], acc[r][col+3] = s0, s1, s2, s3
		}
	}
	if m.clamp {
		for r := range acc {
			for col, x := range acc[r] {
				acc[r][col] = math.Max(0, math.Min(x, 1))
			}
		}
	}
	m.store(w, &acc)
}

// loadAcc reads C.
func (m *wmma) loadAcc(c [8]*vec, acc *[16][16]float64) {
	for i := 0; i < 8; i++ {
		for h := 0; h < 2; h++ {
			row := &acc[m.rowOf(i, h)]
			if !m.shape.half && m.negC == 0 {
				for k, x := range c[i].f32()[16*h : 16*h+16] {
					row[k] = float64(x)
				}
				continue
			}
			for k := range row {
				row[k] = m.loadC(c, i, 16*h+k)
			}
		}
	}
}

// loadC reads one element of C by register and lane.
func (m *wmma) loadC(c [8]*vec, i, lane int) float64 {
	var x float32
	switch {
	case !m.shape.half:
		x = math.Float32frombits(c[i][lane])
	default:
		var h uint16
		if m.gfx12 {
			h = uint16(c[i/2][lane] >> (16 * (i & 1)))
		} else {
			h = uint16(c[i][lane] >> (16 * b2u(m.hi)))
		}
		if m.shape.a == elemBF16 {
			x = bf16ToF32(h)
		} else {
			x = f16Table[h]
		}
	}
	if m.negC&2 != 0 {
		x = float32(math.Abs(float64(x)))
	}
	if m.negC&1 != 0 {
		x = -x
	}
	return float64(x)
}

func (m *wmma) store(w *wave, acc *[16][16]float64) {
	for i := 0; i < 8; i++ {
		if !m.shape.half {
			d := w.v[int(m.d)+i].f32()
			for h := 0; h < 2; h++ {
				for k, x := range acc[m.rowOf(i, h)] {
					d[16*h+k] = float32(x)
				}
			}
			continue
		}
		for lane := 0; lane < lanes; lane++ {
			x := acc[m.rowOf(i, lane>>4)][lane&15]
			h := uint32(f64ToF16(x))
			if m.shape.a == elemBF16 {
				h = uint32(roundFloat(math.Float64bits(x), 7, 8, false))
			}
			reg, shift := int(m.d)+i, 16*b2u(m.hi)
			if m.gfx12 {
				reg, shift = int(m.d)+i/2, uint32(16*(i&1))
			}
			p := &w.v[reg][lane]
			*p = *p&^(0xffff<<shift) | h<<shift
		}
	}
}

// compileWMMA resolves a matrix instruction.
func (c *compiler) compileWMMA(i *decode.Inst, shape wmmaShape) (opFunc, error) {
	m := &wmma{shape: shape, gfx12: c.prog.gen == decode.GFX12, clamp: i.Clamp}
	d, a, b, src2 := i.Find('D'), i.Find('0'), i.Find('1'), i.Find('2')
	m.d, m.a, m.b = uint8(d.Code), uint8(a.Code), uint8(b.Code)
	for k := range m.c {
		o := *src2
		o.Width = 1
		if o.Kind == decode.VGPR || o.Kind == decode.SGPR {
			o.Code += uint32(k)
			if k >= int(src2.Width) {
				break
			}
		}
		if shape.half && o.Kind == decode.Const {
			m.c[k] = vsrc{kind: fromConst, con: c.constVec(pairHalf(o, shape.a))}
			continue
		}
		m.c[k] = c.source(&o)
	}
	if shape.a == elemI8 || shape.a == elemI4 {
		m.sa, m.sb = i.NegLo&1 != 0, i.NegLo&2 != 0
		return m.run, nil
	}
	m.hi = i.OpSel&4 != 0
	m.negA = i.NegLo&1 | i.NegHi&1<<1
	m.negB = i.NegLo>>1&1 | i.NegHi>>1&1<<1
	m.negC = i.NegLo>>2&1 | i.NegHi>>2&1<<1
	return m.run, nil
}

// pairHalf is an inline constant as two halves of the accumulator's type.
func pairHalf(o decode.Operand, e elem) uint32 {
	h := o.ConstF16()
	if e == elemBF16 && o.Code >= 240 {
		h = uint32(f32ToBF16(math.Float32frombits(o.Const32())))
	}
	return h&0xffff | h<<16
}
