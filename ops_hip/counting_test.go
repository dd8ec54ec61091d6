package opship_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// product is a node x·wᵀ of m tokens.
func product(t *testing.T, d tensor.DType, exact bool, m, n, k int) *ops.Node {
	t.Helper()
	g := &ops.Graph{Exact: exact}
	w := tensor.Tensor{Name: "w", DType: d, Shape: tensor.Shape{n, k}}
	w.Layout = opship.LayoutOf(ops.WeightUse{Name: w.Name, DType: d, Shape: w.Shape})
	y := ops.MulMat(g, g.Input("x", tensor.F32, m, k), g.Weight(w))
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	return y.Node()
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		name    string
		dt      tensor.DType
		exact   bool
		m       int
		kernels []string
		last    string // kernel that the first launches last, after one that converts activations
	}{
		{"one token", quant.Q4_K, false, 1, []string{"mul_mat_dot", "mul_mat_tile", "mul_mat_stream"},
			"mul_mat_q4_k_dot1"},
		{"one exact token", quant.Q4_K, true, 1, []string{"mul_mat_dot", "mul_mat_tile", "mul_mat_stream"},
			"mul_mat_q4_k_dot1"},
		{"a prompt", quant.Q4_K, false, 64, []string{"mul_mat_mma", "mul_mat_skinny", "mul_mat_tile", "mul_mat_mma3"},
			"mul_mat_q4_k_mma64k"},
		{"an exact prompt", quant.Q4_K, true, 128, []string{"mul_mat_mma3", "mul_mat_mma", "mul_mat_tile"},
			"mul_mat_q4_k_mma"},
		{"a long exact prompt", quant.Q4_K, true, 129, []string{"mul_mat_mma", "mul_mat_tile", "mul_mat_mma3"},
			"mul_mat_q4_k_mma64k"},
		{"a prompt of wide weights", tensor.F32, false, 64, []string{"mul_mat_tile"}, "mul_mat_f32_tile16"},
	} {
		got, err := opship.Candidates(product(t, c.dt, c.exact, c.m, 8, 256), "gfx1201", 64)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, k := range got {
			names = append(names, k.Kernel)
		}
		if s := got[0].Symbols; !slices.Equal(names, c.kernels) || s[len(s)-1] != c.last ||
			len(s) != 2 != (c.dt == tensor.F32) || len(s) == 2 && !strings.HasPrefix(s[0], "mul_mat_x_") {
			t.Errorf("%s: %v, want %v, the first of which launches %s last", c.name, got, c.kernels, c.last)
		}
	}
}

// TestOpenCounting runs an addition, whose distinct bytes are known, and refuses other ops and unknown kernels.
func TestOpenCounting(t *testing.T) {
	const n = 1000
	d, err := opship.OpenCounting("gfx1151", "add_f32", 40)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	runAdd(t, d, n, 1)
	k := d.Executed()["add_f32"]
	if k.LoadedOnce != 2*4*n || k.StoredOnce != 4*n || k.Waits == 0 || k.Delays == 0 {
		t.Errorf("%+v, want %d bytes loaded, %d stored, and some waits and delays", k, 2*4*n, 4*n)
	}
	if d.Supports(product(t, tensor.F16, false, 1, 8, 32)) {
		t.Error("a device for one kernel supports another op")
	}
	if _, err := opship.OpenCounting("gfx1151", "nothing", 40); err == nil {
		t.Error("an unknown kernel opens")
	}
}

func TestShipped(t *testing.T) {
	got, err := opship.Shipped("gfx1100")
	if err != nil || !slices.IsSorted(got) || !slices.Contains(got, "add_f32") ||
		!slices.Contains(got, "mul_mat_iq1_s_mma") {
		t.Errorf("%d kernels, error %v", len(got), err)
	}
	if _, err := opship.Shipped("gfx900"); err == nil {
		t.Error("a target without kernels has some")
	}
	t.Logf("%d kernels", len(got))
}
