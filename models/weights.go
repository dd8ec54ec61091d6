package models

import (
	"context"
	"errors"
	"fmt"
	"io"

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

// LoadWeights copies the weights of m from src to dev, each in the type that the source stores and in the layout that
// dev wants (see [ops.Repacker]), all in one allocation. Nothing is allocated before every tensor was found with the
// right shape. progress, which may be nil, is told the bytes copied so far and in all. An error, or the end of ctx,
// frees what was allocated.
func LoadWeights(ctx context.Context, m Model, src Source, dev ops.Device, progress func(done, total int64)) (Weights, error) {
	rs, total, err := resolve(m, src, dev)
	if err != nil {
		return Weights{}, err
	}
	buf, err := dev.Alloc(total, ops.MemWeights)
	if err != nil {
		return Weights{}, fmt.Errorf("models: %d bytes of weights: %w", total, err)
	}
	w := Weights{tensors: map[string]tensor.Tensor{}, buf: buf}
	if err := w.load(ctx, rs, src, dev, progress, total); err != nil {
		return Weights{}, errors.Join(err, buf.Free())
	}
	return w, nil
}

// DeclareWeights returns the weights of m as LoadWeights would place them on dev, without memory, and the memory that
// they would take. Graphs can be recorded with them, but not compiled.
func DeclareWeights(m Model, src Source, dev ops.Device) (Weights, int64, error) {
	rs, total, err := resolve(m, src, dev)
	if err != nil {
		return Weights{}, 0, err
	}
	w := Weights{tensors: map[string]tensor.Tensor{}}
	for _, r := range rs {
		w.tensors[r.spec.Name] = r.t
	}
	return w, total, nil
}

// load fills the buffer through a small staging area, so that no large tensor is in host memory as a whole.
func (w Weights) load(ctx context.Context, rs []resolved, src Source, dev ops.Device, progress func(done, total int64), total int64) (err error) {
	s, err := dev.Stream()
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	staging := make([]byte, stagingBytes)
	for _, r := range rs {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("models: tensor %q: %w", r.spec.Name, err)
		}
		r.t.Buf = w.buf
		w.tensors[r.spec.Name] = r.t
		if r.spec.Derive != nil || r.t.DType != r.dtype {
			err = uploadFloats(s, src, r)
		} else {
			staging, err = uploadStored(ctx, s, src, r, staging, func(done int64) {
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

// stagingBytes is how much of a tensor is read at a time, unless one row of it is larger.
const stagingBytes = 4 << 20

// uploadStored copies a tensor in the type that the source has, piece by piece through staging, which it returns,
// grown if it had to. Where the device repacks rows, a piece is whole rows.
func uploadStored(ctx context.Context, s ops.Stream, src Source, r resolved, staging []byte, progress func(done int64)) ([]byte, error) {
	left := tensor.Tensor{Name: r.t.Name, DType: tensor.I8, Buf: r.t.Buf, Off: r.t.Off} // what has not been copied
	unit, unitOnDevice := int64(1), int64(1)
	if r.repacked {
		left.DType = r.t.DType
		rows := int64(r.t.Shape[:len(r.t.Shape)-1].Elems())
		unit, unitOnDevice = r.stored/rows, r.size/rows
		if unit > int64(len(staging)) {
			staging = make([]byte, unit)
		}
	}
	from := extents{src: src, list: r.from}
	for done := int64(0); done < r.stored; {
		if err := ctx.Err(); err != nil {
			return staging, err
		}
		n := min(int64(len(staging))/unit*unit, r.stored-done)
		if err := from.read(staging[:n]); err != nil {
			return staging, err
		}
		left.Shape = tensor.Shape{int(n)}
		if r.repacked {
			left.Shape = tensor.Shape{int(n / unit), r.t.Shape.Last()}
		}
		if err := s.Upload(left, staging[:n]); err != nil {
			return staging, err
		}
		left.Off += n / unit * unitOnDevice
		done += n
		progress(left.Off - r.t.Off)
	}
	return staging, nil
}

// extents reads runs of bytes one after the other.
type extents struct {
	src  Source
	list []extent
	off  int64 // in the first of list
}

// read fills p with the next bytes, of which there must be enough.
func (e *extents) read(p []byte) error {
	for len(p) > 0 {
		if len(e.list) == 0 {
			return io.ErrUnexpectedEOF
		}
		x := e.list[0]
		n := min(int64(len(p)), x.size-e.off)
		if err := e.src.ReadTensor(x.info, p[:n], x.off+e.off); err != nil {
			return err
		}
		p, e.off = p[n:], e.off+n
		if e.off == x.size {
			e.list, e.off = e.list[1:], 0
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
