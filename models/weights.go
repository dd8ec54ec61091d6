package models

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Weights are a model's tensors on a device. The zero value has none.
type Weights struct {
	tensors map[string]tensor.Tensor
	prefix  string
	suffix  string
	bufs    []tensor.Buffer // one for each device that weights lie on
	homes   []Home
	mapped  []tensor.Buffer // one for each weight that lies where the source has it
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

// Rank returns the weights of rank r of a model that is split, to be used under the names of the whole.
func (w Weights) Rank(r int) Weights {
	w.suffix = RankName("", r)
	return w
}

func (w Weights) name(name string) string { return w.prefix + name + w.suffix }

// Has reports whether the tensor is present.
func (w Weights) Has(name string) bool {
	_, ok := w.tensors[w.name(name)]
	return ok
}

// Get declares the tensor in g. A missing one is an error of g.
func (w Weights) Get(g *ops.Graph, name string) ops.Value {
	t, ok := w.tensors[w.name(name)]
	if !ok {
		g.Fail(fmt.Errorf("models: weight %q was not loaded", w.name(name)))
		return ops.Value{}
	}
	return g.Weight(t)
}

// State declares the tensor in g as a state, which ops update. A missing one is an error of g.
func (w Weights) State(g *ops.Graph, name string) ops.Value {
	t, ok := w.tensors[w.name(name)]
	if !ok {
		return w.Get(g, name)
	}
	return g.State(t)
}

// First is Get of the first n elements of the outermost dimension alone, where they lie in the whole: of a matrix, its
// first n rows. Of a tensor with a layout they must be whole runs of the rows that are repacked together. What is not
// there is an error of g.
func (w Weights) First(g *ops.Graph, name string, n int) ops.Value {
	t, ok := w.tensors[w.name(name)]
	if !ok {
		return w.Get(g, name)
	}
	l, all := t.Layout, t.Shape.Rows()
	rows := max(1, all/t.Shape[0]) * n
	if n < 1 || n > t.Shape[0] || !l.IsZero() && rows%l.Rows != 0 {
		g.Fail(fmt.Errorf("models: the first %d of %d elements of weight %q: %d rows lie together", n, t.Shape[0],
			w.name(name), max(1, l.Rows)))
		return ops.Value{}
	}
	if !l.IsZero() {
		t.Layout.Bytes = l.Bytes / int64(all/l.Rows) * int64(rows/l.Rows)
	}
	t.Shape = slices.Clone(t.Shape)
	t.Shape[0] = n
	return g.Weight(t)
}

// Alike returns the matrices of w, those of equal type and shape together, up to the given number of each; in the order
// of names.
func (w Weights) Alike(most int) [][]tensor.Tensor {
	type key struct {
		dtype tensor.DType
		n, k  int
	}
	at := map[key]int{}
	var groups [][]tensor.Tensor
	for _, name := range slices.Sorted(maps.Keys(w.tensors)) {
		t := w.tensors[name]
		if len(t.Shape) != 2 {
			continue
		}
		k := key{t.DType, t.Shape[0], t.Shape[1]}
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k], groups = i, append(groups, nil)
		}
		if len(groups[i]) < most {
			groups[i] = append(groups[i], t)
		}
	}
	return groups
}

// Bytes returns the memory that the weights occupy on the device.
func (w Weights) Bytes() (total int64) {
	for _, b := range w.bufs {
		total += b.Size()
	}
	return total
}

// Home is a device with the bytes of weights that lie on it.
type Home struct {
	Device ops.Device
	Bytes  int64
}

// Homes lists the devices that weights lie on, or were declared for: what its Place returned, where a device consists
// of several. The result must not be changed.
func (w Weights) Homes() []Home { return w.homes }

// Mapped returns the bytes of weights that lie where their source has them.
func (w Weights) Mapped() (total int64) {
	for _, b := range w.mapped {
		total += b.Size()
	}
	return total
}

// Free releases the device memory.
func (w Weights) Free() error {
	var errs []error
	for _, b := range append(w.mapped, w.bufs...) {
		errs = append(errs, b.Free())
	}
	return errors.Join(errs...)
}

