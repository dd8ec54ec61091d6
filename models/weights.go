package models

import (
	"context"
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// WeightSpec is one tensor that a model needs.
type WeightSpec struct {
	Name  string
	Shape tensor.Shape

	// Alt are other names that files use for the same tensor.
	Alt []string

	// Optional tensors may be missing; the model asks Weights.Has.
	Optional bool

	// Vector marks small tensors that kernels read as F32 (norms, biases, gates): they are converted at load
	// when the file stores them otherwise. All others keep the file's type.
	Vector bool

	// Derive computes the contents, F32, of a tensor that no file holds.
	Derive func() []float32
}

// Source is where weights come from: a GGUF file, or a folder that presents itself as one.
type Source interface {
	Tensor(name string) (gguf.TensorInfo, bool)
	ReadTensor(t gguf.TensorInfo, p []byte, off int64) error
}

// Weights are a model's tensors on a device. The zero value has none.
type Weights struct {
	tensors map[string]tensor.Tensor
	prefix  string
	buf     tensor.Buffer
}

// Layer returns the weights whose names start with "blk.i.", to be used without that prefix.
func (w Weights) Layer(i int) Weights {
	w.prefix = fmt.Sprintf("blk.%d.", i)
	return w
}

// Has reports whether the tensor is present.
func (w Weights) Has(name string) bool {
	_, ok := w.tensors[w.prefix+name]
	return ok
}

// Get declares the tensor in g. A missing one is an error of g.
func (w Weights) Get(g *ops.Graph, name string) ops.Value {
	t, ok := w.tensors[w.prefix+name]
	if !ok {
		g.Fail(fmt.Errorf("models: weight %q was not loaded", w.prefix+name))
		return ops.Value{}
	}
	return g.Weight(t)
}

// Bytes returns the memory that the weights occupy on the device.
func (w Weights) Bytes() int64 {
	if w.buf == nil {
		return 0
	}
	return w.buf.Size()
}

// Free releases the device memory.
func (w Weights) Free() error {
	if w.buf == nil {
		return nil
	}
	return w.buf.Free()
}

// align is the alignment of weights in device memory, in bytes.
const align = 64

// resolved is a WeightSpec with its place in the source and on the device.
type resolved struct {
	spec WeightSpec
	info gguf.TensorInfo // Name is empty for a derived tensor
	t    tensor.Tensor
	size int64
}

// LoadWeights copies the weights of m from src to dev, each in the type that the source stores, all in one
// allocation. Nothing is allocated before every tensor was found with the right shape. progress, which may be
// nil, is told the bytes copied so far and in all.
func LoadWeights(ctx context.Context, m Model, src Source, dev ops.Device, progress func(done, total int64)) (Weights, error) {
	rs, total, err := resolve(m, src)
	if err != nil {
		return Weights{}, err
	}
	buf, err := dev.Alloc(total, ops.MemWeights)
	if err != nil {
		return Weights{}, fmt.Errorf("models: %d bytes of weights: %w", total, err)
	}
	w := Weights{tensors: map[string]tensor.Tensor{}, buf: buf}
	if err := w.copy(ctx, rs, src, dev, progress, total); err != nil {
		buf.Free()
		return Weights{}, err
	}
	return w, nil
}

// resolve finds every tensor and gives it a place.
func resolve(m Model, src Source) (rs []resolved, total int64, err error) {
	for _, spec := range m.Weights() {
		r := resolved{spec: spec, t: tensor.Tensor{Name: spec.Name, DType: tensor.F32, Shape: spec.Shape, Off: total}}
		if spec.Derive == nil {
			info, ok := find(src, spec)
			if !ok && spec.Optional {
				continue
			}
			if !ok {
				return nil, 0, fmt.Errorf("models: tensor %q is missing", strings.Join(append([]string{spec.Name}, spec.Alt...), `" or "`))
			}
			if !info.Shape.Equal(spec.Shape) {
				return nil, 0, fmt.Errorf("models: tensor %q has shape %v, the metadata wants %v", info.Name, info.Shape, spec.Shape)
			}
			f, ok := info.DType.Format()
			if !ok || f.Dequant == nil {
				return nil, 0, fmt.Errorf("models: tensor %q: %v is not a type for weights", info.Name, info.DType)
			}
			r.info = info
			if !spec.Vector {
				r.t.DType = info.DType
			}
		}
		if r.size, err = tensor.Bytes(r.t.DType, r.t.Shape); err != nil {
			return nil, 0, fmt.Errorf("models: tensor %q: %w", spec.Name, err)
		}
		total = (total + r.size + align - 1) &^ (align - 1)
		rs = append(rs, r)
	}
	return rs, total, nil
}

func find(src Source, spec WeightSpec) (gguf.TensorInfo, bool) {
	for _, name := range append([]string{spec.Name}, spec.Alt...) {
		if info, ok := src.Tensor(name); ok {
			return info, true
		}
	}
	return gguf.TensorInfo{}, false
}

// copy fills the buffer through a small staging area, so that no tensor is in memory twice.
func (w Weights) copy(ctx context.Context, rs []resolved, src Source, dev ops.Device, progress func(done, total int64), total int64) error {
	s, err := dev.Stream()
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	defer s.Close()
	staging := make([]byte, 4<<20)
	for _, r := range rs {
		r.t.Buf = w.buf
		w.tensors[r.spec.Name] = r.t
		if r.spec.Derive != nil || r.t.DType != r.info.DType {
			if err := uploadFloats(s, src, r); err != nil {
				return fmt.Errorf("models: tensor %q: %w", r.spec.Name, err)
			}
		} else {
			for off := int64(0); off < r.size; off += int64(len(staging)) {
				if err := ctx.Err(); err != nil {
					return err
				}
				n := min(int64(len(staging)), r.size-off)
				if err := src.ReadTensor(r.info, staging[:n], off); err != nil {
					return fmt.Errorf("models: %w", err)
				}
				// Raw bytes: a part of a tensor need not be a whole number of blocks.
				part := tensor.Tensor{Name: r.t.Name, DType: tensor.I8, Shape: tensor.Shape{int(n)}, Buf: w.buf, Off: r.t.Off + off}
				if err := s.Upload(part, staging[:n]); err != nil {
					return fmt.Errorf("models: %w", err)
				}
				if progress != nil {
					progress(r.t.Off+off+n, total)
				}
			}
		}
	}
	if err := s.Sync(ctx); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	return nil
}

// uploadFloats uploads a derived tensor, or a vector converted to F32.
func uploadFloats(s ops.Stream, src Source, r resolved) error {
	var x []float32
	if r.spec.Derive != nil {
		if x = r.spec.Derive(); len(x) != r.spec.Shape.Elems() {
			return fmt.Errorf("%d values derived for shape %v", len(x), r.spec.Shape)
		}
	} else {
		raw := make([]byte, r.info.Size)
		if err := src.ReadTensor(r.info, raw, 0); err != nil {
			return err
		}
		x = make([]float32, r.spec.Shape.Elems())
		f, _ := r.info.DType.Format() // resolve checked it
		f.Dequant(x, raw)
	}
	f32, _ := tensor.F32.Format()
	b := make([]byte, 4*len(x))
	f32.Quant(b, x)
	return s.Upload(r.t, b)
}

// Check reports what LoadWeights would reject, without loading anything.
func Check(m Model, src Source) error {
	_, _, err := resolve(m, src)
	return err
}
