package simd

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// exact returns n float32 from -8 to 8, made without an operation that could round.
func exact(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(int32(r.Uint32())>>8) * 0x1p-20
	}
	return x
}

// halves returns n float16 of similar magnitudes, 1/8 to 2, as bytes: sums of them are rounded.
func halves(r *rand.Rand, n int) []byte {
	b := make([]byte, 2*n)
	for i := range n {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(r.Uint32())&0x8fff|0x3000)
	}
	return b
}

// floats are the bytes of float32.
func floats(x ...float32) []byte { return cast.AsBytes(x) }

// digests are FNV-1a of the results of TestAllPlatformsGiveTheSameBits. A changed definition changes its digest.
var digests = map[string]uint64{
	"Q2_K as float32":   0xb53a615f6894a1c6,
	"Q4_1 as float32":   0x93cf4490937b0232,
	"Q5_1 as float32":   0x8ede4af26f2dc673,
	"add":               0x5b35dcb9fa6f75b9,
	"add scaled":        0x89a4ca759d569874,
	"clamped swiglu":    0xf0bd06975ac19be1,
	"delta":             0xa4534e54f47cfc06,
	"exponentials":      0x3024b7dda2154be1,
	"float16":           0x2ac9a12c27afbcba,
	"geglu":             0xaaa64ca1660d4034,
	"gelu":              0x8d79c5cc59b03867,
	"mul":               0xfd418993b8386822,
	"multiply and add":  0x767a0cc6edc448a8,
	"product of BF16":   0x279c28a2f2643ef6,
	"product of F16":    0x8cc504b5b0b39a35,
	"product of F32":    0x6c2a06a9e33adf37,
	"product of Q4_K":   0x85e3a96ba7556e30,
	"product of Q5_K":   0xdc753903c6ac9d58,
	"product of Q6_K":   0x1c48f52c7a931ff0,
	"product of Q8_0":   0x8d8de8256c7ad95d,
	"quantize for Q4_K": 0x94fb32e70e39fe17,
	"quantize for Q5_K": 0x94fb32e70e39fe17,
	"quantize for Q6_K": 0x94fb32e70e39fe17,
	"quantize for Q8_0": 0xeeccd734bb1fc9b2,
	"rotation":          0x922fb0d914452069,
	"rows of BF16":      0xcdc2a8b46d471789,
	"rows of F16":       0x0d21a8cff6a08e19,
	"rows of F32":       0xc0b860041d99c2c3,
	"scale":             0x42110637934108d2,
	"scale and mul":     0xaa72b79fb8aa81f2,
	"sigmoid":           0xfd48881d2fdd768e,
	"silu":              0xd97a37453d647a1c,
	"softcap":           0x0dbc9e27f99ff5b7,
	"sum of squares":    0x609c38364d63a8cc,
	"swiglu":            0x879c08f64046133f,
}