// LoadWeights copies the weights of m from src to dev, each in the type that the source stores and in the layout that
// dev chooses for the ops that read it: in one allocation, or, of a device that consists of several, in one on each
// that its Place names. Nothing is allocated before every tensor was found with the right shape. progress, which may be
// nil, is told the bytes copied so far and in all. An error, or the end of ctx, frees what was allocated.
func LoadWeights(ctx context.Context, m Model, src Source, dev ops.Device, progress func(done, total int64)) (w Weights,
	err error) {
	homes, total, err := resolve(m, src, dev)
	if err != nil {
		return Weights{}, err
	}
	w = Weights{tensors: map[string]tensor.Tensor{}, homes: sizes(homes)}
	defer func() {
		if err != nil {
			w, err = Weights{}, errors.Join(err, w.Free())
		}
	}()
	for _, h := range homes {
		if err = w.adopt(h, src); err != nil {
			return w, err
		}
		if h.buf, err = h.dev.Alloc(h.size, ops.MemWeights); err != nil {
			return w, fmt.Errorf("models: %d bytes of weights: %w", h.size, err)
		}
		w.bufs = append(w.bufs, h.buf)
	}
	var before int64
	for _, h := range homes {
		h.progress = func(done int64) {
			if progress != nil {
				progress(before+done, total)
			}
		}
		var host []byte
		if mapped := h.dev.Caps().Map; mapped != nil {
			host = mapped(h.buf)
		}
		if host != nil {
			err = w.loadHost(ctx, h, src, host)
		} else {
			err = w.load(ctx, h, src)
		}
		if err != nil {
			return w, err
		}
		before += h.size
	}
	return w, nil
}

// DeclareWeights returns the weights of m as LoadWeights would place them on dev, without memory, and the memory that
// they would take. Graphs can be recorded with them, but not compiled.
func DeclareWeights(m Model, src Source, dev ops.Device) (Weights, int64, error) {
	homes, total, err := resolve(m, src, dev)
	if err != nil {
		return Weights{}, 0, err
	}
	w := Weights{tensors: map[string]tensor.Tensor{}, homes: sizes(homes)}
	for _, h := range homes {
		if dev.Caps().Place != nil {
			if h.buf, err = h.dev.Alloc(0, ops.MemWeights); err != nil {
				return Weights{}, 0, fmt.Errorf("models: %w", err)
			}
		}
		for _, r := range append(h.rs, h.mapped...) {
			r.t.Buf = h.buf
			w.tensors[r.spec.Name] = r.t
		}
	}
	return w, total, nil
}

// sizes lists the bytes of each home.
func sizes(homes []*home) (list []Home) {
	for _, h := range homes {
		list = append(list, Home{h.dev, h.size})
	}
	return list
}

// load fills the buffer through a small staging area, so that no large tensor is in host memory as a whole.
func (w Weights) load(ctx context.Context, h *home, src Source) (err error) {
	s, err := h.dev.Stream()
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var staging []byte
	for _, r := range h.rs {
		r.t.Buf = h.buf
		w.tensors[r.spec.Name] = r.t
		for _, p := range r.pieces() {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("models: tensor %q: %w", r.spec.Name, err)
			}
			if staging, err = p.upload(s, src, staging); err != nil {
				return fmt.Errorf("models: tensor %q: %w", r.spec.Name, err)
			}
			h.progress(p.at + p.size)
		}
	}
	h.progress(h.size)
	if err := s.Sync(ctx); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	return nil
}

// pieceBytes is how much of a tensor is read at a time, unless the rows that are repacked together are larger.
const pieceBytes = 4 << 20

// piece is a part of a tensor that is read at once.
type piece struct {
	r        *resolved
	off, n   int64 // in the tensor as files have it; n is 0 for the whole of one that is made or converted
	at, size int64 // in the buffer
}

