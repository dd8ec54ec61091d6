package opship

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// weightCase returns a product of so many tokens with weights of type dt, of 13 rows.
func weightCase(t *testing.T, dt tensor.DType, tokens int) ops.Case {
	t.Helper()
	f, ok := dt.Format()
	if !ok {
		t.Fatalf("no format of %v", dt)
	}
	k := max(64, f.Block)
	return ops.Case{Name: dt.String(), Args: []ops.Arg{
		{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{tokens, k}},
		{Leaf: ops.Weight, DType: dt, Shape: tensor.Shape{13, k}},
	}}
}

// TestInvariantProducts executes the products with weights of each type that are chosen where the results of a token
// must not depend on how many there are: 19 tokens together, and each of them alone.
func TestInvariantProducts(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	const tokens = 19 // more than two groups of mat-vec kernels
	for _, target := range emulated {
		t.Run(target, func(t *testing.T) {
			e := newEmulator(t, target)
			invariant := *e.target
			invariant.Invariant = true
			e.target = &invariant
			for name := range weightTypes {
				t.Run(name, func(t *testing.T) {
					dt, ok := tensor.ParseDType(name)
					if !ok {
						t.Fatal("there is no such type")
					}
					run := func(p *problem) []byte {
						k, ok := kernels.find(p.node, e.target)
						if !ok || !strings.HasPrefix(k.Name, "mul_mat_vec") &&
							!strings.HasPrefix(k.Name, "mul_mat_dot") {
							t.Fatalf("kernel %q was chosen", k.Name)
						}
						return e.run(t, p, k)[0]
					}
					all := newProblem(t, ops.MulMatOp, weightCase(t, dt, tokens))
					together := run(all)
					for i := range tokens {
						one := newProblem(t, ops.MulMatOp, weightCase(t, dt, 1))
						x := len(all.data[0]) / tokens
						one.data[0], one.data[1] = all.data[0][i*x:][:x], all.data[1]
						if got, want := run(one), together[i*4*13:][:4*13]; !bytes.Equal(got, want) {
							t.Fatalf("token %d alone gives %v, among %d %v", i, floats(got), tokens, floats(want))
						}
					}
				})
			}
		})
	}
}

// TestInvariantChoice lets sizes decide nothing where results must not depend on them: the kernels of a prompt are
// those of one token.
func TestInvariantChoice(t *testing.T) {
	target := NewTarget("gfx1100", 96)
	target.Invariant = true
	if testing.Short() {
		t.Log("SKIPPED: -short leaves two of three cases to make emulator")
	}
	for _, op := range ops.Defs() {
		if len(kernels[op]) < 2 || slices.Contains(fused, op) && !slices.Contains(fusedRows, op) {
			continue // graphs that demand it do not have the latter
		}
		for i, c := range kernelCases(op) {
			if testing.Short() && i%3 > 0 {
				continue
			}
			p := newProblem(t, op, c)
			k, ok := kernels.find(p.node, target)
			if !ok {
				continue // expanded
			}
			if strings.Contains(k.Name, "_mma") || strings.HasSuffix(k.Name, "_tile") ||
				strings.HasSuffix(k.Name, "_chunk") {
				t.Errorf("%s: kernel %s was chosen", c.Name, k.Name)
			}
			if op == ops.AttentionOp && attentionOf(p.node).splits(target) != invariantSplits ||
				op == ops.LatentAttentionOp && latentSplits(latentOf(p.node), target) != invariantSplits {
				t.Errorf("%s: the number of splits depends on sizes", c.Name)
			}
		}
	}
}
