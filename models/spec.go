package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// WeightSpec is one tensor that a model needs. Files store some tensors in several forms; the loader brings all of
// them into the form that Name and Shape describe, so that a graph is built in one way only.
type WeightSpec struct {
	Name  string
	Shape tensor.Shape

	// Alt are other names that files use for the same tensor.
	Alt []string

	// Part is where the tensor lies inside a larger one in files that fuse several.
	Part Part

	// Stack is a name with one %d, for files that hold each element of the outermost dimension as a tensor of its
	// own.
	Stack string

	// Optional tensors may be missing; the model asks Weights.Has.
	Optional bool

	// Vector marks small tensors that kernels read as F32 (norms, biases, gates): they are converted at load
	// when the file stores them otherwise. All others keep the file's type.
	Vector bool

	// Split says how ranks share the tensor, and Share, of a model that is split, what one of them holds of it: Shape is
	// that of the share then. What Share does not say is about the whole tensor.
	Split Split
	Share *Share

	// Derive computes the contents, F32, of a tensor that no file holds from the tensors that Inputs lists, each
	// converted to F32. An optional input that is missing is nil.
	Derive func(inputs [][]float32) ([]float32, error)
	Inputs []WeightSpec

	// Ints is what a tensor of type I32 holds at first that no file holds, such as a table that whoever runs the model
	// keeps.
	Ints []int32
}

// Part says where a tensor of n elements along dimension Axis, counted from the outermost, lies inside a larger one
// called Name that has Of: at elements Lo..Lo+n-1, or element i at At(i). The zero Part is none.
type Part struct {
	Name         string
	Axis, Lo, Of int
	At           func(i int) int // nil: Lo+i
}

// at returns the place of element i.
func (p Part) at(i int) int {
	if p.At != nil {
		return p.At(i)
	}
	return p.Lo + i
}

// Source is where weights come from: a GGUF file, or a folder that presents itself as one. Its methods may be called
// from several goroutines at once.
type Source interface {
	Tensor(name string) (gguf.TensorInfo, bool)
	ReadTensor(t gguf.TensorInfo, p []byte, off int64) error
}

// Check reports the first tensor of m that src lacks or has in another shape, or nil. It reads no contents.
func Check(m Model, src Source) error {
	_, err := find(m, src)
	return err
}

// extent is a run of bytes of a source's tensor.
type extent struct {
	info      gguf.TensorInfo
	off, size int64
}

// resolved is a WeightSpec with its place in the source and on the device.
type resolved struct {
	spec   WeightSpec
	t      tensor.Tensor
	size   int64        // on the device, in bytes
	stored int64        // in the type of t, laid out as in files
	dtype  tensor.DType // in the source
	from   []extent     // its bytes in the source, in order; none for a derived tensor
	cut    *cut         // what a share has of those; nil: all
	inputs []resolved   // of a derived tensor; without from if missing
	use    ops.WeightUse
	mapped bool // it is used where the source has it
}

// align is the alignment of weights in device memory, in bytes.
const align = 64

// home is a device that weights lie on, in one buffer.
type home struct {
	dev    ops.Device
	rs     []*resolved // in the order of their places
	mapped []*resolved // those that lie where the source has them, which takes nothing
	size   int64
	buf    tensor.Buffer

	progress func(done int64) // is told how much of size is there
}

// find finds every tensor of m.
func find(m Model, src Source) (rs []*resolved, err error) {
	specs := m.Weights()
	known := names(specs)
	for _, spec := range specs {
		r, err := resolveOne(spec, src)
		if err != nil {
			return nil, fmt.Errorf("models: %w", err)
		}
		if !r.there() {
			continue
		}
		r.size = r.stored
		rs = append(rs, &r)
		f, err := r.factor(src, known)
		if err != nil {
			return nil, fmt.Errorf("models: %w", err)
		}
		if f != nil {
			rs = append(rs, f)
		}
	}
	return rs, nil
}

