package synth

import "math"

// llama3Factors returns the factors on wavelengths of Llama 3.1: 1 up to 2048 positions, 8 from 8192 on, and a blend
// of the frequencies between (config.json of Llama 3.1: factor 8, low_freq_factor 1, high_freq_factor 4, 8192
// positions).
func llama3Factors() []float32 {
	const (
		base, dim        = 5e5, 128
		factor, original = 8, 8192
		low, high        = 1, 4
	)
	x := make([]float32, dim/2)
	for i := range x {
		turns := original / (2 * math.Pi * math.Pow(base, 2*float64(i)/dim))
		s := min(max((turns-low)/(high-low), 0), 1)
		x[i] = float32(1 / ((1-s)/factor + s))
	}
	return x
}
