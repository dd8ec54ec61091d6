package tensor_test

import (
	"math"
	"testing"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		name  string
		dt    tensor.DType
		shape tensor.Shape
		want  int64 // -1: an error
	}{
		{"scalar", tensor.F32, nil, 4},
		{"matrix", tensor.F16, tensor.Shape{3, 5}, 30},
		{"blocks", quant.Q8_0, tensor.Shape{2, 64}, 2 * 2 * 34},
		{"half a block", quant.Q8_0, tensor.Shape{2, 33}, -1},
		{"zero dimension", tensor.F32, tensor.Shape{0, 4}, -1},
		{"negative dimension", tensor.F32, tensor.Shape{4, -4}, -1},
		{"overflow", tensor.F32, tensor.Shape{math.MaxInt, 2}, -1},
		{"overflow by product", tensor.F64, tensor.Shape{1 << 31, 1 << 31, 2}, -1},
		{"invalid type", tensor.Invalid, tensor.Shape{1}, -1},
		{"unknown type", tensor.FirstGGML + 99, tensor.Shape{1}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := tensor.Bytes(c.dt, c.shape)
			if c.want < 0 && err == nil || c.want >= 0 && (err != nil || got != c.want) {
				t.Errorf("%d bytes, %v; want %d", got, err, c.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, f := range tensor.Formats() {
		if d, ok := tensor.ParseDType(f.Name); !ok || d != f.DType || d.String() != f.Name {
			t.Errorf("%s parses as %v", f.Name, d)
		}
		if d, ok := tensor.FromGGML(f.DType.GGML()); !ok || d != f.DType {
			t.Errorf("GGML id %d is %v, want %v", f.DType.GGML(), d, f.DType)
		}
	}
	if _, ok := tensor.FromGGML(math.MaxUint32); ok {
		t.Error("an absurd id is a type")
	}
	if _, ok := tensor.ParseDType("Q9_9"); ok {
		t.Error("an absurd name is a type")
	}
}

func TestRegisterFormatRejects(t *testing.T) {
	for name, f := range map[string]tensor.Format{
		"duplicate": {DType: tensor.F32, Name: "F32", Block: 1, Bytes: 4},
		"no type":   {Name: "X", Block: 1, Bytes: 4},
		"no block":  {DType: 200, Name: "X", Bytes: 4},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("registered")
				}
			}()
			tensor.RegisterFormat(f)
		})
	}
}
