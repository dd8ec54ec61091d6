package simd

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// numbers are n float32 of all magnitudes, and special ones among them.
func numbers(r *rand.Rand, n int) []float32 {
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)),
		float32(math.NaN()), 88.7228, 88.73, -87.3365,
		-87.34, 0.625, -0.625, math.MaxFloat32, math.SmallestNonzeroFloat32, 1e-30, -103, 0.5}
	x := make([]float32, n)
	for i := range x {
		switch i % 4 {
		case 0:
			x[i] = float32(r.NormFloat64())
		case 1:
			x[i] = float32(r.NormFloat64() * 40)
		case 2:
			x[i] = float32(r.NormFloat64() * math.Exp(20*r.NormFloat64()))
		case 3:
			x[i] = special[r.IntN(len(special))]
		}
	}
	return x
}

// equal fails unless got and want have the same bits.
func equal(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !sameBits(got[i], want[i]) {
			t.Fatalf("%s: element %d of %d is %v (%#x), want %v", name, i, len(want), got[i], math.Float32bits(got[i]),
				want[i])
		}
	}
}

// lengths are those on which loops over vectors go wrong.
var lengths = []int{1, 3, 7, 8, 9, 16, 31, 64, 257, 1000}

func TestElementwiseIsItsDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 10))
		for _, n := range lengths {
			x, y, z := numbers(r, n), numbers(r, n), numbers(r, n)
			got, want := make([]float32, n+1), make([]float32, n)
			for u := Sigmoid; u <= Scale; u++ {
				u.Apply(got[:n], x, 3)
				for i := range want {
					want[i] = u.one(x[i], 3)
				}
				equal(t, "unary "+string('0'+rune(u)), got, want)
			}
			for b := Add; b <= AddScaled; b++ {
				b.Apply(got[:n], x, y, 1.702, 7)
				for i := range want {
					want[i] = b.one(x[i], y[i], 1.702, 7)
				}
				equal(t, "binary "+string('0'+rune(b)), got, want)
			}
			MulAdd(got[:n], x, y, z)
			for i := range want {
				want[i] = fma(x[i], y[i], z[i])
			}
			equal(t, "multiply and add", got, want)
			if got[n] != 0 {
				t.Fatalf("wrote beyond %d elements", n)
			}
			if n%2 == 0 {
				c, s := y[:n/2], z[:n/2]
				Rotate(got[:n], x, c, s)
				generic(func() { Rotate(want, x, c, s) })
				equal(t, "rotate", got, want)
			}
		}
	})
}

func TestReductionsAreTheirDefinitions(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 11))
		for _, n := range lengths {
			x := normal(r, n)
			var sum, top float64
			var m, e float32
			gotSum, gotMax := SumSquares(x), Max(x, -1)
			a, b := append([]float32(nil), x...), append([]float32(nil), x...)
			gotExp := ExpSum(a, gotMax)
			generic(func() { sum, m, e = SumSquares(x), Max(x, -1), ExpSum(b, gotMax) })
			if gotSum != sum || gotMax != m || !sameBits(gotExp, e) {
				t.Errorf("%d elements: sum of squares %v, want %v; max %v, want %v; sum of exponentials %v, want %v",
					n, gotSum, sum, gotMax, m, gotExp, e)
			}
			equal(t, "exponentials", a, b)
			sum, top = 0, -1
			for _, v := range x {
				sum += float64(v) * float64(v)
				top = math.Max(top, float64(v))
			}
			if !(math.Abs(gotSum-sum) <= float64(n)*0x1p-53*sum) || float64(gotMax) != top {
				t.Errorf("%d elements: sum of squares %v, want %v; max %v, want %v", n, gotSum, sum, gotMax, top)
			}
		}
	})
}

