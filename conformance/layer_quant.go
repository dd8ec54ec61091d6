package conformance

import (
	"context"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// weightFormats returns the registered types that a weight can have: all that hold numbers but F64, which models do
// not compute with, and those that are for activations.
func weightFormats() []tensor.Format {
	var fs []tensor.Format
	for _, f := range tensor.Formats() {
		if f.Dequant != nil && f.DType != tensor.F64 && !f.Activation {
			fs = append(fs, f)
		}
	}
	return fs
}

// quantChecks is layer 2: every weight type, types without a quantizer included, with blocks that no quantizer makes.
func (s *suite) quantChecks() []check {
	var cs []check
	for _, f := range weightFormats() {
		name := "Quant/" + f.Name + "/embed"
		cs = append(cs, check{name, func(ctx context.Context) Result { return s.quantEmbed(ctx, f) }})
		for _, tokens := range []int{1, 17} {
			name := fmt.Sprintf("Quant/%s/mul_mat%d", f.Name, tokens)
			cs = append(cs, check{name, func(ctx context.Context) Result { return s.quantMulMat(ctx, f, tokens) }})
		}
	}
	return cs
}

// hostileMatrix is the rows as one operand, with what they dequantize to.
type hostileMatrix struct {
	rows []hostileRow
	arg  ops.Arg
	data []byte
	w    []float32
}

func (s *suite) hostileMatrix(f tensor.Format) hostileMatrix {
	blocks := max(2, 64/f.Block)
	m := hostileMatrix{rows: hostileRows(f, blocks, newRand(s.o.Seed, "hostile/%s", f.Name))}
	for _, r := range m.rows {
		m.data = append(m.data, r.data...)
	}
	m.arg = ops.Arg{Leaf: ops.Weight, DType: f.DType, Shape: tensor.Shape{len(m.rows), blocks * f.Block}}
	m.w = dequantize(f, m.data)
	return m
}

func (m hostileMatrix) row(i int) []float32 {
	n := m.arg.Shape.Last()
	return m.w[i*n : (i+1)*n]
}

// quantEmbed looks up every row. That is dequantizing and nothing else, so elements are compared one by one: off by
// at most eight roundings of the largest finite element of their block (a scale times a code less a minimum may
// cancel), or flushed to zero if subnormal, and of the same class: NaN for NaN. An infinite scale times a code and
// less a minimum is NaN or infinite depending on the order of operations, so for rows that hold infinities any of
// the two will do.
func (s *suite) quantEmbed(ctx context.Context, f tensor.Format) Result {
	m := s.hostileMatrix(f)
	ids := make([]int32, len(m.rows))
	for i := range ids {
		ids[i] = int32(i)
	}
	in := &input{def: ops.EmbedOp, name: "embed/" + f.Name, uses: make([]use, 2),
		data: [][]byte{m.data, int32Bytes(ids)},
		c: ops.Case{Args: []ops.Arg{m.arg,
			{Leaf: ops.Input, DType: tensor.I32, Shape: tensor.Shape{len(ids)}, Ints: ids}}}}
	got, _, err := execute(ctx, s.dev, in, false)
	if err != nil {
		return failure(err, false)
	}
	r := Result{Verdict: Pass}
	for i, x := range got.exact[0] {
		row := i / m.arg.Shape.Last()
		block := m.w[i-i%f.Block:][:f.Block]
		want := float64(m.w[i])
		if err := sameClass(want, x, hasInf(m.row(row))); err != nil {
			return failf("row %q, element %d: %v", m.rows[row].what, i%m.arg.Shape.Last(), err)
		}
		if finite(want) {
			d := math.Abs(x - want)
			r.Metrics.MaxAbs = math.Max(r.Metrics.MaxAbs, d)
			r.Metrics.MaxULP = math.Max(r.Metrics.MaxULP, ulps(float32(want), float32(x)))
			if !(d <= 8*unit*peak(block)+0x1p-126) {
				return failf("row %q, element %d is %v, want %v", m.rows[row].what, i%m.arg.Shape.Last(), x, want)
			}
		}
	}
	return r
}

// quantMulMat multiplies every row with normal numbers. Each result depends on one row and is judged by itself:
// against the oracle, within twice the error of the reference plus eight times the root of the op's floor, relative
// to the lengths of the two vectors. Two things follow from operands of binary16, which the floor pays for in all
// types but F32 and BF16: weights are rounded to multiples of 2^-24 at least, and may overflow beyond 65504. Sums
// that may leave the range of float32 on the way are not judged.
func (s *suite) quantMulMat(ctx context.Context, f tensor.Format, tokens int) Result {
	m := s.hostileMatrix(f)
	k := m.arg.Shape.Last()
	rnd := newRand(s.o.Seed, "hostile/%s/x", f.Name)
	x := make([]float32, tokens*k)
	for i := range x {
		x[i] = float32(rnd.NormFloat64())
	}
	f32, _ := tensor.F32.Format()
	xb := make([]byte, 4*len(x))
	f32.Quant(xb, x)
	in := &input{def: ops.MulMatOp, name: "mul_mat/" + f.Name, uses: make([]use, 2), data: [][]byte{xb, m.data},
		c: ops.Case{Args: []ops.Arg{{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{tokens, k}}, m.arg}}}
	want, err := s.scalar(ctx, in)
	if err != nil {
		return failure(err, false)
	}
	got, _, err := execute(ctx, s.dev, in, false)
	if err != nil {
		return failure(err, false)
	}
	root := 8 * math.Sqrt(deviceFloor(s.dev, want.node, nil))
	r := Result{Verdict: Pass, Bound: root * root}
	narrow := f.DType != tensor.F32 && f.DType != tensor.BF16
	quantum := 0x1p-126 // the smallest normal operand: what is smaller may be flushed
	if narrow {
		quantum = 0x1p-25
	}
	for i, y := range got.exact[0] {
		t, row := i/len(m.rows), i%len(m.rows)
		w, xs := m.row(row), x[t*k:(t+1)*k]
		length := rms(w) * rms(xs) * float64(k)
		exact, ref := want.oracle.exact[0][i], want.ref.exact[0][i]
		if allFinite(w) && (!(length < math.MaxFloat32/16) || narrow && peak(w) > 65504) {
			continue
		}
		if err := sameClass(exact, y, hasInf(w)); err != nil {
			return failf("row %q, token %d: %v", m.rows[row].what, t, err)
		}
		if !finite(exact) {
			continue
		}
		d, limit := math.Abs(y-exact), 2*math.Abs(ref-exact)+root*length/math.Sqrt(float64(k))+
			8*quantum*rms(xs)*math.Sqrt(float64(k))+float64(k)*0x1p-126
		r.Metrics.MaxAbs = math.Max(r.Metrics.MaxAbs, d)
		if d > 0 { // as a share of the limit: each row has its own scale
			r.Metrics.NMSE = math.Max(r.Metrics.NMSE, root*root*d/limit*d/limit)
		}
		if !(d <= limit) {
			return failf("row %q, token %d is %v, want %v: off by %.3g, allowed %.3g", m.rows[row].what, t, y, exact,
				d, limit)
		}
	}
	return r
}

// sameClass checks that want and got are both finite, both NaN or both infinite; mixed lets NaN stand for infinity
// and the reverse.
func sameClass(want, got float64, mixed bool) error {
	switch {
	case finite(want) && finite(got):
		return nil
	case finite(want) || finite(got),
		!mixed && (math.IsNaN(want) != math.IsNaN(got)):
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

func finite(x float64) bool { return x-x == 0 }

func hasInf(x []float32) bool {
	for _, v := range x {
		if math.IsInf(float64(v), 0) {
			return true
		}
	}
	return false
}

func allFinite(x []float32) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}

// peak returns the largest magnitude among the finite elements.
func peak(x []float32) float64 {
	var m float64
	for _, v := range x {
		if v-v == 0 {
			m = math.Max(m, math.Abs(float64(v)))
		}
	}
	return m
}
