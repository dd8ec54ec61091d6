package place

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// buffer is memory on one part, or a copy on each.
type buffer struct {
	whole *Device
	part  int             // or Everywhere
	in    []tensor.Buffer // of the part, or of each; none if it was only declared
	size  int64
}

// Size returns the usable bytes.
func (b *buffer) Size() int64 { return b.size }

// Free releases the memory.
func (b *buffer) Free() error {
	var errs []error
	for _, in := range b.in {
		errs = append(errs, in.Free())
	}
	b.in, b.size = nil, 0
	return errors.Join(errs...)
}

// inputs is the memory of an input, on each part that reads it.
type inputs struct {
	at   []located
	size int64
}

// Size returns the bytes of the input.
func (b *inputs) Size() int64 { return b.size }

// Free does nothing: the memory is the plan's.
func (b *inputs) Free() error { return nil }

// located is a tensor of a part.
type located struct {
	part int
	t    tensor.Tensor
}

// locate returns where t lies: in one place, or in copies.
func (d *Device) locate(t tensor.Tensor) ([]located, error) {
	switch b := t.Buf.(type) {
	case *buffer:
		if b.whole != d {
			break
		}
		if len(b.in) == 0 {
			return nil, fmt.Errorf("place: tensor %q has no memory, or it was freed", t.Name)
		}
		if b.part != Everywhere {
			t.Buf = b.in[0]
			return []located{{b.part, t}}, nil
		}
		var all []located
		for i, in := range b.in {
			t.Buf = in
			all = append(all, located{i, t})
		}
		return all, nil
	case *inputs:
		var all []located
		for _, l := range b.at {
			off := t.Off + l.t.Off
			c := t
			c.Buf, c.Off = l.t.Buf, off
			all = append(all, located{l.part, c})
		}
		return all, nil
	}
	return nil, fmt.Errorf("place: tensor %q is of another device than %s (buffer %T)", t.Name, d.name, t.Buf)
}

// on returns which part t, a weight or a state, lies on; Everywhere for one that has no memory yet.
func (d *Device) on(t tensor.Tensor) (int, error) {
	b, ok := t.Buf.(*buffer)
	switch {
	case t.Buf == nil:
		return Everywhere, nil
	case !ok || b.whole != d:
		return 0, fmt.Errorf("place: tensor %q is of another device than %s (buffer %T)", t.Name, d.name, t.Buf)
	}
	return b.part, nil
}

// local returns t as part p knows it. Without memory it stays so.
func (d *Device) local(t tensor.Tensor, p int) (tensor.Tensor, error) {
	b, ok := t.Buf.(*buffer)
	switch {
	case t.Buf == nil || ok && len(b.in) == 0 && b.size == 0:
		t.Buf = nil
		return t, nil
	case !ok || b.whole != d:
		return t, fmt.Errorf("place: tensor %q is of another device than %s (buffer %T)", t.Name, d.name, t.Buf)
	case b.part == Everywhere:
		t.Buf = b.in[p]
	case b.part == p:
		t.Buf = b.in[0]
	default:
		return t, fmt.Errorf("place: tensor %q lies on part %d, not on %d", t.Name, b.part, p)
	}
	return t, nil
}

// mapped is Map of the device's ops.Caps.
func (d *Device) mapped(b tensor.Buffer) []byte {
	c, ok := b.(*buffer)
	if !ok || c.whole != d || c.part == Everywhere || len(c.in) == 0 {
		return nil
	}
	if m := d.parts[c.part].Device.Caps().Map; m != nil {
		return m(c.in[0])
	}
	return nil
}

var _ ops.Device = (*Part)(nil)
