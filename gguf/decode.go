package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// maxMetadata limits everything before the tensor data. Real files need 5 to 12 MB, vocabulary and merges included.
const maxMetadata = 256 << 20

// decoder reads the metadata section of one part through a buffer. Every read is checked against the bytes that
// the file still has and against maxMetadata before anything is allocated for it.
type decoder struct {
	r    io.ReaderAt
	path string
	size int64 // of the file

	buf   []byte // storage of win
	win   []byte // bytes read from r and not yet consumed
	pos   int64  // file offset of win[0]
	field int64  // file offset of the field being read, for messages

	// strs holds the bytes of strings until it is full and a new one takes its place; the strings are slices
	// of it, so that a vocabulary costs few allocations.
	strs  strings.Builder
	chunk int // capacity of strs
}

const bufSize = 64 << 10

func newDecoder(r io.ReaderAt, size int64, path string) *decoder {
	return &decoder{r: r, size: size, path: path, buf: make([]byte, min(size, bufSize))}
}

// errorf returns a FormatError at the field being read.
func (d *decoder) errorf(format string, args ...any) error {
	return &FormatError{Path: d.path, Offset: d.field, Err: fmt.Errorf(format, args...)}
}

// left returns the bytes between the next one and the end of the file.
func (d *decoder) left() int64 { return d.size - d.pos }

// need checks that the next n bytes exist and are within the limit; n is below 2^63.
func (d *decoder) need(n int64) error {
	if n > d.left() {
		return d.errorf("truncated: %d bytes needed, %d left in the file", n, d.left())
	}
	if n > maxMetadata-d.pos {
		return d.errorf("metadata section exceeds the limit of %d bytes", maxMetadata)
	}
	return nil
}

// next consumes n bytes, at most bufSize, and returns them; they are valid until the next call.
func (d *decoder) next(n int) ([]byte, error) {
	if err := d.need(int64(n)); err != nil {
		return nil, err
	}
	if n > len(d.win) {
		have := copy(d.buf, d.win)
		want := int(min(int64(len(d.buf)), d.left()))
		if err := d.readAt(d.buf[have:want], d.pos+int64(have)); err != nil {
			return nil, err
		}
		d.win = d.buf[:want]
	}
	b := d.win[:n]
	d.win = d.win[n:]
	d.pos += int64(n)
	return b, nil
}

// readAt fills p from file offset off.
func (d *decoder) readAt(p []byte, off int64) error {
	if n, err := d.r.ReadAt(p, off); n < len(p) {
		return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
	}
	return nil
}

