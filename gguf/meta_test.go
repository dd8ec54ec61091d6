package gguf

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func meta(t *testing.T, v any) *Meta {
	m := &Meta{}
	if err := m.Set("k", v); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGetters reads one value through every getter. An entry of "want" that is a string starting with "gguf:"
// is the error; getters that are not named must fail.
func TestGetters(t *testing.T) {
	type wants map[string]any
	const wantUint, wantInt = "want an unsigned integer", "want a signed integer"
	for _, c := range []struct {
		name string
		v    any
		want wants
	}{
		{"uint8", uint8(7), wants{"Uint": u64(7), "Int": int64(7), "Float": 7.0, "Uints": []u64{7}, "Ints": []int64{7},
			"Floats": []float64{7},
			"Bool":   `gguf: key "k": found uint8, want a bool`,
			"String": `gguf: key "k": found uint8, want a string`}},
		{"int8 negative", int8(-7),
			wants{"Int": int64(-7), "Float": -7.0, "Ints": []int64{-7}, "Floats": []float64{-7},
				"Uint": `gguf: key "k": found int8 -7, ` + wantUint}},
		{"int8", int8(7), wants{"Uint": u64(7), "Int": int64(7), "Float": 7.0, "Uints": []u64{7}, "Ints": []int64{7},
			"Floats": []float64{7}}},
		{"uint16", uint16(65535), wants{"Uint": u64(65535), "Int": int64(65535), "Float": 65535.0,
			"Uints": []u64{65535}, "Ints": []int64{65535}, "Floats": []float64{65535}}},
		{"int16", int16(300), wants{"Uint": u64(300), "Int": int64(300), "Float": 300.0, "Uints": []u64{300},
			"Ints": []int64{300}, "Floats": []float64{300}}},
		{"uint32", uint32(1 << 31), wants{"Uint": u64(1 << 31), "Int": int64(1 << 31), "Float": 0x1p31,
			"Uints": []u64{1 << 31}, "Ints": []int64{1 << 31}, "Floats": []float64{0x1p31}}},
		{"int32", int32(9), wants{"Uint": u64(9), "Int": int64(9), "Float": 9.0, "Uints": []u64{9}, "Ints": []int64{9},
			"Floats": []float64{9}}},
		{"uint64 beyond int64", u64(1 << 63), wants{"Uint": u64(1 << 63), "Uints": []u64{1 << 63},
			"Int":   `gguf: key "k": found uint64 9223372036854775808, ` + wantInt,
			"Float": `gguf: key "k": found uint64 9223372036854775808, want a float64`}},
		{"uint64 at the limit of float64", u64(1 << 53), wants{"Uint": u64(1 << 53), "Int": int64(1 << 53),
			"Float": 0x1p53, "Uints": []u64{1 << 53}, "Ints": []int64{1 << 53}, "Floats": []float64{0x1p53}}},
		{"uint64 beyond float64", u64(1<<53 + 1),
			wants{"Uint": u64(1<<53 + 1), "Int": int64(1<<53 + 1), "Uints": []u64{1<<53 + 1},
				"Ints": []int64{1<<53 + 1}}},
		{"int64 beyond float64", int64(-1<<53 - 1), wants{"Int": int64(-1<<53 - 1), "Ints": []int64{-1<<53 - 1},
			"Floats": `gguf: key "k": found int64 -9007199254740993, want a float64`}},
		{"float32 whole", float32(1e6),
			wants{"Uint": u64(1e6), "Int": int64(1e6), "Float": 1e6, "Uints": []u64{1e6}, "Ints": []int64{1e6},
				"Floats": []float64{1e6}}},
		{"float32 fraction", float32(0.5), wants{"Float": 0.5, "Floats": []float64{0.5},
			"Uint": `gguf: key "k": found float32 0.5, ` + wantUint, "Int": `gguf: key "k": found float32 0.5, ` +
				wantInt}},
		{"float64 negative", -2.0,
			wants{"Int": int64(-2), "Float": -2.0, "Ints": []int64{-2}, "Floats": []float64{-2}}},
		{"float64 2^64", 0x1p64, wants{"Float": 0x1p64, "Floats": []float64{0x1p64}}},
		{"float64 2^63", 0x1p63, wants{"Uint": u64(1 << 63), "Uints": []u64{1 << 63}, "Float": 0x1p63,
			"Floats": []float64{0x1p63}}},
		{"float64 -2^63", -0x1p63,
			wants{"Int": int64(math.MinInt64), "Ints": []int64{math.MinInt64}, "Float": -0x1p63,
				"Floats": []float64{-0x1p63}}},
		{"infinity", math.Inf(1), wants{"Float": math.Inf(1), "Floats": []float64{math.Inf(1)}}},
		{"bool", true, wants{"Bool": true, "Bools": []bool{true}, "Uint": `gguf: key "k": found bool, ` + wantUint,
			"Float": `gguf: key "k": found bool, want a number`}},
		{"string", "s", wants{"String": "s", "Strings": []string{"s"}, "Int": `gguf: key "k": found string, ` +
			wantInt}},
		{"equal elements", []int32{8, 8, 8},
			wants{"Uint": u64(8), "Int": int64(8), "Float": 8.0, "Uints": []u64{8, 8, 8}, "Ints": []int64{8, 8, 8},
				"Floats": []float64{8, 8, 8}}},
		{"different elements", []uint32{8, 2},
			wants{"Uints": []u64{8, 2}, "Ints": []int64{8, 2}, "Floats": []float64{8, 2},
				"Uint": `gguf: key "k": found array of 2 uint32 with different values, want one value`}},
		{"negative element", []int16{1, -1}, wants{"Ints": []int64{1, -1}, "Floats": []float64{1, -1},
			"Uints": `gguf: key "k": element 1 of array of 2 int16 is -1, ` + wantUint}},
		{"no elements", []uint8{}, wants{"Uints": []u64{}, "Ints": []int64{}, "Floats": []float64{},
			"Uint": `gguf: key "k": found array of 0 uint8, want one value`}},
		{"bools", []bool{true, false},
			wants{"Bools": []bool{true, false},
				"Bool": `gguf: key "k": found array of 2 bool with different values, want one value`}},
		{"strings", []string{"a", "a"},
			wants{"Strings": []string{"a", "a"}, "String": "a",
				"Bools": `gguf: key "k": found array of 2 string, want a bool`}},
		{"uint64s", []u64{1}, wants{"Uint": u64(1), "Int": int64(1), "Float": 1.0, "Uints": []u64{1},
			"Ints": []int64{1}, "Floats": []float64{1}}},
		{"int64s", []int64{1}, wants{"Uint": u64(1), "Int": int64(1), "Float": 1.0, "Uints": []u64{1},
			"Ints": []int64{1}, "Floats": []float64{1}}},
		{"float32s", []float32{0.5, 1}, wants{"Floats": []float64{0.5, 1}}},
		{"float64s", []float64{2},
			wants{"Uint": u64(2), "Int": int64(2), "Float": 2.0, "Uints": []u64{2}, "Ints": []int64{2},
				"Floats": []float64{2}}},
		{"int8s", []int8{2}, wants{"Uint": u64(2), "Int": int64(2), "Float": 2.0, "Uints": []u64{2},
			"Ints": []int64{2}, "Floats": []float64{2}}},
		{"uint16s", []uint16{2}, wants{"Uint": u64(2), "Int": int64(2), "Float": 2.0, "Uints": []u64{2},
			"Ints": []int64{2}, "Floats": []float64{2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := meta(t, c.v)
			for name, get := range map[string]func() (any, error){
				"Uint":    func() (any, error) { return m.Uint("k") },
				"Int":     func() (any, error) { return m.Int("k") },
				"Float":   func() (any, error) { return m.Float("k") },
				"Bool":    func() (any, error) { return m.Bool("k") },
				"String":  func() (any, error) { return m.String("k") },
				"Uints":   func() (any, error) { return m.Uints("k") },
				"Ints":    func() (any, error) { return m.Ints("k") },
				"Floats":  func() (any, error) { return m.Floats("k") },
				"Bools":   func() (any, error) { return m.Bools("k") },
				"Strings": func() (any, error) { return m.Strings("k") },
			} {
				got, err := get()
				want, named := c.want[name]
				text, isString := want.(string)
				switch {
				case !named:
					if err == nil {
						t.Errorf("%s = %v, want an error", name, got)
					}
				case isString && strings.HasPrefix(text, "gguf:"):
					if err == nil || err.Error() != text {
						t.Errorf("%s: error %v, want %s", name, err, text)
					}
				case err != nil || !cmp.Equal(got, want):
					t.Errorf("%s = %v, %v, want %v", name, got, err, want)
				}
				if errors.Is(err, ErrMissing) {
					t.Errorf("%s: %v is no missing key", name, err)
				}
			}
		})
	}
}

func TestNaNIsNoInteger(t *testing.T) {
	m := meta(t, math.NaN())
	if _, err := m.Uint("k"); err == nil {
		t.Error("Uint took NaN")
	}
	if _, err := m.Int("k"); err == nil {
		t.Error("Int took NaN")
	}
	if x, err := m.Float("k"); err != nil || !math.IsNaN(x) {
		t.Errorf("Float = %v, %v", x, err)
	}
}

func TestMissingAndDefaults(t *testing.T) {
	m := meta(t, "text")
	_, err := m.Uint("llama.block_count")
	if !errors.Is(err, ErrMissing) || err.Error() != `gguf: key "llama.block_count": missing key` {
		t.Errorf("error %v", err)
	}
	if v, err := m.UintOr("no", 3); v != 3 || err != nil {
		t.Errorf("UintOr = %v, %v", v, err)
	}
	if v, err := m.IntOr("no", -3); v != -3 || err != nil {
		t.Errorf("IntOr = %v, %v", v, err)
	}
	if v, err := m.FloatOr("no", 0.5); v != 0.5 || err != nil {
		t.Errorf("FloatOr = %v, %v", v, err)
	}
	if v, err := m.BoolOr("no", true); !v || err != nil {
		t.Errorf("BoolOr = %v, %v", v, err)
	}
	if v, err := m.StringOr("no", "d"); v != "d" || err != nil {
		t.Errorf("StringOr = %v, %v", v, err)
	}
	if v, err := m.StringOr("k", "d"); v != "text" || err != nil {
		t.Errorf("StringOr of a present key = %v, %v", v, err)
	}
	if _, err := m.UintOr("k", 3); err == nil {
		t.Error("a wrong type must not fall back to the default")
	}
}

func TestSetAndDelete(t *testing.T) {
	var m Meta
	if m.Len() != 0 || m.Has("a") || len(m.Keys()) != 0 {
		t.Error("zero Meta is not empty")
	}
	m.Delete("a")
	for _, k := range []string{"a", "b", "c", "a"} {
		if err := m.Set(k, uint32(m.Len())); err != nil {
			t.Fatal(err)
		}
	}
	c := m.Clone()
	m.Delete("b")
	if d := cmp.Diff([]string{"a", "c"}, m.Keys()); d != "" {
		t.Error(d)
	}
	if v, _ := m.Value("a"); v != uint32(3) {
		t.Errorf("a = %v", v)
	}
	if d := cmp.Diff([]string{"a", "b", "c"}, c.Keys()); d != "" || !c.Has("b") {
		t.Error("Clone shares keys: " + d)
	}
	for _, bad := range []struct {
		key  string
		v    any
		want string
	}{
		{"", "x", "gguf: empty key"},
		{strings.Repeat("k", 65536), "x", "gguf: key of 65536 bytes, the limit is 65535"},
		{"k", 1, `gguf: key "k": no metadata type for Go type int`},
		{"k", nil, `gguf: key "k": no metadata type for Go type <nil>`},
		{"k", [][]string{}, `gguf: key "k": no metadata type for Go type [][]string`},
	} {
		if err := m.Set(bad.key, bad.v); err == nil || err.Error() != bad.want {
			t.Errorf("error %v, want %s", err, bad.want)
		}
	}
}

func TestTypeName(t *testing.T) {
	for want, v := range map[string]any{"uint8": uint8(1), "string": "", "float64": 1.5,
		"array of 2 int16":  []int16{1, 2},
		"array of 0 string": []string{}, "Go type int": 1} {
		if got := TypeName(v); got != want {
			t.Errorf("TypeName(%v) = %q, want %q", v, got, want)
		}
	}
}