// TestAllPlatformsGiveTheSameBits compares what every function computes with digests. They hold on every platform and
// at every level, of which Generic shows whether the compiler has fused operations that the definitions round.
func TestAllPlatformsGiveTheSameBits(t *testing.T) {
	const k, rows = 768, 33
	checks := map[string]func(r *rand.Rand) []byte{}
	for f, dt := range dtypes {
		quantized := func(r *rand.Rand) []byte {
			act := make([]byte, f.ActBytes(k))
			f.Quantize(act, exact(r, k))
			return act
		}
		checks["quantize for "+dt.String()] = quantized
		checks["product of "+dt.String()] = func(r *rand.Rand) []byte {
			act, bytes := quantized(r), layouts[f].bytes
			w := make([]byte, rows*k/f.Block()*bytes)
			for i := range w {
				w[i] = byte(r.Uint32())
			}
			for b := 0; b < len(w); b += bytes {
				for _, at := range map[Format][]int{Q8_0: {0}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208}}[f] {
					w[b+at+1] = w[b+at+1]&0x83 | 0x2c // scales of similar magnitudes
				}
			}
			out := make([]float32, rows)
			Dot(f, out, w, len(w)/rows, act, k)
			return floats(out...)
		}
	}
	for typ, dt := range []tensor.DType{F32: tensor.F32, F16: tensor.F16, BF16: tensor.BF16} {
		matrix := func(r *rand.Rand) Matrix {
			if FloatType(typ) == F32 {
				return Matrix{FloatType(typ), floats(exact(r, rows*k)...), 4 * k}
			}
			return Matrix{FloatType(typ), halves(r, rows*k), 2 * k}
		}
		checks["product of "+dt.String()] = func(r *rand.Rand) []byte {
			out := make([]float32, rows)
			MulFloat(out, rows, matrix(r), rows, exact(r, k), k, 1, k)
			return floats(out...)
		}
		checks["rows of "+dt.String()] = func(r *rand.Rand) []byte {
			dst := exact(r, k)
			AddRows(dst, matrix(r), exact(r, rows))
			return floats(dst...)
		}
	}
	for u, name := range []string{Sigmoid: "sigmoid", SiLU: "silu", GELU: "gelu", Softcap: "softcap", Scale: "scale"} {
		checks[name] = func(r *rand.Rand) []byte {
			x := exact(r, k)
			Unary(u).Apply(x, x, 3)
			return floats(x...)
		}
	}
	for b, name := range []string{Add: "add", Mul: "mul", SwiGLU: "swiglu", GeGLU: "geglu",
		SwiGLUClamped: "clamped swiglu", ScaleMul: "scale and mul", AddScaled: "add scaled"} {
		checks[name] = func(r *rand.Rand) []byte {
			x, y := exact(r, k), exact(r, k)
			Binary(b).Apply(x, x, y, 1.702, 7)
			return floats(x...)
		}
	}
	checks["multiply and add"] = func(r *rand.Rand) []byte {
		x := exact(r, k)
		MulAdd(x, x, exact(r, k), exact(r, k))
		return floats(x...)
	}
	checks["sum of squares"] = func(r *rand.Rand) []byte {
		return cast.AsBytes([]float64{SumSquares(exact(r, k))})
	}
	checks["exponentials"] = func(r *rand.Rand) []byte {
		x := exact(r, k)
		return floats(append(x, ExpSum(x, Max(x, -1)))...)
	}
	checks["rotation"] = func(r *rand.Rand) []byte {
		x := exact(r, k)
		Rotate(x, x, exact(r, k/2), exact(r, k/2))
		return floats(x...)
	}
	checks["float16"] = func(r *rand.Rand) []byte {
		b := make([]byte, 2*k)
		NarrowF16(b, exact(r, k))
		return b
	}
	checks["delta"] = func(r *rand.Rand) []byte {
		d := Delta{Q: exact(r, 64), K: exact(r, 64), V: exact(r, 12), O: make([]float32, 12), Decay: 0.875, Beta: 0.3,
			Scale: 0.25}
		state := exact(r, 64*12)
		d.Step(state)
		return floats(append(state, d.O...)...)
	}
	for e, dt := range []tensor.DType{Q4_1: quant.Q4_1, Q5_1: quant.Q5_1, Q2_K: quant.Q2_K} {
		checks[dt.String()+" as float32"] = func(r *rand.Rand) []byte {
			x := make([]float32, k)
			Expansion(e).Floats(x, halves(r, k/expansions[e].block*expansions[e].bytes/2))
			return floats(x...)
		}
	}
	levels(t, func(t *testing.T) {
		for name, run := range checks {
			b := run(rand.New(rand.NewPCG(17, 17)))
			for i := 0; i+4 <= len(b); i += 4 {
				if v := floatAt(b[i:]); v != v {
					putFloat(b[i:], float32(math.NaN()))
				}
			}
			h := fnv.New64a()
			h.Write(b)
			if got := h.Sum64(); got != digests[name] {
				t.Errorf("%s: digest %#016x, want %#016x", name, got, digests[name])
			}
		}
	})
}

// TestForeignLevelsAreRefused tries levels of other architectures.
func TestForeignLevelsAreRefused(t *testing.T) {
	for l := Generic; l <= AMX; l++ {
		if slices.Contains(Levels(), l) {
			continue
		}
		if restore, ok := Force(l); ok {
			restore()
			t.Errorf("forced %v on %s", l, runtime.GOARCH)
		}
	}
}
