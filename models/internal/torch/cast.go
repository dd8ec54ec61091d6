package torch

import (
	"errors"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Cast is a decoder whose constants are rounded to BF16. The references were made that way: the whole model was cast
// to bfloat16, and back to float32 before it ran, tables of rotary frequencies and factors of embeddings and all.
// Without that, logits are 1e-4 to 2e-3 off, growing with the position. Real models run with exact constants.
type Cast struct{ *nn.Decoder }

// NewCast returns d with its constants rounded. d stays as it is.
func NewCast(d *nn.Decoder) (Cast, error) {
	c := *d
	scales := []float32{c.EmbdScale, 0}
	if d.PerLayer != nil {
		scales[1] = d.PerLayer.Scale
	}
	err := bf16(scales)
	c.EmbdScale = scales[0]
	if d.PerLayer != nil {
		p := *d.PerLayer
		p.Scale, c.PerLayer = scales[1], &p
	}
	return Cast{&c}, err
}

// Weights lists the tensors of the model.
func (c Cast) Weights() []models.WeightSpec {
	specs := slices.Clone(c.Decoder.Weights())
	for i, s := range specs {
		if derive := s.Derive; derive != nil && strings.HasPrefix(s.Name, "rope.freqs") {
			specs[i].Derive = func(in [][]float32) ([]float32, error) {
				x, err := derive(in)
				return x, errors.Join(err, bf16(x))
			}
		}
	}
	return specs
}

// bf16 rounds x to BF16, in place.
func bf16(x []float32) error {
	b := make([]byte, 2*len(x))
	return errors.Join(quant.Quantize(tensor.BF16, b, x, len(x), nil), quant.Dequantize(tensor.BF16, x, b))
}