func (d *decoder) uint32() (uint32, error) {
	d.field = d.pos
	b, err := d.next(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (d *decoder) uint64() (uint64, error) {
	d.field = d.pos
	b, err := d.next(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a number of things that take at least size bytes each.
func (d *decoder) count(what string, size int64) (int, error) {
	n, err := d.uint64()
	if err != nil {
		return 0, err
	}
	if n > uint64(d.left()/size) {
		return 0, d.errorf("%d %s need at least %d bytes each, %d left in the file", n, what, size, d.left())
	}
	if n > uint64(maxMetadata/size) {
		return 0, d.errorf("%d %s of at least %d bytes each exceed the metadata limit of %d bytes", n, what, size,
			maxMetadata)
	}
	return int(n), nil
}

// string reads a length of at most limit and that many bytes.
func (d *decoder) string(limit int64) (string, error) {
	n, err := d.uint64()
	if err != nil {
		return "", err
	}
	if n > uint64(d.left()) {
		return "", d.errorf("string of %d bytes, %d left in the file", n, d.left())
	}
	if n > uint64(limit) {
		return "", d.errorf("string of %d bytes, the limit is %d", n, limit)
	}
	if d.strs.Len()+int(n) > d.chunk {
		if int(n) > maxChunk/4 {
			return d.longString(int(n))
		}
		// Start small and double: a small file must not pay for a vocabulary.
		d.chunk = min(max(2*d.chunk, minChunk, int(n)), maxChunk)
		d.strs = strings.Builder{}
		d.strs.Grow(d.chunk)
	}
	start := d.strs.Len()
	if err := d.copyTo(&d.strs, int(n)); err != nil {
		return "", err
	}
	return d.strs.String()[start:], nil
}

const (
	minChunk = 1 << 10
	maxChunk = 1 << 20
)

// longString reads a string that shares its memory with no other.
func (d *decoder) longString(n int) (string, error) {
	if err := d.need(int64(n)); err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(n)
	err := d.copyTo(&b, n)
	return b.String(), err
}

func (d *decoder) copyTo(b *strings.Builder, n int) error {
	if err := d.need(int64(n)); err != nil {
		return err
	}
	for n > 0 {
		have := len(d.win)
		if have == 0 {
			have = len(d.buf)
		}
		p, err := d.next(min(n, have))
		if err != nil {
			return err
		}
		b.Write(p)
		n -= len(p)
	}
	return nil
}

// value reads a value of the given type into the Go type that Meta.Value documents.
func (d *decoder) value(typ uint32) (any, error) {
	if typ >= typeCount {
		return nil, d.errorf("unknown value type %d", typ)
	}
	d.field = d.pos
	switch typ {
	case typeString:
		return d.string(maxMetadata)
	case typeArray:
		return d.array()
	}
	b, err := d.next(int(minSizes[typ]))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch typ {
	case typeUint8:
		return b[0], nil
	case typeInt8:
		return int8(b[0]), nil
	case typeUint16:
		return le.Uint16(b), nil
	case typeInt16:
		return int16(le.Uint16(b)), nil
	case typeUint32:
		return le.Uint32(b), nil
	case typeInt32:
		return int32(le.Uint32(b)), nil
	case typeFloat32:
		return math.Float32frombits(le.Uint32(b)), nil
	case typeBool:
		return b[0] != 0, nil
	case typeUint64:
		return le.Uint64(b), nil
	case typeInt64:
		return int64(le.Uint64(b)), nil
	default: // typeFloat64
		return math.Float64frombits(le.Uint64(b)), nil
	}
}

func (d *decoder) array() (any, error) {
	typ, err := d.uint32()
	if err != nil {
		return nil, err
	}
	if typ >= typeCount {
		return nil, d.errorf("unknown array element type %d", typ)
	}
	if typ == typeArray {
		return nil, d.errorf("array of arrays")
	}
	n, err := d.count(typeNames[typ]+" array elements", minSizes[typ])
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch typ {
	case typeUint8:
		return numbers(d, n, 1, func(b []byte) uint8 { return b[0] })
	case typeInt8:
		return numbers(d, n, 1, func(b []byte) int8 { return int8(b[0]) })
	case typeUint16:
		return numbers(d, n, 2, le.Uint16)
	case typeInt16:
		return numbers(d, n, 2, func(b []byte) int16 { return int16(le.Uint16(b)) })
	case typeUint32:
		return numbers(d, n, 4, le.Uint32)
	case typeInt32:
		return numbers(d, n, 4, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case typeFloat32:
		return numbers(d, n, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case typeBool:
		return numbers(d, n, 1, func(b []byte) bool { return b[0] != 0 })
	case typeUint64:
		return numbers(d, n, 8, le.Uint64)
	case typeInt64:
		return numbers(d, n, 8, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case typeFloat64:
		return numbers(d, n, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	}
	return d.strings(n)
}

// numbers reads n elements of size bytes each.
func numbers[T any](d *decoder, n, size int, get func([]byte) T) ([]T, error) {
	if err := d.need(int64(n) * int64(size)); err != nil {
		return nil, err
	}
	s := make([]T, 0, n)
	for len(s) < n {
		b, err := d.next(min(n-len(s), len(d.buf)/size) * size)
		if err != nil {
			return nil, err
		}
		for ; len(b) > 0; b = b[size:] {
			s = append(s, get(b))
		}
	}
	return s, nil
}

// stringsAhead is how many string headers are allocated before any string was seen. A header takes more memory
// than the 8 bytes of an empty string in the file, so a claimed count is trusted in steps: as many again as were read.
const stringsAhead = 1 << 16

func (d *decoder) strings(n int) ([]string, error) {
	s := make([]string, 0, min(n, stringsAhead))
	for i := range n {
		str, err := d.string(maxMetadata)
		if err != nil {
			return nil, within(err, "string %d", i)
		}
		if len(s) == cap(s) {
			s = slices.Grow(s, min(n-len(s), len(s)))
		}
		s = append(s, str)
	}
	return s, nil
}
