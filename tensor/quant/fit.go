package quant

import "math"

// nint rounds to the nearest integer, half to even.
func nint(x float32) int { return int(math.RoundToEven(float64(x))) }

// abs returns the magnitude of x.
func abs(x float32) float32 { return float32(math.Abs(float64(x))) }

// signedMax returns the element of largest magnitude, the first of equals, with its sign.
func signedMax(xs []float32) float32 {
	var m float32
	for _, x := range xs {
		if abs(x) > abs(m) {
			m = x
		}
	}
	return m
}
