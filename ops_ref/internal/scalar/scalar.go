package scalar

import (
	"math"
	"slices"
)

// Sigmoid returns 1 / (1 + exp(-x)).
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// SiLU returns x · Sigmoid(x).
func SiLU(x float64) float64 { return x / (1 + math.Exp(-x)) }

// Softplus returns log(1 + exp(x)).
func Softplus(x float64) float64 {
	if x > 20 {
		return x
	}
	return math.Log1p(math.Exp(x))
}

// GELU returns the approximation of x·Φ(x) by a hyperbolic tangent.
func GELU(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// GELUErf returns x·Φ(x).
func GELUErf(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }

// Softmax replaces x by exp(x) / Σ exp(x).
func Softmax(x []float64) {
	m := slices.Max(x)
	var sum float64
	for i, v := range x {
		x[i] = math.Exp(v - m)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}
