package opship

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestTune tunes on an emulator, whose times say nothing: choices must be well-formed, name kernels that are not chosen
// already, and leave the device as it was.
func TestTune(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves measuring kernels to make emulator")
	}
	d, err := OpenWith("emu:gfx1100", Options{})
	must(t, err)
	defer closing(t, d.Close)
	var ws []tensor.Tensor
	for range 2 {
		w := planed(quant.Q8_0, 32, 64)
		size, err := ops.WeightBytes(w)
		must(t, err)
		w.Buf, err = d.Alloc(size, ops.MemWeights)
		must(t, err)
		defer closing(t, w.Buf.Free)
		ws = append(ws, w)
	}
	cs, err := d.Tune(t.Context(), ws)
	must(t, err)
	for _, c := range cs {
		if got, err := ParseChoice(c.String()); err != nil || got != c {
			t.Errorf("%v: %v", c, err)
		}
		x := ops.Case{Args: []ops.Arg{{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{c.Tokens[1], c.K}},
			{Leaf: ops.Weight, DType: quant.Q8_0, Shape: tensor.Shape{c.N, c.K}}}}
		n := newProblem(t, ops.MulMatOp, x).node
		if k, _ := kernels.find(n, d.target); !c.takes(n, d.target) || k.Name == "mul_mat_"+c.Kernel {
			t.Errorf("choice %v, the kernel is %s", c, k.Name)
		}
	}
	if len(d.target.choices) != len(builtin) {
		t.Errorf("the device has %d choices", len(d.target.choices))
	}
}