// resolve finds every tensor and gives it a layout and a place on dev. total is the memory of all homes.
func resolve(m Model, src Source, dev ops.Device) (homes []*home, total int64, err error) {
	rs, err := find(m, src)
	if err != nil {
		return nil, 0, err
	}
	readers, err := uses(m, declare(rs))
	if err == nil {
		err = checkFactors(rs, readers)
	}
	if err != nil {
		return nil, 0, err
	}
	for _, r := range rs {
		t := &r.t
		u := ops.WeightUse{Name: t.Name, DType: t.DType, Shape: t.Shape, Ops: readers[t.Name]}
		on := dev
		if place := dev.Caps().Place; place != nil {
			if on, err = place(u, ops.MemWeights); err != nil {
				return nil, 0, fmt.Errorf("models: %w", err)
			}
		}
		r.use = u
		r.mapped = r.mappable(src, on)
		if !r.mapped && r.spec.Ints == nil {
			t.Layout = on.Layout(u)
		}
		if r.size, err = ops.WeightBytes(*t); err != nil {
			return nil, 0, fmt.Errorf("models: tensor %q: %w", t.Name, err)
		}
		l, rows := t.Layout, t.Shape.Rows()
		if !l.IsZero() && (l.Rows < 1 || rows%l.Rows != 0 || l.Bytes < 1 || l.Bytes%int64(rows/l.Rows) != 0) {
			return nil, 0, fmt.Errorf("models: tensor %q: layout %+v of %s does not fit %v %v", t.Name, l,
				on.Info().Name, t.DType, t.Shape)
		}
		i := len(homes) - 1 // that of the whole, if there are no others
		if dev.Caps().Place != nil {
			i = slices.IndexFunc(homes, func(h *home) bool { return h.dev == on })
		}
		if i < 0 {
			i = len(homes)
			homes = append(homes, &home{dev: on})
		}
		h := homes[i]
		if r.mapped {
			h.mapped = append(h.mapped, r)
			continue
		}
		h.rs = append(h.rs, r)
		t.Off = h.size
		h.size = (h.size + r.size + align - 1) &^ (align - 1)
	}
	for _, h := range homes {
		total += h.size
	}
	return homes, total, nil
}

// declare returns weights without memory.
func declare(rs []*resolved) Weights {
	w := Weights{tensors: map[string]tensor.Tensor{}}
	for _, r := range rs {
		w.tensors[r.spec.Name] = r.t
	}
	return w
}

// resolveOne finds one tensor. The result has no extents if it is optional and missing, or derived.
func resolveOne(spec WeightSpec, src Source) (resolved, error) {
	if sh := spec.Share; sh != nil {
		whole := spec
		whole.Name, whole.Shape, whole.Share = sh.Whole, sh.Of, nil
		r, err := resolveOne(whole, src)
		if err == nil {
			err = r.take(spec)
		}
		return r, err
	}
	r := resolved{spec: spec, dtype: tensor.F32}
	if spec.Ints != nil {
		if len(spec.Ints) != spec.Shape.Elems() {
			return r, fmt.Errorf("tensor %q: %d numbers for shape %v", spec.Name, len(spec.Ints), spec.Shape)
		}
		r.dtype, r.stored = tensor.I32, 4*int64(len(spec.Ints))
		r.t = tensor.Tensor{Name: spec.Name, DType: tensor.I32, Shape: spec.Shape}
		return r, nil
	}
	if spec.Derive != nil {
		for _, in := range spec.Inputs {
			ri, err := resolveOne(in, src)
			if err != nil {
				return r, err
			}
			r.inputs = append(r.inputs, ri)
		}
	} else if err := r.find(src); err != nil {
		return r, err
	}
	if !r.there() {
		return r, nil
	}
	if f, ok := r.dtype.Format(); !ok || f.Dequant == nil {
		return r, fmt.Errorf("tensor %q: %v is not a type for weights", r.from[0].info.Name, r.dtype)
	}
	r.t = tensor.Tensor{Name: spec.Name, DType: r.dtype, Shape: spec.Shape}
	if spec.Vector {
		r.t.DType = tensor.F32
	}
	var err error
	if r.stored, err = tensor.Bytes(r.t.DType, r.t.Shape); err != nil {
		return r, fmt.Errorf("tensor %q: %w", spec.Name, err)
	}
	return r, nil
}

// there reports whether there is such a tensor: an optional one may be missing.
func (r *resolved) there() bool { return r.spec.Derive != nil || r.spec.Ints != nil || r.from != nil }

