package codeobj

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxDepth limits nesting; metadata uses five levels.
const maxDepth = 16

var errTruncated = errors.New("msgpack: truncated")

// decode reads one MessagePack value: maps with string keys, arrays, strings, integers (as int64), booleans and
// nil, which is all that metadata is made of. What follows it is ignored: linkers pad.
func decode(b []byte) (any, error) {
	d := decoder{b}
	return d.value(0)
}

type decoder struct{ b []byte }

// take returns the next n bytes.
func (d *decoder) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.b)) {
		return nil, errTruncated
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p, nil
}

// uint reads a big-endian number of 1, 2, 4 or 8 bytes.
func (d *decoder) uint(size uint64) (uint64, error) {
	p, err := d.take(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[8-size:], p)
	return binary.BigEndian.Uint64(full[:]), nil
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("msgpack: nested deeper than %d", maxDepth)
	}
	t, err := d.uint(1)
	if err != nil {
		return nil, err
	}
	switch {
	case t < 0x80:
		return int64(t), nil
	case t >= 0xe0:
		return int64(int8(t)), nil
	case t&0xf0 == 0x80:
		return d.pairs(t&0x0f, depth)
	case t&0xf0 == 0x90:
		return d.list(t&0x0f, depth)
	case t&0xe0 == 0xa0:
		return d.str(t & 0x1f)
	}
	switch t {
	case 0xc0:
		return nil, nil
	case 0xc2, 0xc3:
		return t == 0xc3, nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		n, err := d.uint(1 << (t - 0xcc))
		if n > math.MaxInt64 {
			return nil, fmt.Errorf("msgpack: number %d", n)
		}
		return int64(n), err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		size := uint64(1) << (t - 0xd0)
		n, err := d.uint(size)
		shift := 64 - 8*size
		return int64(n<<shift) >> shift, err
	case 0xd9, 0xda, 0xdb:
		n, err := d.uint(1 << (t - 0xd9))
		if err != nil {
			return nil, err
		}
		return d.str(n)
	case 0xdc, 0xdd:
		n, err := d.uint(2 << (t - 0xdc))
		if err != nil {
			return nil, err
		}
		return d.list(n, depth)
	case 0xde, 0xdf:
		n, err := d.uint(2 << (t - 0xde))
		if err != nil {
			return nil, err
		}
		return d.pairs(n, depth)
	}
	return nil, fmt.Errorf("msgpack: type %#x", t)
}

func (d *decoder) str(n uint64) (any, error) {
	p, err := d.take(n)
	return string(p), err
}

// list and pairs grow with what is read, whatever count the input claims.
func (d *decoder) list(n uint64, depth int) (any, error) {
	var l []any
	for range n {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	return l, nil
}

func (d *decoder) pairs(n uint64, depth int) (any, error) {
	m := map[string]any{}
	for range n {
		k, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("msgpack: key of type %T", k)
		}
		if m[key], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}
