package rdna

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestRMSNorm(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		for _, n := range []int{1000, 256, 7} {
			b := load(t, target, "norm")
			r := rng(1)
			const rows = 3
			x, w := floats(r, rows*n), floats(r, n)
			y := up(b, make([]float32, rows*n))
			b.must("rms_norm", 256, []uint32{rows}, up(b, x), up(b, w), y, n, float32(1e-5))
			got := down[float32](b, y, rows*n)
			for row := range rows {
				var s float64
				for _, v := range x[row*n : row*n+n] {
					s += float64(v) * float64(v)
				}
				want := make([]float64, n)
				for i := range want {
					want[i] = float64(x[row*n+i]) * float64(w[i]) / math.Sqrt(s/float64(n)+1e-5)
				}
				// 8 float additions per partial sum and 3 roundings after
				closeTo(t, "y", got[row*n:row*n+n], want, 2e-6, 0)
			}
		}
	})
}

// q80 is a row of Q8_0 blocks with the values that they stand for.
func q80(r *rand.Rand, blocks int, withSum bool) (raw []byte, values []float64) {
	for range blocks {
		d := f16bits(r.Float64() * 0.1)
		raw = append(raw, byte(d), byte(d>>8))
		if withSum {
			raw = append(raw, 0, 0)
		}
		for range 32 {
			q := int8(r.IntN(255) - 127)
			raw = append(raw, byte(q))
			values = append(values, f16value(d)*float64(q))
		}
	}
	return raw, values
}

func TestMatVecQ8(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "mat_vec")
		r := rng(2)
		const rows, blocks = 10, 37
		x, xv := q80(r, blocks, true)
		var w []byte
		var wv []float64
		for range rows {
			q, v := q80(r, blocks, false)
			w, wv = append(w, q...), append(wv, v...)
		}
		y := up(b, make([]float32, rows))
		b.must("mat_vec_q8_0", 128, []uint32{3}, up(b, w), up(b, x), y, rows, blocks)
		want := make([]float64, rows)
		for i := range want {
			for k, v := range xv {
				want[i] += v * wv[i*blocks*32+k]
			}
		}
		closeTo(t, "y", down[float32](b, y, rows), want, 1e-6, 100)
	})
}

// q4k makes Q4_K blocks and their values; layout of GGML's block_q4_K.
func q4k(r *rand.Rand, blocks int) (raw []byte, values []float64) {
	for range blocks {
		d, dm := f16bits(r.Float64()*0.01), f16bits(r.Float64()*0.01)
		raw = append(raw, byte(d), byte(d>>8), byte(dm), byte(dm>>8))
		var sc, mn [8]int
		for j := range 8 {
			sc[j], mn[j] = r.IntN(64), r.IntN(64)
		}
		s := make([]byte, 12)
		for j := range 4 {
			s[j] = byte(sc[j] | sc[j+4]>>4<<6)
			s[j+4] = byte(mn[j] | mn[j+4]>>4<<6)
			s[j+8] = byte(sc[j+4]&15 | mn[j+4]&15<<4)
		}
		raw = append(raw, s...)
		v := make([]float64, 256)
		q := make([]byte, 128)
		for i := range v {
			n := r.IntN(16)
			j := i / 32
			q[j/2*32+i%32] |= byte(n << (4 * (j & 1)))
			v[i] = f16value(d)*float64(sc[j])*float64(n) - f16value(dm)*float64(mn[j])
		}
		raw, values = append(raw, q...), append(values, v...)
	}
	return raw, values
}

func TestMatVecQ4K(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "mat_vec")
		r := rng(3)
		const rows, blocks = 6, 5
		w, wv := q4k(r, rows*blocks)
		x := floats(r, blocks*256)
		x8, x8v := q80(r, blocks*8, true)
		want, want8 := make([]float64, rows), make([]float64, rows)
		for i := range want {
			for k := range x {
				want[i] += float64(x[k]) * wv[i*blocks*256+k]
				want8[i] += x8v[k] * wv[i*blocks*256+k]
			}
		}
		y := up(b, make([]float32, rows))
		b.must("mat_vec_q4_k", 128, []uint32{2}, up(b, w), up(b, x), y, rows, blocks)
		closeTo(t, "f32", down[float32](b, y, rows), want, 1e-5, 10)
		b.must("mat_vec_q4_k_q8_1", 128, []uint32{2}, up(b, w), up(b, x8), y, rows, blocks)
		closeTo(t, "q8_1", down[float32](b, y, rows), want8, 1e-5, 1000)
	})
}

