package nn

import (
	"math"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// RoPEName is the derived weight that holds a model's rotary frequencies.
const RoPEName = "rope.freqs"

// RoPEFreqs is the spec of a table of nRot/2 rotary frequencies base^(-2i/nRot), in radians per position. They are
// computed in float64 and stored as float32.
func RoPEFreqs(name string, nRot int, base float64) models.WeightSpec {
	return models.WeightSpec{Name: name, Shape: tensor.Shape{nRot / 2}, Vector: true, Derive: func() []float32 {
		f := make([]float32, nRot/2)
		for i := range f {
			f[i] = float32(math.Pow(base, -2*float64(i)/float64(nRot)))
		}
		return f
	}}
}
