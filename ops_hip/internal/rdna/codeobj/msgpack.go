package codeobj

import (
	"encoding/binary"
	"errors"
)

// errMsgpack reports a metadata note that is not well-formed.
var errMsgpack = errors.New("codeobj: metadata is not well-formed msgpack")

const maxMsgpackDepth = 32

// msgpack reads the subset of MessagePack that kernel metadata uses: maps,
// arrays, strings, integers, booleans and nil.
type msgpack struct{ b []byte }

func (m *msgpack) take(n uint64) ([]byte, error) {
	if n > uint64(len(m.b)) {
		return nil, errMsgpack
	}
	p := m.b[:n]
	m.b = m.b[n:]
	return p, nil
}

func (m *msgpack) uint(n uint64) (uint64, error) {
	p, err := m.take(n)
	if err != nil {
		return 0, err
	}
	var x [8]byte
	copy(x[8-n:], p)
	return binary.BigEndian.Uint64(x[:]), nil
}

// value returns map[string]any, []any, string, uint64, bool or nil.
func (m *msgpack) value(depth int) (any, error) {
	if depth > maxMsgpackDepth {
		return nil, errMsgpack
	}
	t, err := m.uint(1)
	if err != nil {
		return nil, err
	}
	sized := func(n uint64, f func(uint64, int) (any, error)) (any, error) {
		l, err := m.uint(n)
		if err != nil {
			return nil, err
		}
		return f(l, depth)
	}
	switch {
	case t < 0x80:
		return t, nil
	case t < 0x90:
		return m.object(t&15, depth)
	case t < 0xa0:
		return m.array(t&15, depth)
	case t < 0xc0:
		return m.str(t&31, depth)
	case t >= 0xe0:
		return uint64(int64(int8(t))), nil
	}
	switch t {
	case 0xc0:
		return nil, nil
	case 0xc2, 0xc3:
		return t == 0xc3, nil
	case 0xc4, 0xd9:
		return sized(1, m.str)
	case 0xc5, 0xda:
		return sized(2, m.str)
	case 0xc6, 0xdb:
		return sized(4, m.str)
	case 0xcc, 0xcd, 0xce, 0xcf:
		return m.uint(1 << (t - 0xcc))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		n := uint64(1) << (t - 0xd0)
		v, err := m.uint(n)
		shift := 64 - 8*n
		return uint64(int64(v<<shift) >> shift), err
	case 0xdc:
		return sized(2, m.array)
	case 0xdd:
		return sized(4, m.array)
	case 0xde:
		return sized(2, m.object)
	case 0xdf:
		return sized(4, m.object)
	}
	return nil, errMsgpack
}

func (m *msgpack) str(n uint64, _ int) (any, error) {
	p, err := m.take(n)
	return string(p), err
}

func (m *msgpack) array(n uint64, depth int) (any, error) {
	if n > uint64(len(m.b)) { // every element takes a byte at least
		return nil, errMsgpack
	}
	a := make([]any, 0, n)
	for range n {
		v, err := m.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	return a, nil
}

func (m *msgpack) object(n uint64, depth int) (any, error) {
	if n > uint64(len(m.b)) {
		return nil, errMsgpack
	}
	o := make(map[string]any, n)
	for range n {
		k, err := m.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v, err := m.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if s, ok := k.(string); ok {
			o[s] = v
		}
	}
	return o, nil
}
