package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

const (
	magic            = "GGUF"
	maxDims          = 4 // GGML_MAX_DIMS
	defaultAlignment = 32
	keyAlignment     = "general.alignment"
)

// Fewest bytes of a key-value pair (key length, a byte of key, type, a byte of value) and of a tensor info
// (name length, a byte of name, number of dimensions, type, offset).
const (
	minPairSize = 8 + 1 + 4 + 1
	minInfoSize = 8 + 1 + 4 + 4 + 8
)

// header is what the metadata section of one part says.
type header struct {
	version   int
	meta      Meta
	alignment int64
	data      int64 // file offset of the data section
	tensors   []TensorInfo
}

// parse reads and checks the metadata section of one part.
func parse(r io.ReaderAt, size int64, path string) (*header, error) {
	d := newDecoder(r, size, path)
	h := &header{}
	if err := d.magic(); err != nil {
		return nil, err
	}
	version, err := d.uint32()
	if err != nil {
		return nil, within(err, "version")
	}
	if err := d.checkVersion(version); err != nil {
		return nil, err
	}
	h.version = int(version)
	nTensors, err := d.count("tensors", minInfoSize)
	if err != nil {
		return nil, within(err, "header")
	}
	nPairs, err := d.count("key-value pairs", minPairSize)
	if err != nil {
		return nil, within(err, "header")
	}
	for i := range nPairs {
		if err := d.pair(&h.meta); err != nil {
			return nil, within(err, "key %d of %d", i+1, nPairs)
		}
	}
	if h.alignment, err = alignmentOf(&h.meta); err != nil {
		return nil, &FormatError{Path: path, Offset: -1, Err: err}
	}
	offsetFields := make([]int64, 0, min(nTensors, 1<<12)) // where each tensor's offset stands, for messages
	h.tensors = make([]TensorInfo, 0, min(nTensors, 1<<12))
	for i := range nTensors {
		t, err := d.info(h.alignment)
		if err != nil {
			what := fmt.Sprintf("tensor %d of %d", i+1, nTensors)
			if t.Name != "" {
				what = fmt.Sprintf("tensor %q", t.Name)
			}
			return nil, within(err, "%s", what)
		}
		h.tensors = append(h.tensors, t)
		offsetFields = append(offsetFields, d.field)
	}
	h.data = align(d.pos, h.alignment)
	for i := range h.tensors {
		t := &h.tensors[i]
		d.field = offsetFields[i]
		if h.data > size || t.Offset > size-h.data || t.Size > size-h.data-t.Offset {
			return nil, within(d.errorf("data of %d bytes at offset %d of the data section, which has %d bytes",
				t.Size,
				t.Offset, max(0, size-h.data)), "tensor %q", t.Name)
		}
		t.Offset += h.data
	}
	return h, checkOverlap(h.tensors, path)
}

func (d *decoder) magic() error {
	if d.size == 0 {
		return d.errorf("empty file")
	}
	if d.size < int64(len(magic)) {
		return d.errorf("file of %d bytes is too short to be GGUF", d.size)
	}
	b, err := d.next(len(magic))
	if err != nil {
		return err
	}
	if string(b) != magic {
		return d.errorf("no GGUF file: it starts with %q, want %q", b, magic)
	}
	return nil
}

func (d *decoder) checkVersion(v uint32) error {
	switch {
	case v == 2 || v == 3:
		return nil
	case v == 1:
		return d.errorf("version 1, with 32-bit lengths, is not supported; convert the model again")
	case v != 0 && v&0xFFFF == 0: // the test that ggml makes, too
		return d.errorf("big-endian file, version %d; only little-endian files are supported", bits.ReverseBytes32(v))
	}
	return d.errorf("version %d, want 2 or 3", v)
}

// pair reads a key and its value.
func (d *decoder) pair(m *Meta) error {
	start := d.pos
	key, err := d.string(maxKeyLen)
	if err != nil {
		return err
	}
	d.field = start
	if err := checkKey(key); err != nil {
		return d.errorf("%w", err)
	}
	if m.Has(key) {
		return d.errorf("duplicate key %q", key)
	}
	typ, err := d.uint32()
	if err != nil {
		return within(err, "%q", key)
	}
	v, err := d.value(typ)
	if err != nil {
		return within(err, "%q", key)
	}
	return m.Set(key, v)
}

