package conformance_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// rounding is a reference device whose mat-muls quantize activations to 8 bits in blocks of 32, as fast kernels do.
// It says so if honest.
type rounding struct{ ops.Device }

type honestRounding struct{ rounding }

func (d honestRounding) Caps() ops.Caps {
	c := d.rounding.Caps()
	c.Rounds = func(n *ops.Node) int {
		if n.Op == ops.MulMatOp {
			return 32
		}
		return 0
	}
	return c
}

func newRounding() rounding {
	exact := opsref.KernelOf(ops.MulMatOp)
	return rounding{opsref.New(opsref.Options{Threads: 1, Override: map[*ops.Def]opsref.Kernel[float32]{
		ops.MulMatOp: func(c *opsref.Call[float32]) error {
			x := append([]float32(nil), c.In[0].F...)
			for lo := 0; lo < len(x); lo += 32 {
				b := x[lo:min(lo+32, len(x))]
				var m float32
				for _, v := range b {
					m = max(m, v, -v)
				}
				for i, v := range b {
					if m > 0 {
						b[i] = float32(int32(v/m*127+127.5)-127) * (m / 127)
					}
				}
			}
			rounded := *c
			rounded.In = append([]opsref.View[float32]{c.In[0]}, c.In[1:]...)
			rounded.In[0].F = x
			return exact(&rounded)
		}}})}
}

// TestDeclaredRounding demands that quantized activations pass where the device declares them, and fail where it
// does not.
func TestDeclaredRounding(t *testing.T) {
	t.Parallel()
	o := conformance.Options{Match: regexp.MustCompile(
		`^(Ops|Quant)/.*(mul_mat/Q8_0|mul_mat/Q4_K|Q8_0/mul_mat|Q4_K/mul_mat)|^Model/qwen3/(prefill|decode)$`)}
	for seed := range uint64(5) {
		o.Seed = seed
		r, err := conformance.Run(t.Context(), honestRounding{newRounding()}, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err != nil {
			t.Errorf("seed %d: declared rounding: %v", seed, err)
		}
	}
	r, err := conformance.Run(t.Context(), newRounding(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "NMSE") {
		t.Errorf("rounding that the device does not declare: %v", err)
	}
}
