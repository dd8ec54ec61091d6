package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// guard is the number of poisoned bytes before and after every buffer that the suite allocates.
const guard = 256

// region is a weight or a state on a device, between guards.
type region struct {
	t     tensor.Tensor // the operand
	whole tensor.Tensor // buffer with both guards, as bytes
	image []byte        // what whole must hold before a run
}

// newRegion allocates an operand of op reader.
func newRegion(dev ops.Device, reader *ops.Def, kind ops.MemKind, name string, dt tensor.DType, shape tensor.Shape,
	data []byte) (*region, error) {
	t := tensor.Tensor{Name: name, DType: dt, Shape: shape, Off: guard}
	if kind == ops.MemWeights {
		t.Layout = dev.Layout(ops.WeightUse{Name: name, DType: dt, Shape: shape, Ops: []*ops.Def{reader}})
	}
	n, err := ops.WeightBytes(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	total := 2*guard + int(n)
	buf, err := dev.Alloc(int64(total), kind)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t.Buf = buf
	r := &region{
		t:     t,
		whole: tensor.Tensor{Name: name, DType: tensor.I8, Shape: tensor.Shape{total}, Buf: buf},
		image: bytes.Repeat([]byte{poison}, total),
	}
	if t.Layout.IsZero() {
		copy(r.image[guard:], data)
	}
	return r, nil
}

// repack uploads the data of an operand that does not lie as in files, and learns how it lies.
func (r *region) repack(s ops.Stream, data []byte) error {
	return errors.Join(s.Upload(r.whole, r.image), s.Upload(r.t, data),
		s.Download(r.image, r.whole), s.Sync(context.Background()))
}

// damage compares the memory of the region with its image: u says which rows may have changed.
func (r *region) damage(now []byte, u use) error {
	for i := range guard {
		if now[i] != r.image[i] {
			return fmt.Errorf("%s: byte %d before the buffer was written", r.t.Name, guard-i)
		}
		if j := len(now) - guard + i; now[j] != r.image[j] {
			return fmt.Errorf("%s: byte %d after the buffer was written", r.t.Name, i)
		}
	}
	was, is := r.image[guard:len(now)-guard], now[guard:len(now)-guard]
	if u.read == nil { // no state, or not one whose rows are known
		if r.t.Name[0] == 'w' && !bytes.Equal(was, is) {
			return fmt.Errorf("%s: a weight was written", r.t.Name)
		}
		return nil
	}
	for row := range u.write {
		if !u.write[row] && !bytes.Equal(u.row(was, row), u.row(is, row)) {
			return fmt.Errorf("%s: row %d was written, which no token of the step owns", r.t.Name, row)
		}
	}
	return nil
}

// session is a case compiled on a device.
type session struct {
	in      *input
	dev     ops.Device
	wide    bool
	stream  ops.Stream
	plan    ops.Plan
	node    *ops.Node
	regions []*region // by operand, nil for an input
}

// open allocates, uploads and compiles. wide is for the oracle: F32 states are held as F64. An op without a kernel
// gives an error that wraps ops.ErrUnsupported.
func open(dev ops.Device, in *input, wide bool) (*session, error) {
	s := &session{in: in, dev: dev, wide: wide, regions: make([]*region, len(in.c.Args))}
	if err := s.init(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *session) init() (err error) {
	if s.stream, err = s.dev.Stream(); err != nil {
		return err
	}
	g := &ops.Graph{}
	var vs []ops.Value
	for i, a := range s.in.c.Args {
		if a.Leaf == ops.Input {
			vs = append(vs, g.Input(fmt.Sprintf("in%d", i), a.DType, a.Shape...))
			continue
		}
		name, kind, dt, data := fmt.Sprintf("weight%d", i), ops.MemWeights, a.DType, s.in.data[i]
		if a.Leaf == ops.State {
			name, kind = fmt.Sprintf("state%d", i), ops.MemState
			if s.wide && dt == tensor.F32 {
				dt, data = tensor.F64, widen(data)
			}
		}
		if s.regions[i], err = newRegion(s.dev, s.in.def, kind, name, dt, a.Shape, data); err != nil {
			return err
		}
		if !s.regions[i].t.Layout.IsZero() {
			if err := s.regions[i].repack(s.stream, data); err != nil {
				return err
			}
		}
		if a.Leaf == ops.State {
			vs = append(vs, g.State(s.regions[i].t))
		} else {
			vs = append(vs, g.Weight(s.regions[i].t))
		}
	}
	if err := s.reset(); err != nil {
		return err
	}
	res := g.Add(s.in.def, s.in.c.Attrs, vs...)
	if err := g.Err(); err != nil {
		return err
	}
	s.node = res[0].Node()
	s.plan, err = s.dev.Compile(g, nil, res...)
	return err
}

// reset writes weights and states anew, guards included.
func (s *session) reset() error {
	for _, r := range s.regions {
		if r == nil {
			continue
		}
		if err := s.stream.Upload(r.whole, r.image); err != nil {
			return err
		}
	}
	return nil
}

// outcome is what a run left: each result of the op as bytes in type types[i], states included.
type outcome struct {
	types []tensor.DType
	bytes [][]byte
	exact [][]float64 // by result, from an oracle: not rounded to float32
	mem   [][]byte    // by operand: whole regions
}

// run writes the inputs, runs the plan on states as reset leaves them and reads everything back. data replaces
// the contents of operands; nil for the case's own.
func (s *session) run(ctx context.Context, data [][]byte) (*outcome, error) {
	o, err := s.enqueue(data)
	if err == nil {
		err = s.stream.Sync(ctx)
	}
	if err != nil {
		return nil, err
	}
	return o, s.settle(o)
}

// enqueue is run without the wait: the outcome is there when the stream has been synchronized and settle was called.
func (s *session) enqueue(data [][]byte) (*outcome, error) {
	if err := s.reset(); err != nil {
		return nil, err
	}
	for i, a := range s.in.c.Args {
		if a.Leaf != ops.Input {
			continue
		}
		t, ok := s.plan.Input(fmt.Sprintf("in%d", i))
		if !ok {
			continue // a device that needs no such input must get the result right without
		}
		b := s.in.data[i]
		if data != nil {
			b = data[i]
		}
		if err := s.stream.Upload(t, b); err != nil {
			return nil, err
		}
	}
	if err := s.stream.Run(s.plan); err != nil {
		return nil, err
	}
	o := &outcome{exact: make([][]float64, len(s.node.Out)), mem: make([][]byte, len(s.regions))}
	for i, r := range s.regions {
		if r == nil {
			continue
		}
		o.mem[i] = make([]byte, len(r.image))
		if err := s.stream.Download(o.mem[i], r.whole); err != nil {
			return nil, err
		}
	}
	for i, typ := range s.node.Out {
		size, err := tensor.Bytes(typ.DType, typ.Shape)
		if err != nil {
			return nil, err
		}
		b := make([]byte, size)
		if err := s.stream.Download(b, s.plan.Output(i)); err != nil {
			return nil, err
		}
		o.types, o.bytes = append(o.types, typ.DType), append(o.bytes, b)
	}
	return o, nil
}

// settle fills in what of an outcome is not downloaded.
func (s *session) settle(o *outcome) error {
	for i, typ := range s.node.Out {
		if s.wide && typ.DType == tensor.F32 {
			x, err := opsref.Float64s(s.plan.Output(i))
			if err != nil {
				return err
			}
			o.exact[i] = x
		} else {
			o.exact[i] = toFloat64s(typ.DType, o.bytes[i], typ.Shape.Elems())
		}
	}
	return nil
}

// damage reports memory that the run should have left alone.
func (s *session) damage(o *outcome) error {
	for i, r := range s.regions {
		if r == nil {
			continue
		}
		if err := r.damage(o.mem[i], s.in.uses[i]); err != nil {
			return err
		}
	}
	return nil
}

// close ends the stream first: uploads that no run waited for may still be on their way to the regions.
func (s *session) close() error {
	var errs []error
	if s.stream != nil {
		errs = append(errs, s.stream.Close())
	}
	if s.plan != nil {
		errs = append(errs, s.plan.Close())
	}
	for _, r := range s.regions {
		if r != nil {
			errs = append(errs, r.t.Buf.Free())
		}
	}
	return errors.Join(errs...)
}

// execute is open, one run, close.
func execute(ctx context.Context, dev ops.Device, in *input, wide bool) (o *outcome, n *ops.Node, err error) {
	s, err := open(dev, in, wide)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if o, err = s.run(ctx, nil); err != nil {
		return nil, nil, err
	}
	return o, s.node, s.damage(o)
}

// widen converts float32 bytes to float64 bytes.
func widen(b []byte) []byte {
	f, _ := tensor.F64.Format()
	w := make([]byte, 2*len(b))
	f.Quant(w, toFloat32s(b))
	return w
}

// equalBits reports the first difference between two outcomes.
func equalBits(a, b *outcome) error {
	for i := range a.bytes {
		if !bytes.Equal(a.bytes[i], b.bytes[i]) {
			for j := range a.exact[i] {
				if math.Float64bits(a.exact[i][j]) != math.Float64bits(b.exact[i][j]) {
					return fmt.Errorf("result %d differs at element %d: %v and %v", i, j, a.exact[i][j], b.exact[i][j])
				}
			}
			return fmt.Errorf("result %d differs in its stored bytes", i)
		}
	}
	return nil
}
