package bench

import "testing"

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		x           []float64
		low, at, up float64
	}{{[]float64{3}, 3, 3, 3}, {[]float64{4, 1}, 1, 2.5, 4}, {[]float64{9, 1, 2}, 1, 2, 9}} {
		median, least, largest := spread(c.x)
		if median != c.at || least != c.low || largest != c.up {
			t.Errorf("%v: %v from %v to %v", c.x, median, least, largest)
		}
	}
}
