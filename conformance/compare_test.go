package conformance_test

import (
	"math"
	"testing"

	"github.com/hipengine/hipengine/conformance"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
)

// same is equality with NaN equal to itself.
func same(a, b float64) bool { return a == b || a != a && b != b }

func TestNMSE(t *testing.T) {
	for _, c := range []struct {
		name      string
		want, got []float64
		nmse, abs float64
	}{
		{"empty", nil, nil, 0, 0},
		{"equal", []float64{1, -2}, []float64{1, -2}, 0, 0},
		{"both zero", []float64{0, 0}, []float64{0, 0}, 0, 0},
		{"zero reference", []float64{0, 0}, []float64{0, 1e-30}, inf, 1e-30},
		{"half off", []float64{2, 0}, []float64{1, 0}, 0.25, 1},
		{"NaN in got", []float64{1, 2}, []float64{1, nan}, nan, nan},
		{"NaN first", []float64{1, 2}, []float64{nan, 2}, nan, nan},
		{"NaN against zero", []float64{0}, []float64{nan}, nan, nan},
		{"infinity in got", []float64{1, 2}, []float64{1, inf}, inf, inf},
		{"infinite reference", []float64{inf}, []float64{inf}, nan, nan},
		{"sign", []float64{3}, []float64{-3}, 4, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := conformance.NMSE(c.want, c.got); !same(got, c.nmse) {
				t.Errorf("NMSE %v, want %v", got, c.nmse)
			}
			if got := conformance.MaxAbs(c.want, c.got); !same(got, c.abs) {
				t.Errorf("MaxAbs %v, want %v", got, c.abs)
			}
		})
	}
}

func TestMaxULP(t *testing.T) {
	next := func(x float32) float64 { return float64(math.Nextafter32(x, inf32)) }
	for _, c := range []struct {
		name      string
		want, got []float64
		ulp       float64
	}{
		{"empty", nil, nil, 0},
		{"equal", []float64{1}, []float64{1}, 0},
		{"next", []float64{1}, []float64{next(1)}, 1},
		{"next subnormal", []float64{0}, []float64{next(0)}, 1},
		{"zeros", []float64{0}, []float64{math.Copysign(0, -1)}, 0},
		{"across zero", []float64{-next(0)}, []float64{next(0)}, 2},
		{"largest and infinity", []float64{math.MaxFloat32}, []float64{inf}, 1},
		{"infinities", []float64{inf}, []float64{inf}, 0},
		{"double below float", []float64{1}, []float64{1 + 1e-12}, 0},
		{"NaN", []float64{1, 1}, []float64{nan, 1}, nan},
		{"NaN wanted", []float64{nan}, []float64{nan}, 0},
		{"binade", []float64{1}, []float64{2}, 1 << 23},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := conformance.MaxULP(c.want, c.got); !same(got, c.ulp) {
				t.Errorf("got %v, want %v", got, c.ulp)
			}
			if got := conformance.MaxULP(c.got, c.want); !same(got, c.ulp) {
				t.Errorf("reversed: got %v, want %v", got, c.ulp)
			}
		})
	}
}

const inf32 = float32(3.4e38) // a direction for Nextafter32

func TestCompareLogits(t *testing.T) {
	l, err := conformance.CompareLogits([]float32{0, 1, 1, 0, 2, 2}, []float32{0, 1, 0, 1, 2, 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if l.Positions != 3 || l.WorstAt != 1 || math.Abs(l.Top1-2./3) > 1e-12 {
		t.Errorf("got %v at %d", l, l.WorstAt)
	}
	for name, c := range map[string][3]int{"empty": {0, 0, 2}, "lengths": {2, 4, 2}, "rows": {3, 3, 2},
		"vocab": {2, 2, 0}} {
		if _, err := conformance.CompareLogits(make([]float32, c[0]), make([]float32, c[1]), c[2]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	l, err = conformance.CompareLogits([]float32{0, 1, 0, 1}, []float32{0, float32(nan), 0, 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if l.MeanKL == l.MeanKL || l.WorstKL == l.WorstKL {
		t.Errorf("NaN logits gave %v", l)
	}
}
