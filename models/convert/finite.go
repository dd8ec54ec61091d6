package convert

import (
	"errors"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// smallEnough bounds values whose scales every type can hold: the least of the types is F16, up to 65504.
const smallEnough = 1 << 14

// checkSource returns an error that names the first value that is no number or infinite. x holds rows of cols
// elements, from row lo on; large says whether a value may be too large for some types.
func checkSource(x []float32, cols, lo int) (large bool, err error) {
	for i, v := range x {
		if a := math.Abs(float64(v)); !(a <= smallEnough) {
			if !(a <= math.MaxFloat32) {
				return false, fmt.Errorf("row %d, element %d is %v: a model with such a weight says nothing",
					lo+i/cols,
					i%cols, v)
			}
			large = true
		}
	}
	return large, nil
}

// checkTarget returns an error that names the first value of x, rows of cols elements from row lo on, that dst, which
// was made of it with the importance w, does not hold because it, or a scale that it needs, is beyond what the type
// can have. What is smaller by a power of two has the same codes and smaller scales, so that it tells what dst should
// hold.
func checkTarget(to tensor.DType, dst []byte, x []float32, cols, lo int, w []float32) error {
	const smaller = 256
	scaled := make([]float32, len(x))
	for i, v := range x {
		scaled[i] = v / smaller
	}
	should := make([]byte, len(dst))
	if err := quant.Quantize(to, should, scaled, cols, w); err != nil {
		return err
	}
	got := make([]float32, len(x))
	if err := errors.Join(quant.Dequantize(to, got, dst), quant.Dequantize(to, scaled, should)); err != nil {
		return err
	}
	format, _ := to.Format()
	for i := 0; i < len(x); i += format.Block {
		largest := i
		for j := range x[i : i+format.Block] {
			if math.Abs(float64(x[i+j])) > math.Abs(float64(x[largest])) {
				largest = i + j
			}
		}
		most := math.Abs(float64(x[largest]))
		if most <= smallEnough {
			continue // its scales may be too small for the comparison, and are not too large
		}
		for j := i; j < i+format.Block; j++ {
			if off := math.Abs(float64(got[j]) - smaller*float64(scaled[j])); !(off <= 1e-3*most) {
				return fmt.Errorf("row %d, element %d is %v, which is beyond what %v can hold: take bf16 or f32",
					lo+largest/cols, largest%cols, x[largest], to)
			}
		}
	}
	return nil
}
