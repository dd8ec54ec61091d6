package models

import (
	"context"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

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

// Model returns all weights under their full names.
func (w Weights) Model() Weights {
	w.prefix = ""
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
	if host, ok := buf.(ops.HostBuffer); ok {
		err = w.loadHost(ctx, rs, src, host.Bytes(), progress)
	} else {
		err = w.load(ctx, rs, src, dev, progress, total)
	}
	if err != nil {
		buf.Free()
		return Weights{}, err
	}
	return w, nil
}

// load fills the buffer through a small staging area, so that no large tensor is in host memory as a whole.
func (w Weights) load(ctx context.Context, rs []resolved, src Source, dev ops.Device, progress func(done, total int64), total int64) error {
	s, err := dev.Stream()
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	defer s.Close()
	staging := make([]byte, 4<<20)
	for _, r := range rs {
		r.t.Buf = w.buf
		w.tensors[r.spec.Name] = r.t
		if r.spec.Derive != nil || r.t.DType != r.dtype {
			err = uploadFloats(s, src, r)
		} else {
			err = uploadBytes(ctx, s, src, r, staging, func(done int64) {
				if progress != nil {
					progress(r.t.Off+done, total)
				}
			})
		}
		if err != nil {
			return fmt.Errorf("models: tensor %q: %w", r.spec.Name, err)
		}
	}
	if progress != nil {
		progress(total, total)
	}
	if err := s.Sync(ctx); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	return nil
}

// uploadBytes copies a tensor as it is.
func uploadBytes(ctx context.Context, s ops.Stream, src Source, r resolved, staging []byte, progress func(done int64)) error {
	var done int64
	for _, x := range r.from {
		for off := int64(0); off < x.size; off += int64(len(staging)) {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(int64(len(staging)), x.size-off)
			if err := src.ReadTensor(x.info, staging[:n], x.off+off); err != nil {
				return err
			}
			// Raw bytes: a piece of a tensor need not be a whole number of blocks.
			piece := tensor.Tensor{Name: r.t.Name, DType: tensor.I8, Shape: tensor.Shape{int(n)}, Buf: r.t.Buf, Off: r.t.Off + done}
			if err := s.Upload(piece, staging[:n]); err != nil {
				return err
			}
			done += n
			progress(done)
		}
	}
	return nil
}

// uploadFloats uploads a derived tensor, or a vector converted to F32.
func uploadFloats(s ops.Stream, src Source, r resolved) error {
	x, err := r.floats(src)
	if err != nil {
		return err
	}
	f32, _ := tensor.F32.Format()
	b := make([]byte, 4*len(x))
	f32.Quant(b, x)
	return s.Upload(r.t, b)
}

// floats returns the contents as F32, nil if the tensor is missing.
func (r *resolved) floats(src Source) ([]float32, error) {
	if r.spec.Derive != nil {
		in := make([][]float32, len(r.inputs))
		for i := range in {
			var err error
			if in[i], err = r.inputs[i].floats(src); err != nil {
				return nil, err
			}
		}
		x, err := r.spec.Derive(in)
		if err == nil && len(x) != r.spec.Shape.Elems() {
			err = fmt.Errorf("%d values derived for shape %v", len(x), r.spec.Shape)
		}
		return x, err
	}
	if r.from == nil {
		return nil, nil
	}
	var raw []byte
	for _, x := range r.from {
		raw = append(raw, make([]byte, x.size)...)
		if err := src.ReadTensor(x.info, raw[int64(len(raw))-x.size:], x.off); err != nil {
			return nil, err
		}
	}
	x := make([]float32, r.spec.Shape.Elems())
	f, _ := r.dtype.Format() // resolve checked it
	f.Dequant(x, raw)
	return x, nil
}