// pieces cuts a tensor into pieces: of one with a layout, rows that the device repacks together.
func (r *resolved) pieces() (ps []piece) {
	if r.spec.Derive != nil || r.spec.Ints != nil || r.t.DType != r.dtype {
		return []piece{{r: r, at: r.t.Off, size: r.size}}
	}
	unit, unitOnDevice := int64(1), int64(1)
	if l := r.t.Layout; !l.IsZero() {
		runs := int64(r.t.Shape.Rows() / l.Rows)
		unit, unitOnDevice = r.stored/runs, r.size/runs
	}
	for off := int64(0); off < r.stored; {
		n := min(max(pieceBytes/unit, 1)*unit, r.stored-off)
		ps = append(ps, piece{r, off, n, r.t.Off + off/unit*unitOnDevice, n / unit * unitOnDevice})
		off += n
	}
	return ps
}

// tensor is the place of p on the device: bytes, or rows in the layout of the whole.
func (p piece) tensor() tensor.Tensor {
	t := p.r.t
	t.Off = p.at
	if t.Layout.IsZero() {
		t.DType, t.Shape = tensor.I8, tensor.Shape{int(p.n)}
		return t
	}
	t.Shape = tensor.Shape{int(p.n / (p.r.stored / int64(t.Shape.Rows()))), t.Shape.Last()}
	t.Layout.Bytes = p.size
	return t
}

// upload reads p into staging, which it returns, grown if it had to, and uploads it.
func (p piece) upload(s ops.Stream, src Source, staging []byte) ([]byte, error) {
	if p.n == 0 && p.r.spec.Ints != nil {
		return staging, s.Upload(p.r.t, int32Bytes(p.r.spec.Ints))
	}
	if p.n == 0 {
		return staging, uploadFloats(s, src, p.r)
	}
	if int64(len(staging)) < p.n {
		staging = make([]byte, p.n)
	}
	if err := p.read(src, staging[:p.n]); err != nil {
		return staging, err
	}
	return staging, s.Upload(p.tensor(), staging[:p.n])
}

// read reads p, of a tensor that is stored, from the extents of the source that hold it.
func (p piece) read(src Source, to []byte) error { return p.r.read(src, to, p.off) }

// read fills to with the bytes of a tensor that is stored, from off on.
func (r *resolved) read(src Source, to []byte, off int64) error {
	whole := func(to []byte, off int64) error { return readExtents(src, r.from, to, off) }
	if r.cut != nil {
		return r.cut.read(to, off, whole)
	}
	return whole(to, off)
}

// readExtents fills to with bytes of extents that follow each other, from off on.
func readExtents(src Source, from []extent, to []byte, off int64) error {
	for _, x := range from {
		if off >= x.size {
			off -= x.size
			continue
		}
		n := min(int64(len(to)), x.size-off)
		if err := src.ReadTensor(x.info, to[:n], x.off+off); err != nil {
			return err
		}
		if to, off = to[n:], 0; len(to) == 0 {
			return nil
		}
	}
	return io.ErrUnexpectedEOF
}

// int32Bytes returns numbers as devices have them.
func int32Bytes(x []int32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// uploadFloats uploads a derived tensor, or a vector converted to F32.
func uploadFloats(s ops.Stream, src Source, r *resolved) error {
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
		shape, sh := r.spec.Shape, r.spec.Share
		if sh != nil {
			shape = sh.Of
		}
		if err == nil && len(x) != shape.Elems() {
			err = fmt.Errorf("%d values derived for shape %v", len(x), shape)
		}
		if err == nil && sh != nil {
			x = sh.floats(x)
		}
		return x, err
	}
	if r.from == nil {
		return nil, nil
	}
	n, err := tensor.Bytes(r.dtype, r.t.Shape)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, n)
	if err := r.read(src, raw, 0); err != nil {
		return nil, err
	}
	x := make([]float32, r.spec.Shape.Elems())
	f, _ := r.dtype.Format() // resolve checked it
	f.Dequant(x, raw)
	return x, nil
}

// Sized is a weight with the bytes that it takes.
type Sized struct {
	Use   ops.WeightUse
	Bytes int64
}

// WeightSizes lists the weights of m, and what each takes in the layout that dev chooses.
func WeightSizes(m Model, src Source, dev ops.Device) ([]Sized, error) {
	homes, _, err := resolve(m, src, dev)
	if err != nil {
		return nil, err
	}
	var list []Sized
	for _, h := range homes {
		for _, r := range append(h.rs, h.mapped...) {
			list = append(list, Sized{r.use, r.size})
		}
	}
	return list, nil
}
