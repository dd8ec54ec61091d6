package convert

import (
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/tensor"
)

// AutoFType returns the type that holds most of the elements of a Hugging Face folder without loss, as far as 16 bits
// do: F16 for a folder of F16, else BF16, which also keeps the range of F32. It is F32 where the model's factors are
// multiplied into the weights.
func AutoFType(dir string) (FType, error) {
	f, err := hf.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if f.Widened {
		return F32, nil
	}
	elems := map[tensor.DType]int{}
	for _, t := range f.Tensors() {
		if len(t.Shape) > 1 {
			elems[t.DType] += t.Shape.Elems()
		}
	}
	if elems[tensor.F16] > elems[tensor.BF16]+elems[tensor.F32] {
		return F16, nil
	}
	return BF16, nil
}