func TestGEMM(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "gemm")
		r := rng(4)
		const m, n, k = 64, 128, 96
		a, w := halfSlice(r, m*k), halfSlice(r, n*k)
		c := up(b, make([]float32, m*n))
		b.must("gemm_f16", 128, []uint32{n / 64, m / 64}, up(b, a), up(b, w), c, n, k)
		want := make([]float64, m*n)
		for i := range want {
			for j := range k {
				want[i] += f16value(a[i/n*k+j]) * f16value(w[i%n*k+j])
			}
		}
		closeTo(t, "f16", down[float32](b, c, m*n), want, 1e-6, 10)

		ai, wi := make([]byte, m*k), make([]byte, n*k)
		for i := range ai {
			ai[i] = byte(r.Uint32())
		}
		for i := range wi {
			wi[i] = byte(r.Uint32())
		}
		for _, kernel := range []string{"gemm_i8", "gemm_i8_u8"} {
			b.must(kernel, 128, []uint32{n / 64, m / 16}, up(b, ai), up(b, wi), c, n, k)
			for i, got := range down[int32](b, c, m*n) {
				var s int32
				for j := range k {
					f := int32(int8(wi[i%n*k+j]))
					if kernel == "gemm_i8_u8" {
						f = int32(wi[i%n*k+j])
					}
					s += int32(int8(ai[i/n*k+j])) * f
				}
				if got != s {
					t.Fatalf("%s[%d] = %d, want %d", kernel, i, got, s)
				}
			}
		}
	})
}

func TestFlashAttention(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "attention")
		r := rng(5)
		const heads, kvHeads, tokens, queries, pos, dim = 4, 2, 100, 3, 67, 64
		q, k, v := floats(r, queries*heads*dim), halfSlice(r, kvHeads*tokens*dim), halfSlice(r, kvHeads*tokens*dim)
		o := up(b, make([]float32, len(q)))
		const scale = 0.125
		b.must("attention_decode", 128, []uint32{heads, queries}, up(b, q), up(b, k), up(b, v), o, heads, kvHeads,
			tokens, pos, float32(scale*math.Log2E))
		want := make([]float64, len(q))
		for i := range queries {
			for h := range heads {
				attend(want[(i*heads+h)*dim:],
					func(d int) float64 { return f16value(f16bits(float64(q[(i*heads+h)*dim+d]))) },
					k[h/2*tokens*dim:], v[h/2*tokens*dim:], pos+i+1, dim, scale)
			}
		}
		closeTo(t, "decode", down[float32](b, o, len(q)), want, 1e-5, 1)

		const rows = 48
		qh, kh, vh := halfSlice(r, heads*rows*dim), halfSlice(r, heads*rows*dim), halfSlice(r, heads*rows*dim)
		o = up(b, make([]float32, heads*rows*dim))
		b.must("attention_prefill", 32, []uint32{heads, rows / 16}, up(b, qh), up(b, kh), up(b, vh), o, rows,
			float32(scale*math.Log2E))
		want = make([]float64, heads*rows*dim)
		for h := range heads {
			for i := range rows {
				at := (h*rows + i) * dim
				attend(want[at:], func(d int) float64 { return f16value(qh[at+d]) }, kh[h*rows*dim:], vh[h*rows*dim:],
					i+1, dim, scale)
			}
		}
		// probabilities pass through binary16 on their way to the second product
		closeTo(t, "prefill", down[float32](b, o, heads*rows*dim), want, 2e-3, 1)
	})
}

// attend is softmax(scale q.K) V over the first n tokens.
func attend(out []float64, q func(int) float64, k, v []uint16, n, dim int, scale float64) {
	p := make([]float64, n)
	m, l := math.Inf(-1), 0.0
	for i := range p {
		for d := range dim {
			p[i] += q(d) * f16value(k[i*dim+d])
		}
		p[i] *= scale
		m = max(m, p[i])
	}
	for i := range p {
		p[i] = math.Exp(p[i] - m)
		l += p[i]
	}
	for d := range dim {
		for i := range p {
			out[d] += p[i] / l * f16value(v[i*dim+d])
		}
	}
}
