package jinja

import (
	"fmt"
	"math"
	"math/big"
	"slices"
)

// dict is a Python dict: a mapping that keeps insertion order. Small ones are searched linearly, larger ones have
// an index.
type dict struct {
	entries []dictEntry
	index   map[dictKey]int // nil up to smallDict entries
}

const smallDict = 8

type dictEntry struct {
	hash     dictKey
	key, val value
}

// dictKey is the identity of a key: keys that are equal in Python (1, 1.0, True) have equal dictKeys.
type dictKey struct {
	kind byte
	text string
	num  uint64
}

// bytesPerEntry is what an entry of a dict costs against Limits.MaxMemory, with its share of the index.
const bytesPerEntry = 128

// keyOf returns the identity of v as a key. Lists and mappings have none; nor have tuples, unlike in Python, because
// the identity of a nested tuple can be far larger than the tuple.
func keyOf(v value) (dictKey, error) {
	switch v := v.(type) {
	case str:
		return dictKey{kind: 's', text: v.s}, nil
	case bool:
		if v {
			return dictKey{kind: 'i', num: 1}, nil
		}
		return dictKey{kind: 'i'}, nil
	case int64:
		return dictKey{kind: 'i', num: uint64(v)}, nil
	case *big.Int:
		return dictKey{kind: 'b', text: v.String()}, nil
	case float64:
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			n, _ := big.NewFloat(v).Int(nil)
			return keyOf(normInt(n))
		}
		return dictKey{kind: 'f', num: math.Float64bits(v)}, nil
	case none:
		return dictKey{kind: 'n'}, nil
	case undefined:
		return dictKey{kind: 'u'}, nil
	default:
		return dictKey{}, fmt.Errorf("unhashable type: '%s'", typeName(v))
	}
}

func (d *dict) len() int { return len(d.entries) }

// find returns the index of the entry of k, or -1.
func (d *dict) find(k dictKey) int {
	if d.index != nil {
		if i, ok := d.index[k]; ok {
			return i
		}
		return -1
	}
	for i := range d.entries {
		if d.entries[i].hash == k {
			return i
		}
	}
	return -1
}

// get returns the value of key, and whether there is one.
func (d *dict) get(key value) (value, bool, error) {
	k, err := keyOf(key)
	if err != nil {
		return nil, false, err
	}
	if i := d.find(k); i >= 0 {
		return d.entries[i].val, true, nil
	}
	return nil, false, nil
}

// getString is get for a string key, which cannot fail.
func (d *dict) getString(key string) (value, bool) {
	if i := d.find(dictKey{kind: 's', text: key}); i >= 0 {
		return d.entries[i].val, true
	}
	return nil, false
}

// set assigns val to key. A key that exists keeps its place and spelling.
func (d *dict) set(key, val value) error {
	k, err := keyOf(key)
	if err != nil {
		return err
	}
	d.put(k, key, val)
	return nil
}

// setString is set for a string key, which cannot fail.
func (d *dict) setString(key str, val value) {
	d.put(dictKey{kind: 's', text: key.s}, key, val)
}

// put assigns val to the key with identity k.
func (d *dict) put(k dictKey, key, val value) {
	if i := d.find(k); i >= 0 {
		d.entries[i].val = val
		return
	}
	d.entries = append(d.entries, dictEntry{k, key, val})
	if d.index != nil {
		d.index[k] = len(d.entries) - 1
	} else if len(d.entries) > smallDict {
		d.reindex()
	}
}

// remove deletes entry i and returns its value. The order of the rest stays.
func (d *dict) remove(i int) value {
	val := d.entries[i].val
	d.entries = slices.Concat(d.entries[:i], d.entries[i+1:])
	d.reindex()
	return val
}

func (d *dict) reindex() {
	d.index = nil
	if len(d.entries) <= smallDict {
		return
	}
	d.index = make(map[dictKey]int, len(d.entries))
	for i := range d.entries {
		d.index[d.entries[i].hash] = i
	}
}

// copy returns a dict with the same entries.
func (d *dict) copy() *dict {
	c := &dict{entries: slices.Clone(d.entries)}
	c.reindex()
	return c
}

// keys returns the keys in order.
func (d *dict) keys() []value {
	out := make([]value, len(d.entries))
	for i := range d.entries {
		out[i] = d.entries[i].key
	}
	return out
}

// values returns the values in order.
func (d *dict) values() []value {
	out := make([]value, len(d.entries))
	for i := range d.entries {
		out[i] = d.entries[i].val
	}
	return out
}

// items returns the entries in order as tuples of key and value.
func (d *dict) items() []value {
	out := make([]value, len(d.entries))
	for i := range d.entries {
		out[i] = &tuple{items: []value{d.entries[i].key, d.entries[i].val}}
	}
	return out
}
