package gguf

import (
	"io"
	"testing"

	"github.com/hipengine/hipengine/internal/rawgguf"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Short names for what makes files by hand.
type (
	u8  = uint8
	u16 = uint16
	u32 = uint32
	i32 = int32
	u64 = uint64
)

var (
	raw      = rawgguf.Raw
	head     = rawgguf.Head
	pad      = rawgguf.Pad
	info     = rawgguf.Info
	handmade = rawgguf.Small
)

// pattern returns n bytes that differ from their neighbours.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*7 + seed
	}
	return b
}

// zeros is a file that starts with head and is zero from there on; it stands for files too large to keep.
type zeros struct{ head []byte }

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(z.head)) {
		copy(p, z.head[off:])
	}
	return len(p), nil
}

var _ io.ReaderAt = zeros{}

// smallMeta returns a Meta with a value of every type.
func smallMeta(t testing.TB) *Meta {
	m := &Meta{}
	for _, kv := range []struct {
		k string
		v any
	}{
		{"general.architecture", "llama"},
		{"a.u8", uint8(200)}, {"a.i8", int8(-3)}, {"a.u16", uint16(60000)}, {"a.i16", int16(-300)},
		{"a.u32", uint32(4e9)}, {"a.i32", int32(-70000)}, {"a.f32", float32(1e-6)}, {"a.true", true},
		{"a.false", false},
		{"a.u64", uint64(1 << 63)}, {"a.i64", int64(-1 << 62)}, {"a.f64", 0.1}, {"a.empty", ""},
		{"b.u8", []uint8{1, 2}}, {"b.i8", []int8{-1}}, {"b.u16", []uint16{3}}, {"b.i16", []int16{-4, 5}},
		{"b.u32", []uint32{6, 7, 8}}, {"b.i32", []int32{-9}}, {"b.f32", []float32{0.5, -2}},
		{"b.bool", []bool{true, false}},
		{"b.str", []string{"", "a", "ü"}}, {"b.u64", []uint64{10}}, {"b.i64", []int64{-11}},
		{"b.f64", []float64{0.25}},
		{"b.none", []string{}},
	} {
		if err := m.Set(kv.k, kv.v); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// smallTensors is a list with sizes that need padding, a scalar and a shape whose order shows.
func smallTensors() []TensorInfo {
	return []TensorInfo{
		{Name: "token_embd.weight", DType: quant.Q8_0, Shape: tensor.Shape{3, 64}},
		{Name: "blk.0.ids", DType: tensor.I32, Shape: tensor.Shape{5}},
		{Name: "scale", DType: tensor.F16, Shape: tensor.Shape{}},
		{Name: "blk.0.cube", DType: tensor.F16, Shape: tensor.Shape{2, 3, 4, 5}},
	}
}
