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
}

// Layer makes the names that follow relative to layer i.
func (s *Specs) Layer(i int) { s.prefix = fmt.Sprintf("blk.%d.", i) }

// Add appends spec with every name of it relative to the current layer.
func (s *Specs) Add(spec models.WeightSpec) {
	spec.Name = s.prefix + spec.Name
	spec.Alt = slices.Clone(spec.Alt)
	for i, a := range spec.Alt {
		spec.Alt[i] = s.prefix + a
	}
	if spec.Part.Name != "" {
		spec.Part.Name = s.prefix + spec.Part.Name
	}
	if spec.Stack != "" {
		spec.Stack = s.prefix + spec.Stack
	}
	s.List = append(s.List, spec)
}

// Vector adds the small tensor called name, with its suffix.
func (s *Specs) Vector(name string, shape ...int) {
	s.Add(models.WeightSpec{Name: name, Shape: shape, Vector: true})
}

// Norm adds name.weight of n elements.
func (s *Specs) Norm(name string, n int) { s.Vector(name+".weight", n) }

// Linear adds name.weight, [out, in], and name.bias, which is optional.
func (s *Specs) Linear(name string, out, in int) {
	s.linear(name, part{}, false, tensor.Shape{out, in})
}

// part says that a matrix is rows lo..lo+out-1 of the of rows of the matrix called name in files that fuse it with
// others.
type part struct {
	name   string
	lo, of int
}

// linear adds name.weight, [..., out, in], and its optional or required bias, [..., out].
func (s *Specs) linear(name string, p part, bias bool, shape tensor.Shape) {
	w := models.WeightSpec{Name: name + ".weight", Shape: shape}
	b := models.WeightSpec{Name: name + ".bias", Shape: shape[:len(shape)-1], Vector: true, Optional: !bias}
	if p.name != "" {
		w.Part = models.Part{Name: p.name + ".weight", Axis: len(shape) - 2, Lo: p.lo, Of: p.of}
		b.Part = models.Part{Name: p.name + ".bias", Axis: len(shape) - 2, Lo: p.lo, Of: p.of}
	}
	s.Add(w)
	s.Add(b)
}
