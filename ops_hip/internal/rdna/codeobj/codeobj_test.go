package codeobj

import (
	"os"
	"testing"
)

func TestX(t *testing.T) {
	b, _ := os.ReadFile("/tmp/p/b_q8mv.gfx1201.co")
	o, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v %+v %+v", o.Target, o.Segments, o.Kernels)
}
