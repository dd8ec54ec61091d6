package gguf

import (
	"errors"
	"fmt"
	"math"
)

// Uint returns key as an unsigned integer.
func (m *Meta) Uint(key string) (uint64, error) { return scalar(m, key, (*Meta).Uints) }

// Int returns key as a signed integer.
func (m *Meta) Int(key string) (int64, error) { return scalar(m, key, (*Meta).Ints) }

// Float returns key as a floating-point number. Integers serve up to a magnitude of 2^53, beyond which float64
// has gaps.
func (m *Meta) Float(key string) (float64, error) { return scalar(m, key, (*Meta).Floats) }

// Bool returns key as a bool. Numbers do not serve: keys exist that are a count in one file and a list of bools
// in another.
func (m *Meta) Bool(key string) (bool, error) { return scalar(m, key, (*Meta).Bools) }

// String returns key as a string.
func (m *Meta) String(key string) (string, error) { return scalar(m, key, (*Meta).Strings) }

// UintOr is [Meta.Uint] with a default for a missing key.
func (m *Meta) UintOr(key string, def uint64) (uint64, error) {
	return orDefault(m, key, def, (*Meta).Uint)
}

// IntOr is [Meta.Int] with a default for a missing key.
func (m *Meta) IntOr(key string, def int64) (int64, error) {
	return orDefault(m, key, def, (*Meta).Int)
}

// FloatOr is [Meta.Float] with a default for a missing key.
func (m *Meta) FloatOr(key string, def float64) (float64, error) {
	return orDefault(m, key, def, (*Meta).Float)
}

// BoolOr is [Meta.Bool] with a default for a missing key.
func (m *Meta) BoolOr(key string, def bool) (bool, error) {
	return orDefault(m, key, def, (*Meta).Bool)
}

// StringOr is [Meta.String] with a default for a missing key.
func (m *Meta) StringOr(key string, def string) (string, error) {
	return orDefault(m, key, def, (*Meta).String)
}

// Uints returns key as a list of unsigned integers; a scalar is a list of one.
func (m *Meta) Uints(key string) ([]uint64, error) {
	v, err := m.get(key)
	if err != nil {
		return nil, err
	}
	switch s := list(v).(type) {
	case []uint64:
		return s, nil
	case []int64:
		return convert(key, v, s, "an unsigned integer", func(x int64) (uint64, bool) { return uint64(x), x >= 0 })
	case []float64:
		return convert(key, v, s, "an unsigned integer", func(x float64) (uint64, bool) {
			return uint64(x), x >= 0 && x < 1<<64 && x == math.Trunc(x)
		})
	}
	return nil, typeError(key, v, "an unsigned integer")
}

// Ints returns key as a list of signed integers; a scalar is a list of one.
func (m *Meta) Ints(key string) ([]int64, error) {
	v, err := m.get(key)
	if err != nil {
		return nil, err
	}
	switch s := list(v).(type) {
	case []int64:
		return s, nil
	case []uint64:
		return convert(key, v, s, "a signed integer",
			func(x uint64) (int64, bool) { return int64(x), x <= math.MaxInt64 })
	case []float64:
		return convert(key, v, s, "a signed integer", func(x float64) (int64, bool) {
			return int64(x), x >= -1<<63 && x < 1<<63 && x == math.Trunc(x)
		})
	}
	return nil, typeError(key, v, "a signed integer")
}

// Floats returns key as a list of floating-point numbers, under the rules of [Meta.Float]; a scalar is a list
// of one.
func (m *Meta) Floats(key string) ([]float64, error) {
	const exact = 1 << 53
	v, err := m.get(key)
	if err != nil {
		return nil, err
	}
	switch s := list(v).(type) {
	case []float64:
		return s, nil
	case []uint64:
		return convert(key, v, s, "a float64", func(x uint64) (float64, bool) { return float64(x), x <= exact })
	case []int64:
		return convert(key, v, s, "a float64",
			func(x int64) (float64, bool) { return float64(x), x >= -exact && x <= exact })
	}
	return nil, typeError(key, v, "a number")
}

