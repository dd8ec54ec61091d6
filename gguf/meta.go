package gguf

import (
	"fmt"
	"slices"
)

// Limits on names. Keys: GGUF specification. Tensor names: GGML_MAX_NAME, which counts a terminating zero.
const (
	maxKeyLen  = 1<<16 - 1
	maxNameLen = 63
)

// Meta is the ordered set of key-value pairs of a file. The zero Meta is empty and ready to use. Reading it from
// several goroutines is safe as long as none calls Set or Delete.
//
// The getters are lenient about types where nothing is lost: any integer or float type serves where a number is
// wanted, a scalar where an array is, and an array whose elements are all equal where a scalar is. A missing key
// is an error that wraps [ErrMissing]; a wrong type or a conversion that would change the value (negative to
// unsigned, out of range, a fraction to an integer) is an error that names key, type found and type wanted.
// The variants with a default return it for a missing key only.
//
// Slices that a getter returns may be shared with the Meta: do not modify them.
type Meta struct {
	keys   []string
	values map[string]any
}

// Len returns the number of keys.
func (m *Meta) Len() int { return len(m.keys) }

// Keys returns the keys in file order.
func (m *Meta) Keys() []string { return slices.Clone(m.keys) }

// Has reports whether key is present.
func (m *Meta) Has(key string) bool {
	_, ok := m.values[key]
	return ok
}

// Value returns the value of key in its stored type: uint8 to uint64, int8 to int64, float32, float64, bool,
// string, or a slice of one of these.
func (m *Meta) Value(key string) (any, bool) {
	v, ok := m.values[key]
	return v, ok
}

// Set gives key a value, in place if it exists and at the end if not. The Go type of value selects the stored
// type and must be one that [Meta.Value] lists; the slice is kept, not copied. It fails for other types, an
// empty key and a key of more than 65535 bytes.
func (m *Meta) Set(key string, value any) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	if _, _, _, ok := typeOf(value); !ok {
		return fmt.Errorf("gguf: key %q: no metadata type for Go type %T", key, value)
	}
	if !m.Has(key) {
		m.keys = append(m.keys, key)
	}
	if m.values == nil {
		m.values = make(map[string]any)
	}
	m.values[key] = value
	return nil
}

// Delete removes key; a missing key is no error.
func (m *Meta) Delete(key string) {
	if m.Has(key) {
		delete(m.values, key)
		m.keys = slices.DeleteFunc(m.keys, func(k string) bool { return k == key })
	}
}

// Clone returns a Meta with the same keys and values. Slices are shared.
func (m *Meta) Clone() *Meta {
	c := &Meta{keys: slices.Clone(m.keys), values: make(map[string]any, len(m.values))}
	for k, v := range m.values {
		c.values[k] = v
	}
	return c
}

func checkKey(key string) error {
	if key == "" {
		return fmt.Errorf("empty key")
	}
	if len(key) > maxKeyLen {
		return fmt.Errorf("key of %d bytes, the limit is %d", len(key), maxKeyLen)
	}
	return nil
}
