package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Files hold the factor of a whole NVFP4 tensor, which its blocks have no place for, in a tensor of its own: X.scale
// beside X.weight, one F32 number or, for a stack of experts, one for each. It multiplies what a product with the
// tensor makes.

// FactorName returns the name under which [Weights] has the factor of the matrix called name.weight.
func FactorName(name string) string { return name + ".factor" }

// factor returns the weight that holds the factor of r, nil if r has none: of a matrix, [rows], the same number
// throughout; of a stack of matrices, [stack, 1].
// The tensors that the model has under names of its own are none.
func (r *resolved) factor(src Source, own map[string]bool) (*resolved, error) {
	if r.dtype != quant.NVFP4 {
		return nil, nil
	}
	var weights []string // whose bytes r has, in order
	for _, x := range r.from {
		if name := x.info.Name; !slices.Contains(weights, name) {
			weights = append(weights, name)
		}
	}
	var inputs []WeightSpec
	total := 0
	for _, weight := range weights {
		info, ok := scaleOf(src, weight)
		if !ok || own[info.Name] {
			continue
		}
		if info.DType != tensor.F32 {
			return nil, fmt.Errorf("tensor %q is %v, not F32", info.Name, info.DType)
		}
		inputs = append(inputs, WeightSpec{Name: info.Name, Shape: info.Shape, Vector: true})
		total += info.Shape.Elems()
	}
	shape := r.spec.Shape
	stack := shape[0] // matrices of the whole, of which r may have the first
	if sh := r.spec.Share; sh != nil {
		stack = sh.Of[0]
	}
	name, ok := factorOf(r.spec.Name)
	switch {
	case len(inputs) == 0:
		return nil, nil
	case !ok || len(inputs) != len(weights) || len(shape) < 2 || len(shape) > 3:
		return nil, fmt.Errorf("tensor %q has a factor %q of a kind that is not read", r.spec.Name, inputs[0].Name)
	case len(shape) == 2 && total != 1, len(shape) == 3 && total != 1 && total != stack:
		return nil, fmt.Errorf("tensor %q has shape %v, want one factor of %q or one for each expert", inputs[0].Name,
			inputs[0].Shape, r.spec.Name)
	}
	of := tensor.Shape{shape[0]}
	if len(shape) == 3 {
		of = tensor.Shape{shape[0], 1}
	}
	f, err := resolveOne(WeightSpec{Name: name, Shape: of, Vector: true, Inputs: inputs,
		Derive: func(in [][]float32) ([]float32, error) {
			x := slices.Concat(in...)
			if len(x) == 1 {
				x = slices.Repeat(x, shape[0])
			}
			return x[:shape[0]], nil
		}}, src)
	f.size = f.stored
	return &f, err
}

// names are those that specs ask for, of whole tensors.
func names(specs []WeightSpec) map[string]bool {
	all := map[string]bool{}
	for _, s := range specs {
		if s.Share != nil {
			all[s.Share.Whole] = true
		}
		for _, n := range s.names() {
			all[n] = true
		}
		for n := range names(s.Inputs) {
			all[n] = true
		}
	}
	return all
}

// scaleOf returns the tensor with the factor of the one that is called weight.
func scaleOf(src Source, weight string) (gguf.TensorInfo, bool) {
	name, ok := strings.CutSuffix(weight, ".weight")
	if !ok {
		return gguf.TensorInfo{}, false
	}
	return src.Tensor(name + ".scale")
}

// factorOf returns the name of the factor of the weight called name, be it of a rank or not.
func factorOf(name string) (string, bool) {
	i := strings.LastIndex(name, ".weight")
	if i < 0 {
		return "", false
	}
	return FactorName(name[:i]) + name[i+len(".weight"):], true
}

// checkFactors reports the first weight with a factor that a graph does not apply: one that is read by other ops than
// products, or whose factor nothing reads.
func checkFactors(rs []*resolved, readers map[string][]*ops.Def) error {
	for _, r := range rs {
		name, ok := factorOf(r.spec.Name)
		if !ok || !slices.ContainsFunc(rs, func(f *resolved) bool { return f.spec.Name == name }) {
			continue
		}
		other := slices.ContainsFunc(readers[r.spec.Name], func(d *ops.Def) bool {
			return d != ops.MulMatOp && d != ops.MulMatExpertsOp && d != ops.MulMatSomeExpertsOp
		})
		if other || len(readers[name]) == 0 {
			return fmt.Errorf("models: tensor %q has a factor beside it, which this architecture does not apply",
				r.spec.Name)
		}
	}
	return nil
}
