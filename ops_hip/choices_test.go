package opship

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestChoices demands that conformance runs each choice that is built in: that a case exists which it decides.
func TestChoices(t *testing.T) {
	nodes := map[string]*ops.Node{}
	for _, name := range []string{"gfx1100", "gfx1201", "sm_90"} {
		target := NewTarget(name, 0)
		decided := func(at int) bool {
			choice := builtin[at]
			for _, c := range ops.MulMatOp.Cases() {
				x, w := c.Args[0], c.Args[1]
				if m := x.Shape[0]; m < choice.Tokens[0] || m > choice.Tokens[1] || !matches(choice.Type, w.DType.String()) {
					continue
				}
				if nodes[c.Name] == nil {
					nodes[c.Name] = newProblem(t, ops.MulMatOp, c).node
				}
				n := nodes[c.Name]
				first := slices.IndexFunc(builtin, func(c Choice) bool {
					return c.takes(n, target) && slices.ContainsFunc(kernels[n.Op], func(k Kernel) bool {
						return k.Name == "mul_mat_"+c.Kernel && k.Match(n, target) >= 0
					})
				})
				if k, ok := kernels.chosen(n, target); ok && first == at && k.Name == "mul_mat_"+choice.Kernel {
					return true
				}
			}
			return false
		}
		for i, c := range builtin {
			if matches(c.Target, name) && !decided(i) {
				t.Errorf("%s: no case of conformance is decided by %v", name, c)
			}
		}
	}
}

func TestChoiceLines(t *testing.T) {
	for _, c := range append([]Choice{{"gfx110?", "mul_mat", "Q4_K", [2]int{2, 16}, 4096, 14336, "dot"}}, builtin...) {
		if got, err := ParseChoice(c.String()); err != nil || got != c {
			t.Errorf("%v is read as %v, %v", c, got, err)
		}
	}
	for line, want := range map[string]string{
		"* mul_mat Q4_K 2-16 dot":           "5 fields",
		"[ mul_mat Q4_K 2-16 *x* dot":       `"[" is no pattern`,
		"* matmul Q4_K 2-16 *x* dot":        `no op is called "matmul"`,
		"* mul_mat Q4 2-16 *x* dot":         `no type of weights is called "Q4"`,
		"* mul_mat Q4_K 16-2 *x* dot":       `tokens "16-2"`,
		"* mul_mat Q4_K 0 *x* dot":          `tokens "0"`,
		"* mul_mat Q4_K 2-16 4096 dot":      `sizes "4096"`,
		"* mul_mat Q4_K 2-16 -1x4096 dot":   `sizes "-1x4096"`,
		"* mul_mat Q4_K 2-16 *x* mul_mat":   `no kernel of mul_mat is called "mul_mat"`,
		"* mul_mat* Q4_K 2-99999999999 x d": `tokens "2-99999999999"`,
	} {
		_, err := ParseChoice(line)
		wantError(t, err, want)
	}
}

// TestChoicesFile opens devices with files: choices take the nodes that their kernels can run, before what is built
// in, but not where results must be exact.
func TestChoicesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "choices")
	write := func(text string) { must(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("# ours\n\n* mul_mat Q8_0 4 *x64 tile\n* mul_mat Q8_0 2-40 *x* dot\n")
	d, _ := fakeDevice(t, Options{Choices: file})
	defer closing(t, d.Close)
	for _, c := range []struct {
		tokens, k int
		exact     bool
		want      string
	}{{1, 64, false, "mul_mat_dot"}, {4, 64, false, "mul_mat_tile"}, {4, 128, false, "mul_mat_dot"},
		{9, 64, false, "mul_mat_skinny"}, {4, 64, true, "mul_mat_dot"}, {33, 64, false, "mul_mat_mma"}} {
		x := ops.Case{Args: []ops.Arg{{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{c.tokens, c.k}},
			{Leaf: ops.Weight, DType: quant.Q8_0, Shape: tensor.Shape{13, c.k}}}}
		if c.exact {
			x.Attrs = ops.MulMatAttrs{Exact: true}
		}
		if k, _ := kernels.find(newProblem(t, ops.MulMatOp, x).node, d.target); k.Name != c.want {
			t.Errorf("%+v: kernel %s", c, k.Name)
		}
	}
	write("* mul_mat Q8_0 4 *x64 tile\n* mul_mat\n")
	_, err := choicesOf(file)
	wantError(t, err, file, "line 2", "2 fields")
	_, err = choicesOf(file + "s")
	wantError(t, err, file+"s")
}