// TestFunctionsAreAccurate compares the elementary functions with float64. The bounds are in units of the last place
// and follow from the operations: exp32 has the error of its polynomial, below 1, and three roundings.
func TestFunctionsAreAccurate(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, c := range []struct {
		name  string
		f     func(float32) float32
		want  func(float64) float64
		ulps  float64
		floor float64 // absolute error where results are below the range of exp32
	}{
		{"exp", exp32, math.Exp, 3, 0x1p-126},
		{"sigmoid", sigmoid32, sigmoid, 6, 0x1p-126},
		{"silu", silu32, func(x float64) float64 { return x * sigmoid(x) }, 6, 0x1p-118},
		{"tanh", tanh32, math.Tanh, 4, 0},
		// The argument of gelu's exponential, up to 88, is rounded a few times; its error is the result's relative
		// one.
		{"gelu", gelu32, func(x float64) float64 {
			return x * sigmoid(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
		}, 6 + 4*88, 0x1p-118},
	} {
		worst := 0.0
		for x := float32(-100); x < 100; x += 0.00037 {
			got, want := float64(c.f(x)), c.want(float64(x))
			if want > math.MaxFloat32 {
				continue
			}
			e := (math.Abs(got-want) - c.floor) / (math.Abs(want) * 0x1p-24)
			if want == 0 {
				e = math.Abs(got-want) - c.floor
			}
			worst = math.Max(worst, e)
		}
		if !(worst <= c.ulps) {
			t.Errorf("%s is off by %.2f halves of the last place, want at most %v", c.name, worst, c.ulps)
		}
	}
}

func TestNarrow(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(12, 12))
		f, _ := tensor.F16.Format()
		var x []float32
		for h := range 1 << 16 { // every float16, and what lies half way and just beside half way to the next
			v, next := half(uint16(h)), half(uint16(h+1))
			mid := (v + next) / 2
			x = append(x, v, mid, math.Nextafter32(mid, 1e9), math.Nextafter32(mid, -1e9))
		}
		x = append(x, numbers(r, 1001)...)
		got, want := make([]byte, 2*len(x)), make([]byte, 2*len(x))
		NarrowF16(got, x)
		f.Quant(want, x)
		for i, v := range x {
			g, w := binary.LittleEndian.Uint16(got[2*i:]), binary.LittleEndian.Uint16(want[2*i:])
			if g != w && v == v {
				t.Fatalf("%v becomes %#04x, want %#04x", v, g, w)
			}
			if v != v && half(g) == half(g) {
				t.Fatalf("NaN becomes %#04x", g)
			}
		}
	})
}

func TestAddRowsIsItsDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 13))
		for _, typ := range []FloatType{F32, F16, BF16} {
			for _, s := range [][2]int{{16, 1}, {64, 5}, {96, 32}, {128, 3}, {256, 7}, {40, 4}, {7, 2}} {
				d, n := s[0], s[1]
				stride := (d + 4) * typ.Size()
				data := make([]byte, n*stride)
				for i := range len(data) / 2 {
					binary.LittleEndian.PutUint16(data[2*i:], uint16(r.Uint32())&0xbbff)
				}
				values, weights := Matrix{typ, data, stride}, normal(r, n)
				got, want := normal(r, d), make([]float32, d)
				copy(want, got)
				AddRows(got, values, weights)
				addRow(want, values, weights, 0)
				equal(t, "rows", got, want)
			}
		}
	})
}

func TestStepsAreTheirDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(14, 14))
		for _, s := range [][2]int{{4, 16}, {8, 32}, {32, 128}, {12, 64}} {
			rows, dk := s[0], s[1]
			d := Delta{Q: normal(r, dk), K: normal(r, dk), V: normal(r, rows), O: make([]float32, rows), Decay: 0.875,
				Beta: 0.3, Scale: 0.25}
			state := normal(r, rows*dk)
			want, wantO := append([]float32(nil), state...), make([]float32, rows)
			for j := range rows {
				wantO[j] = d.deltaRow(want[j*dk:][:dk], d.V[j])
			}
			d.Step(state)
			equal(t, "state", state, want)
			equal(t, "output", d.O, wantO)

			x := Scan{B: d.K, C: d.Q, U: d.V, O: make([]float32, rows), Decay: 0.875}
			for j := range rows {
				wantO[j] = x.scanRow(want[j*dk:][:dk], x.U[j])
			}
			x.Step(state)
			equal(t, "state of a scan", state, want)
			equal(t, "output of a scan", x.O, wantO)
		}
	})
}
