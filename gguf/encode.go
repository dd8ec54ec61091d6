package gguf

import (
	"encoding/binary"
	"math"
)

// appendHeader appends the metadata section of a part: header, pairs and tensor infos, whose Offset is relative
// to the data section.
func appendHeader(b []byte, version int, m *Meta, ts []TensorInfo) []byte {
	le := binary.LittleEndian
	b = append(b, magic...)
	b = le.AppendUint32(b, uint32(version))
	b = le.AppendUint64(b, uint64(len(ts)))
	b = le.AppendUint64(b, uint64(m.Len()))
	for _, k := range m.keys {
		b = appendPair(b, k, m.values[k])
	}
	for _, t := range ts {
		b = appendInfo(b, t)
	}
	return b
}

func appendPair(b []byte, key string, v any) []byte {
	id, _, _, _ := typeOf(v)
	b = appendString(b, key)
	b = binary.LittleEndian.AppendUint32(b, id)
	return appendValue(b, v)
}

// appendInfo appends the info of t, its dimensions innermost first.
func appendInfo(b []byte, t TensorInfo) []byte {
	le := binary.LittleEndian
	b = appendString(b, t.Name)
	b = le.AppendUint32(b, uint32(len(t.Shape)))
	for i := range t.Shape {
		b = le.AppendUint64(b, uint64(t.Shape[len(t.Shape)-1-i]))
	}
	b = le.AppendUint32(b, t.DType.GGML())
	return le.AppendUint64(b, uint64(t.Offset))
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

func appendValue(b []byte, v any) []byte {
	le := binary.LittleEndian
	switch v := v.(type) {
	case uint8:
		return append(b, v)
	case int8:
		return append(b, byte(v))
	case uint16:
		return le.AppendUint16(b, v)
	case int16:
		return le.AppendUint16(b, uint16(v))
	case uint32:
		return le.AppendUint32(b, v)
	case int32:
		return le.AppendUint32(b, uint32(v))
	case float32:
		return le.AppendUint32(b, math.Float32bits(v))
	case bool:
		if v {
			return append(b, 1)
		}
		return append(b, 0)
	case string:
		return appendString(b, v)
	case uint64:
		return le.AppendUint64(b, v)
	case int64:
		return le.AppendUint64(b, uint64(v))
	case float64:
		return le.AppendUint64(b, math.Float64bits(v))
	}
	_, elem, n, _ := typeOf(v)
	b = le.AppendUint32(b, elem)
	b = le.AppendUint64(b, uint64(n))
	switch s := v.(type) {
	case []uint8:
		return append(b, s...)
	case []int8:
		return appendAll(b, s)
	case []uint16:
		return appendAll(b, s)
	case []int16:
		return appendAll(b, s)
	case []uint32:
		return appendAll(b, s)
	case []int32:
		return appendAll(b, s)
	case []float32:
		return appendAll(b, s)
	case []bool:
		return appendAll(b, s)
	case []string:
		for _, x := range s {
			b = appendString(b, x)
		}
	case []uint64:
		return appendAll(b, s)
	case []int64:
		return appendAll(b, s)
	case []float64:
		return appendAll(b, s)
	}
	return b
}

// appendAll appends scalars.
func appendAll[T any](b []byte, s []T) []byte {
	for _, x := range s {
		b = appendValue(b, x)
	}
	return b
}
