package models

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/gguf"
)

// Limits of hyper-parameters, so that a hostile file cannot make the loader compute absurd sizes.
const (
	MaxLayers  = 1024
	MaxHeads   = 4096
	MaxExperts = 4096
	MaxDim     = 1 << 20
	MaxVocab   = 1 << 22
	MaxContext = 1 << 26
)

// Keys reads an architecture's metadata, "general.architecture" being the prefix of its keys. The first error
// sticks, so that a parser reads all keys and checks Err once.
type Keys struct {
	Meta *gguf.Meta
	Arch string
	err  error
}

// NewKeys returns a reader of meta's own architecture.
func NewKeys(meta *gguf.Meta) *Keys {
	k := &Keys{Meta: meta}
	k.Arch, k.err = meta.String("general.architecture")
	return k
}

// Err returns the first error.
func (k *Keys) Err() error { return k.err }

// Fail records an error of the caller's own checks.
func (k *Keys) Fail(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf(format, args...)
	}
}

// Has reports whether the key is present.
func (k *Keys) Has(name string) bool { return k.Meta.Has(k.Arch + "." + name) }

// Default gives a key the value that it has where the file lacks it. v is of a type that metadata can hold.
func (k *Keys) Default(name string, v any) {
	if k.Has(name) || k.err != nil {
		return
	}
	k.Meta = k.Meta.Clone() // the file's stays as it is
	if err := k.Meta.Set(k.Arch+"."+name, v); err != nil {
		k.Fail("%w", err)
	}
}

// Int returns a required integer between lo and hi.
func (k *Keys) Int(name string, lo, hi int) int {
	v, err := k.Meta.Int(k.Arch + "." + name)
	return k.check(name, v, err, lo, hi)
}

// IntOr returns an integer between lo and hi, or def if the key is missing. def must lie within the limits too: it
// is often computed from other keys.
func (k *Keys) IntOr(name string, def, lo, hi int) int {
	if !k.Has(name) {
		return k.check(name, int64(def), nil, lo, hi)
	}
	return k.Int(name, lo, hi)
}

// Largest returns the largest element of a required list of integers between lo and hi. Some files list a number
// per layer, with zeros for the layers that have no use for it.
func (k *Keys) Largest(name string, lo, hi int) int {
	vs, err := k.Meta.Ints(k.Arch + "." + name)
	if err == nil && len(vs) == 0 {
		err = fmt.Errorf("key %q is an empty list", k.Arch+"."+name)
	}
	if err != nil {
		return k.check(name, 0, err, lo, hi)
	}
	return k.check(name, slices.Max(vs), nil, lo, hi)
}

func (k *Keys) check(name string, v int64, err error, lo, hi int) int {
	if err == nil && (v < int64(lo) || v > int64(hi)) {
		err = fmt.Errorf("key %q is %d, outside %d..%d", k.Arch+"."+name, v, lo, hi)
	}
	if err != nil {
		k.Fail("%w", err)
		return lo
	}
	return int(v)
}

// PerLayer returns an integer for each of n layers between lo and hi, from a list or from one number for all.
func (k *Keys) PerLayer(name string, n, lo, hi int) []int {
	out := make([]int, n)
	vs, err := k.Meta.Ints(k.Arch + "." + name)
	if err == nil && len(vs) != 1 && len(vs) < n {
		err = fmt.Errorf("key %q lists %d layers of %d", k.Arch+"."+name, len(vs), n)
	}
	for i := range out {
		var v int64
		if err == nil {
			v = vs[min(i, len(vs)-1)]
		}
		out[i] = k.check(name, v, err, lo, hi)
	}
	return out
}

// Float returns a required number between lo and hi.
func (k *Keys) Float(name string, lo, hi float64) float64 {
	v, err := k.Meta.Float(k.Arch + "." + name)
	if err == nil && !(v >= lo && v <= hi) { // also for NaN
		err = fmt.Errorf("key %q is %v, outside %v..%v", k.Arch+"."+name, v, lo, hi)
	}
	if err != nil {
		k.Fail("%w", err)
		return lo
	}
	return v
}

// FloatOr returns a number between lo and hi, or def if the key is missing.
func (k *Keys) FloatOr(name string, def, lo, hi float64) float64 {
	if !k.Has(name) {
		return def
	}
	return k.Float(name, lo, hi)
}

// BoolOr returns a bool, or def if the key is missing.
func (k *Keys) BoolOr(name string, def bool) bool {
	v, err := k.Meta.BoolOr(k.Arch+"."+name, def)
	if err != nil {
		k.Fail("%w", err)
	}
	return v
}

// Bools returns the first n elements of a list of bools, or nil if the key is missing.
func (k *Keys) Bools(name string, n int) []bool {
	if !k.Has(name) {
		return nil
	}
	vs, err := k.Meta.Bools(k.Arch + "." + name)
	if err == nil && len(vs) < n {
		err = fmt.Errorf("key %q lists %d of %d", k.Arch+"."+name, len(vs), n)
	}
	if err != nil {
		k.Fail("%w", err)
		return make([]bool, n)
	}
	return vs[:n]
}

// String returns a string, or def if the key is missing.
func (k *Keys) String(name, def string) string {
	v, err := k.Meta.StringOr(k.Arch+"."+name, def)
	if err != nil {
		k.Fail("%w", err)
	}
	return v
}

// Vocab returns the size of the vocabulary: that of the tokenizer, which files of some architectures carry
// alone, else the architecture's own key.
func (k *Keys) Vocab() int {
	tokens, err := k.Meta.Strings("tokenizer.ggml.tokens")
	switch {
	case err == nil && len(tokens) <= MaxVocab && len(tokens) > 0:
		return len(tokens)
	case err != nil && !errors.Is(err, gguf.ErrMissing):
		k.Fail("%w", err)
		return 1
	}
	return k.Int("vocab_size", 1, MaxVocab)
}
