package nn

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// Specs collects the weights of a model. Blocks add theirs; names are prefixed with the current layer's.
type Specs struct {
	List   []models.WeightSpec
	prefix string
	part   *part // nil: the whole model
}

// Layer makes the names that follow relative to layer i.
func (s *Specs) Layer(i int) { s.prefix = fmt.Sprintf("blk.%d.", i) }

// Add appends spec with every name of it, those of its inputs included, relative to the current layer; or the share
// that a rank has of it.
func (s *Specs) Add(spec models.WeightSpec) {
	spec = rename(spec, s.prefix, "")
	if s.part != nil {
		var has bool
		if spec, has = spec.ShareOf(s.part.rank, s.part.units); !has {
			return
		}
	}
	s.List = append(s.List, spec)
}

// rename returns spec with prefix and suffix around all of its names.
func rename(spec models.WeightSpec, prefix, suffix string) models.WeightSpec {
	spec.Name = prefix + spec.Name + suffix
	spec.Alt = slices.Clone(spec.Alt)
	for i, a := range spec.Alt {
		spec.Alt[i] = prefix + a + suffix
	}
	if spec.Part.Name != "" {
		spec.Part.Name = prefix + spec.Part.Name + suffix
	}
	if spec.Stack != "" {
		spec.Stack = prefix + spec.Stack + suffix
	}
	spec.Inputs = slices.Clone(spec.Inputs)
	for i, in := range spec.Inputs {
		spec.Inputs[i] = rename(in, prefix, suffix)
	}
	return spec
}

// Vector adds the small tensor called name, with its suffix.
func (s *Specs) Vector(name string, shape ...int) { s.splitVector(name, models.Split{}, shape...) }

// splitVector is Vector for a tensor of which each rank has a share.
func (s *Specs) splitVector(name string, split models.Split, shape ...int) {
	s.Add(models.WeightSpec{Name: name, Shape: shape, Vector: true, Split: split})
}

// Norm adds name.weight of n elements.
func (s *Specs) Norm(name string, n int) { s.Vector(name+".weight", n) }

func (s *Specs) optionalNorm(name string, n int) {
	s.Add(models.WeightSpec{Name: name + ".weight", Shape: tensor.Shape{n}, Vector: true, Optional: true})
}

// Linear adds name.weight, [out, in], and name.bias, which is optional. Every rank has all of both.
func (s *Specs) Linear(name string, out, in int) { s.SplitLinear(name, out, in, models.Split{}) }

// SplitLinear is Linear for a matrix of which each rank has a share.
func (s *Specs) SplitLinear(name string, out, in int, split models.Split) {
	s.linear(models.WeightSpec{Name: name, Shape: tensor.Shape{out, in}, Split: split}, false)
}

// linear adds a matrix, [..., out, in], and its bias, [..., out], which is optional unless bias says that it must be
// there. Names in spec lack their endings; the axis of its Part is that of the rows. Where ranks have columns, what
// they make is added, and the bias is that of the first.
func (s *Specs) linear(spec models.WeightSpec, bias bool) {
	rows := len(spec.Shape) - 2
	spec.Part.Axis = rows
	s.Add(rename(spec, "", ".weight"))
	spec.Shape, spec.Stack = spec.Shape[:rows+1], ""
	if len(spec.Split.Segments) > 0 && spec.Split.Axis > rows {
		spec.Split = models.Split{First: true}
	}
	spec.Vector, spec.Optional = true, spec.Optional || !bias
	s.Add(rename(spec, "", ".bias"))
}