// find looks for the tensor in each of its forms and takes the first that fits.
func (r *resolved) find(src Source) error {
	var mismatch error // of the first form that is there but does not fit
	note := func(err error) {
		if mismatch == nil {
			mismatch = err
		}
	}
	for _, name := range r.spec.names() {
		info, ok := src.Tensor(name)
		if !ok {
			continue
		}
		if !sameShape(info.Shape, r.spec.Shape) {
			note(shapeError(info, r.spec.Shape))
			continue
		}
		r.dtype, r.from = info.DType, []extent{{info, 0, info.Size}}
		return nil
	}
	if p := r.spec.Part; p.Name != "" {
		if info, ok := src.Tensor(p.Name); ok {
			if err := r.part(info); err != nil {
				note(err)
			} else {
				return nil
			}
		}
	}
	if r.spec.Stack != "" {
		if _, ok := src.Tensor(fmt.Sprintf(r.spec.Stack, 0)); ok {
			return r.stack(src)
		}
	}
	if mismatch == nil && !r.spec.Optional {
		mismatch = fmt.Errorf("tensor %q%s is missing", r.spec.Name, r.spec.others())
	}
	return mismatch
}

func (s WeightSpec) names() []string { return append([]string{s.Name}, s.Alt...) }

// others lists what may be in the tensor's place, for error messages.
func (s WeightSpec) others() string {
	names := slices.Clone(s.Alt)
	if s.Part.Name != "" && s.Part.Name != s.Name {
		names = append(names, s.Part.Name)
	}
	if s.Stack != "" {
		names = append(names, fmt.Sprintf(s.Stack, 0))
	}
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, " or %q", n)
	}
	return b.String()
}

// part takes a range of the fused tensor info.
func (r *resolved) part(info gguf.TensorInfo) error {
	p, s := r.spec.Part, r.spec.Shape
	fused := slices.Clone(s)
	fused[p.Axis] = p.Of
	if !sameShape(info.Shape, fused) {
		return shapeError(info, fused)
	}
	stride, err := tensor.Bytes(info.DType, fused[p.Axis:])
	if err != nil {
		return fmt.Errorf("tensor %q: %w", info.Name, err)
	}
	n := s[p.Axis]
	elem := stride / int64(p.Of)
	r.dtype = info.DType
	for outer := range s[:p.Axis].Elems() {
		for i := 0; i < n; {
			run := 1 // elements that follow each other in the file too
			for i+run < n && p.at(i+run) == p.at(i)+run {
				run++
			}
			r.from = append(r.from, extent{info, int64(outer)*stride + int64(p.at(i))*elem, int64(run) * elem})
			i += run
		}
	}
	return nil
}

// stack takes one tensor for each element of the outermost dimension.
func (r *resolved) stack(src Source) error {
	want := r.spec.Shape[1:]
	for i := range r.spec.Shape[0] {
		name := fmt.Sprintf(r.spec.Stack, i)
		info, ok := src.Tensor(name)
		switch {
		case !ok:
			return fmt.Errorf("tensor %q is missing: the file has %q", name, fmt.Sprintf(r.spec.Stack, 0))
		case !sameShape(info.Shape, want):
			return shapeError(info, want)
		case i > 0 && info.DType != r.dtype:
			return fmt.Errorf("tensor %q is %v and %q is %v: tensors that form one must share their type",
				name, info.DType, fmt.Sprintf(r.spec.Stack, 0), r.dtype)
		}
		r.dtype = info.DType
		r.from = append(r.from, extent{info, 0, info.Size})
	}
	return nil
}

// sameShape compares shapes but for leading dimensions of one, which some writers drop.
func sameShape(a, b tensor.Shape) bool { return trimOnes(a).Equal(trimOnes(b)) }

func trimOnes(s tensor.Shape) tensor.Shape {
	for len(s) > 0 && s[0] == 1 {
		s = s[1:]
	}
	return s
}

func shapeError(info gguf.TensorInfo, want tensor.Shape) error {
	return fmt.Errorf("tensor %q has shape %v, the metadata wants %v", info.Name, info.Shape, want)
}