// Bools returns key as a list of bools; a scalar is a list of one.
func (m *Meta) Bools(key string) ([]bool, error) {
	v, err := m.get(key)
	if err != nil {
		return nil, err
	}
	if s, ok := list(v).([]bool); ok {
		return s, nil
	}
	return nil, typeError(key, v, "a bool")
}

// Strings returns key as a list of strings; a scalar is a list of one.
func (m *Meta) Strings(key string) ([]string, error) {
	v, err := m.get(key)
	if err != nil {
		return nil, err
	}
	if s, ok := list(v).([]string); ok {
		return s, nil
	}
	return nil, typeError(key, v, "a string")
}

func (m *Meta) get(key string) (any, error) {
	v, ok := m.values[key]
	if !ok {
		return nil, &MissingKeyError{key}
	}
	return v, nil
}

func typeError(key string, v any, want string) error {
	return fmt.Errorf("gguf: key %q: found %s, want %s", key, TypeName(v), want)
}

// scalar reduces a list to the one value that all its elements share: converters write per-layer arrays where
// all layers agree.
func scalar[T comparable](m *Meta, key string, get func(*Meta, string) ([]T, error)) (T, error) {
	var zero T
	s, err := get(m, key)
	if err != nil {
		return zero, err
	}
	if len(s) == 0 {
		return zero, typeError(key, m.values[key], "one value")
	}
	for _, x := range s[1:] {
		if x != s[0] {
			return zero, fmt.Errorf("gguf: key %q: found %s with different values, want one value", key,
				TypeName(m.values[key]))
		}
	}
	return s[0], nil
}

func orDefault[T any](m *Meta, key string, def T, get func(*Meta, string) (T, error)) (T, error) {
	v, err := get(m, key)
	if errors.Is(err, ErrMissing) {
		return def, nil
	}
	return v, err
}

// convert maps src through f, which reports whether it kept the value.
func convert[S, D any](key string, v any, src []S, want string, f func(S) (D, bool)) ([]D, error) {
	dst := make([]D, len(src))
	for i, x := range src {
		var ok bool
		if dst[i], ok = f(x); !ok {
			if id, _, _, _ := typeOf(v); id == typeArray {
				return nil, fmt.Errorf("gguf: key %q: element %d of %s is %v, want %s", key, i, TypeName(v), x, want)
			}
			return nil, fmt.Errorf("gguf: key %q: found %s %v, want %s", key, TypeName(v), x, want)
		}
	}
	return dst, nil
}

// list returns v, scalar or slice, as a slice of the widest type of its kind: []uint64, []int64, []float64,
// []bool or []string.
func list(v any) any {
	switch v := v.(type) {
	case uint8:
		return []uint64{uint64(v)}
	case uint16:
		return []uint64{uint64(v)}
	case uint32:
		return []uint64{uint64(v)}
	case uint64:
		return []uint64{v}
	case int8:
		return []int64{int64(v)}
	case int16:
		return []int64{int64(v)}
	case int32:
		return []int64{int64(v)}
	case int64:
		return []int64{v}
	case float32:
		return []float64{float64(v)}
	case float64:
		return []float64{v}
	case bool:
		return []bool{v}
	case string:
		return []string{v}
	case []uint8:
		return widen[uint64](v)
	case []uint16:
		return widen[uint64](v)
	case []uint32:
		return widen[uint64](v)
	case []int8:
		return widen[int64](v)
	case []int16:
		return widen[int64](v)
	case []int32:
		return widen[int64](v)
	case []float32:
		return widen[float64](v)
	}
	return v
}

// number lists the numeric types of metadata.
type number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64
}

func widen[D, S number](src []S) []D {
	dst := make([]D, len(src))
	for i, x := range src {
		dst[i] = D(x)
	}
	return dst
}