// alignmentOf returns the alignment that m asks for, in bytes.
func alignmentOf(m *Meta) (int64, error) {
	a, err := m.UintOr(keyAlignment, defaultAlignment)
	if err != nil {
		return 0, err
	}
	if bits.OnesCount64(a) != 1 || a > math.MaxUint32 {
		return 0, fmt.Errorf("%s is %d, want a power of two below 2^32", keyAlignment, a)
	}
	return int64(a), nil
}

// info reads one tensor info. Its Offset is still relative to the data section. On errors the name is set if it
// is known.
func (d *decoder) info(alignment int64) (t TensorInfo, err error) {
	start := d.pos
	if t.Name, err = d.string(maxMetadata); err != nil {
		return t, err
	}
	d.field = start
	if err := checkName(t.Name); err != nil {
		t.Name = "" // the message tells it
		return t, d.errorf("%w", err)
	}
	nDims, err := d.uint32()
	if err != nil {
		return t, err
	}
	if nDims > maxDims {
		return t, d.errorf("%d dimensions, the limit is %d", nDims, maxDims)
	}
	dims := d.pos
	b, err := d.next(8 * int(nDims))
	if err != nil {
		return t, err
	}
	t.Shape = make(tensor.Shape, nDims)
	for i := range t.Shape {
		n := binary.LittleEndian.Uint64(b[8*i:])
		if n == 0 || n > math.MaxInt {
			d.field = dims + int64(8*i)
			return t, d.errorf("dimension %d is %d, want 1 to %d", i, int64(n), math.MaxInt)
		}
		t.Shape[len(t.Shape)-1-i] = int(n) // files store the innermost dimension first
	}
	id, err := d.uint32()
	if err != nil {
		return t, err
	}
	if t.DType, err = dtypeOf(id); err != nil {
		return t, d.errorf("%w", err)
	}
	d.field = dims
	if t.Size, err = sizeOf(t.DType, t.Shape); err != nil {
		return t, d.errorf("%w", err)
	}
	off, err := d.uint64()
	if err != nil {
		return t, err
	}
	if off%uint64(alignment) != 0 {
		return t, d.errorf("offset %d is not a multiple of the alignment %d", off, alignment)
	}
	if off > math.MaxInt64 {
		return t, d.errorf("offset %d is beyond the end of any file", off)
	}
	t.Offset = int64(off)
	return t, nil
}

func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("empty tensor name")
	}
	if len(name) > maxNameLen {
		return fmt.Errorf("tensor name of %d bytes, the limit is %d", len(name), maxNameLen)
	}
	return nil
}

// sizeOf returns the bytes of a tensor. Unlike tensor.Bytes it also refuses shapes whose element count does not
// fit in an int, which sub-byte types reach first.
func sizeOf(t tensor.DType, s tensor.Shape) (int64, error) {
	size, err := tensor.Bytes(t, s)
	if err != nil {
		return 0, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "tensor: "))
	}
	n := 1
	for _, dim := range s {
		if n > math.MaxInt/dim {
			return 0, fmt.Errorf("number of elements of %v overflows", s)
		}
		n *= dim
	}
	return size, nil
}

// align rounds n, which is below 2^62, up to a multiple of alignment.
func align(n, alignment int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// checkOverlap refuses tensors that share bytes. Gaps are harmless and allowed, as is any order.
func checkOverlap(ts []TensorInfo, path string) error {
	sorted := make([]*TensorInfo, len(ts))
	for i := range ts {
		sorted[i] = &ts[i]
	}
	slices.SortStableFunc(sorted, func(a, b *TensorInfo) int {
		switch {
		case a.Offset < b.Offset:
			return -1
		case a.Offset > b.Offset:
			return 1
		}
		return 0
	})
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		if a.Offset+a.Size > b.Offset {
			return &FormatError{Path: path, What: fmt.Sprintf("tensor %q", b.Name), Offset: -1,
				Err: fmt.Errorf("data starts at byte %d, inside tensor %q, which ends at %d", b.Offset, a.Name,
					a.Offset+a.Size)}
		}
	}
	return nil
}
