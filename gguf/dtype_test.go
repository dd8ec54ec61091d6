package gguf

import (
	"fmt"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// TestElementsOverflow: with less than a byte per element, the elements of a shape can overflow before its bytes do.
func TestElementsOverflow(t *testing.T) {
	for _, f := range tensor.Formats() {
		s := tensor.Shape{1 << 31, 1 << 32}
		want := fmt.Sprintf("size of %s %v overflows", f.Name, s)
		if f.Bytes < f.Block {
			want = fmt.Sprintf("number of elements of %v overflows", s)
		}
		if _, err := sizeOf(f.DType, s); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", f.Name, err, want)
		}
	}
}

// TestDTypeNames checks every id of GGML: registered under the name of the table, or refused with that name.
func TestDTypeNames(t *testing.T) {
	for id, name := range ggmlNames {
		d, err := dtypeOf(id)
		if _, ok := tensor.FromGGML(id); ok {
			if err != nil || d.String() != name || d.GGML() != id {
				t.Errorf("id %d is %v (%v), the table says %s", id, d, err, name)
			}
			continue
		}
		want := fmt.Sprintf("element type %s (id %d) has no registered format in this program", name, id)
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	for id := range uint32(1000) {
		if d, err := dtypeOf(id); (err == nil) != (d != tensor.Invalid) {
			t.Errorf("id %d: %v, %v", id, d, err)
		}
	}
}
