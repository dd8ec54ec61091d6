package hf

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// unitsOff returns how far got is from e**x, in units of the last place of the float32 result.
func unitsOff(x, got float32) float64 {
	want := math.Exp(float64(x)) // to 2^-29 of such a unit
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, e-24)
}

// TestExp32 compares with what NumPy made of all A_log of the built-in model (ssm_a of its GGUF files), with the error
// that NumPy documents and where it says it is largest, and at the ends.
func TestExp32(t *testing.T) {
	for _, c := range []struct {
		x    float32
		want uint32
	}{
		{-2.046875, 0x3e043cb5}, {-0.94140625, 0x3ec7b86d}, {0.74609375, 0x4006f5b5}, {1.1328125, 0x4046ae15},
		{1.2734375, 0x4064ade7},
		{1.5, 0x408f69ff}, {1.6484375, 0x40a65cfb}, {1.78125, 0x40bdfe24}, {1.8359375, 0x40c8ac1e},
		{1.9140625, 0x40d8fa80},
		{2.0625, 0x40fbb312}, {2.265625, 0x411a31c0}, {2.296875, 0x411f16c7}, {2.390625, 0x412eb99e},
		{2.40625, 0x41317a01},
		{2.453125, 0x4139fe6e}, {2.46875, 0x413cec3e}, {2.640625, 0x416059f8}, {2.671875, 0x4167791e},
		{2.734375, 0x417666df},
		{2.75, 0x417a4839}, {2.765625, 0x417e3936},

		// NumPy 2.4 on x86-64: round numbers, the ends, subnormal results, where its error is largest, and where x/ln
		// 2 is a tie unless product and sum are fused.
		{0, 0x3f800000}, {0.5, 0x3fd3094c}, {1, 0x402df855}, {-1, 0x3ebc5ab1}, {10, 0x46ac14ef},
		{math.Float32frombits(0x42b17217), 0x7f7fff84}, {math.Float32frombits(0x42b17218), 0x7f800000},
		{float32(math.Inf(1)), 0x7f800000},
		{math.Float32frombits(0xc2aea8f6), 0x0080d71a}, {-88, 0x0041edc4}, {-103, 1},
		{math.Float32frombits(0xc2cff1b3), 1},
		{math.Float32frombits(0xc2cff1b5), 0}, {float32(math.Inf(-1)), 0},
		{math.Float32frombits(0xc2781e37), 0x12b65236}, {math.Float32frombits(0xc26d0e6c), 0x14b504f3},
	} {
		if got := math.Float32bits(exp32(c.x)); got != c.want {
			t.Errorf("exp(%v) is %#x, want %#x", c.x, got, c.want)
		}
	}
	if x := exp32(float32(math.NaN())); x == x {
		t.Errorf("exp(NaN) is %v", x)
	}

	const documented = 2.52
	rng := rand.New(rand.NewPCG(1, 1))
	worst := 0.0
	for range 1_000_000 {
		x := float32(rng.Float64()*175 - 87) // results are normal numbers
		worst = max(worst, unitsOff(x, exp32(x)))
	}
	t.Logf("at most %.3f units off", worst)
	if worst > documented {
		t.Errorf("%v units off, NumPy says at most %v", worst, documented)
	}
}

// TestFMA32 compares with exact arithmetic, also where two roundings would differ from one.
func TestFMA32(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	any32 := func() float32 {
		return float32(math.Ldexp(rng.Float64()*2-1, rng.IntN(40)-20))
	}
	twice := 0
	for range 300_000 {
		x, y, z := any32(), any32(), any32()
		if rng.IntN(2) == 0 { // an odd product of 25 bits is a tie; z is too small for float64 to keep, but decides it
			x, y, z = 1<<12+1, float32(1<<12+1+2*rng.IntN(64)), z/(1<<50)
		}
		sum := new(big.Float).SetPrec(300).SetFloat64(float64(x) * float64(y))
		want, _ := sum.Add(sum, new(big.Float).SetFloat64(float64(z))).Float32()
		if got := fma32(x, y, z); got != want {
			t.Fatalf("%v*%v + %v is %v, want %v", x, y, z, got, want)
		}
		if float32(float64(x)*float64(y)+float64(z)) != want {
			twice++
		}
	}
	t.Logf("rounded twice, %d would be wrong", twice)
	if twice == 0 {
		t.Error("no case tells one rounding from two")
	}
}
