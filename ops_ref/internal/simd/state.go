package simd

import "github.com/hipengine/hipengine/ops_ref/internal/cast"

// AddRows adds the weighted sum of rows of values to dst: dst[d] += Σ_j weights[j]·row j[d], one row after the other
// with one rounding each. Row j is the row j of values, len(dst) elements of its type.
func AddRows(dst []float32, values Matrix, weights []float32) {
	n, d := len(weights), len(dst)
	if n == 0 || d == 0 {
		return
	}
	if len(values.Data) < (n-1)*values.Stride+d*values.Type.Size() {
		panic("simd: too few rows to add")
	}
	steps := d / 16
	if steps == 0 || !asmAddRows(values.Type, &dst[0], steps, &values.Data[0], values.Stride, &weights[0], n) {
		steps = 0
	}
	if done := 16 * steps; done < d {
		addRow(dst, values, weights, done)
	}
}

// addRow is the definition of AddRows, from element first on.
func addRow(dst []float32, values Matrix, weights []float32, first int) {
	for j, w := range weights {
		row := values.Data[j*values.Stride:]
		for i := first; i < len(dst); i++ {
			dst[i] = fma(w, elem(values.Type, row, i), dst[i])
		}
	}
}

// Delta is one token of the gated delta rule, see ops.GatedDeltaNet, as some rows of the state of one head see it.
type Delta struct {
	Q, K               []float32 // [key dim], a multiple of 16
	V, O               []float32 // [rows], a multiple of 4
	Decay, Beta, Scale float32
}

// DeltaSupported reports whether the steps of Delta and Scan take states of this size.
func DeltaSupported(rows, dk int) bool { return rows%4 == 0 && dk%16 == 0 }

// Step advances state, len(V) rows of len(K) elements: see deltaRow.
func (t *Delta) Step(state []float32) {
	dk, rows := len(t.K), len(t.V)
	if !DeltaSupported(rows, dk) || len(t.Q) != dk || len(t.O) != rows || len(state) != rows*dk {
		panic("simd: wrong sizes of a delta step")
	}
	if rows == 0 || dk == 0 {
		return
	}
	if asmDelta(&state[0], rows/4, dk/16, t) {
		return
	}
	for j := range rows {
		t.O[j] = t.deltaRow(state[j*dk:][:dk], t.V[j])
	}
}

// deltaRow is the definition of a step for one row S of the state: decay it, see how far its product with k is from
// v, write the difference, and read with q. Products of rows are those of dotF32Row.
func (t *Delta) deltaRow(s []float32, v float32) float32 {
	for i := range s {
		s[i] *= t.Decay
	}
	u := float32(v-dot(s, t.K)) * t.Beta
	for i, k := range t.K {
		s[i] = fma(u, k, s[i])
	}
	return dot(s, t.Q) * t.Scale
}

// Scan is one token of a state-space model, see ops.SSMScan, as some rows of the state of one head see it.
type Scan struct {
	B, C  []float32 // [state dim], a multiple of 16
	U, O  []float32 // [rows], a multiple of 4: Δ·x, and S·C
	Decay float32
}

// Step advances state, len(U) rows of len(B) elements: see scanRow.
func (t *Scan) Step(state []float32) {
	ds, rows := len(t.B), len(t.U)
	if !DeltaSupported(rows, ds) || len(t.C) != ds || len(t.O) != rows || len(state) != rows*ds {
		panic("simd: wrong sizes of a scan step")
	}
	if rows == 0 || ds == 0 {
		return
	}
	if asmScan(&state[0], rows/4, ds/16, t) {
		return
	}
	for j := range rows {
		t.O[j] = t.scanRow(state[j*ds:][:ds], t.U[j])
	}
}

// scanRow is the definition of a step for one row S of the state: decay it, add u·B, and read with C.
func (t *Scan) scanRow(s []float32, u float32) float32 {
	for i, b := range t.B {
		s[i] = fma(u, b, s[i]*t.Decay)
	}
	return dot(s, t.C)
}

// dot is dotF32Row for two vectors of float32.
func dot(a, b []float32) float32 { return dotF32Row(F32, cast.AsBytes(a), b) }
