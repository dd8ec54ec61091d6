package hf

import (
	"fmt"

	"github.com/hipengine/hipengine/models"
)

// expertForm says under which names a family stores experts, and how GGUF wants them.
type expertForm struct {
	dir            string // of the experts in a layer: "mlp.experts."
	gate, up, down string // projections of one expert: "gate_proj" and so on
	fused          bool   // GGUF keeps gate and up in one tensor where the file does
	inFirst        bool   // stacked projections are transposed: [n, in, 2*ff] and [n, ff, in]
}

// addExperts adds the n experts of a layer. Files store each projection of each expert as a tensor of its own, or the
// projections of all experts stacked, gate and up in one tensor [n, 2*ff, in] with gate first.
func (b *builder) addExperts(from, to string, n int, f expertForm) {
	dir := from + f.dir
	if !b.has(dir + "gate_up_proj") {
		for _, p := range [][2]string{{f.gate, "ffn_gate_exps"}, {f.up, "ffn_up_exps"}, {f.down, "ffn_down_exps"}} {
			b.stackExperts(n, func(k int) string { return fmt.Sprintf("%s%d.%s.weight", dir, k, p[0]) },
				to+p[1]+".weight")
		}
		return
	}
	gateUp, ok := b.weight(dir + "gate_up_proj")
	if !ok {
		return
	}
	down, ok := b.weight(dir + "down_proj")
	if !ok {
		return
	}
	if f.inFirst {
		if gateUp, ok = b.outFirst(gateUp); !ok {
			return
		}
		if down, ok = b.outFirst(down); !ok {
			return
		}
	}
	s, d := gateUp.shape, down.shape
	if len(s) != 3 || s[0] != n || s[1]%2 != 0 || len(d) != 3 || d[0] != n {
		b.fail("tensor %q has shape %v and %q %v, want %d experts", gateUp.name, s, down.name, d, n)
		return
	}
	if f.fused {
		b.add(to+"ffn_gate_up_exps.weight", gateUp)
	} else {
		for i, name := range []string{"ffn_gate_exps", "ffn_up_exps"} {
			b.add(to+name+".weight", expertHalf(i)(b, gateUp))
		}
	}
	b.add(to+"ffn_down_exps.weight", down)
}

// outFirst turns the projections of all experts that are stored as [experts, in, out] into [experts, out, in].
func (b *builder) outFirst(w weight) (weight, bool) {
	if len(w.shape) != 3 {
		b.fail("tensor %q has shape %v, want [experts, in, out]", w.name, w.shape)
		return w, false
	}
	w.matrix = w.transpose(w.shape[1], &b.slabs)
	w.shape = []int{w.shape[0], w.shape[2], w.shape[1]}
	return w, true
}

// expertHalf is the transform of one of two matrices of each expert that are stored in one, as [experts, rows, in].
func expertHalf(i int) transform {
	return func(b *builder, w weight) weight {
		if len(w.shape) != 3 || w.shape[1]%2 != 0 {
			b.fail("tensor %q has shape %v, want two halves of each expert", w.name, w.shape)
			return w
		}
		n, ff := w.shape[0], w.shape[1]/2
		w.shape = []int{n, ff, w.shape[2]}
		w.matrix = w.pick(n*ff, func(r int) int { return r/ff*2*ff + i*ff + r%ff })
		return w
	}
}

// stackExperts adds n tensors of equal shape as one.
func (b *builder) stackExperts(n int, name func(k int) string, to string) {
	var ms []*matrix
	var first weight
	mixed := false // blocks of several types, or blocks and what none of them holds
	for k := range n {
		w, ok := b.weight(name(k))
		if !ok {
			return
		}
		if k == 0 {
			first = w
		}
		made := b.stored[w.name].made != nil && b.stored[first.name].made != nil
		mixed = mixed || w.dtype != first.dtype && made
		if w.dtype != first.dtype && !made || w.rows != first.rows || w.cols != first.cols {
			b.fail("tensor %q is %v %v, but %q is %v %v", w.name, w.dtype, w.shape, first.name, first.dtype,
				first.shape)
			return
		}
		ms = append(ms, w.matrix)
	}
	for k := range ms {
		if mixed {
			ms[k] = ms[k].float(nil)
		}
	}
	b.add(to, weight{matrix: stack(ms), name: first.name, shape: append([]int{n}, first.shape...)})
}

// router is the rule of a router below dir.
func router(from string) []rule { return []rule{{from: from + ".weight", to: "ffn_gate_inp.weight"}} }

// selectionBias is the rule of what joins a router's choice but not its weights.
func selectionBias(from string) []rule {
	return []rule{{from: from, to: "exp_probs_b.bias", optional: true, change: flat}}
}

// sigmoidGating is llama.cpp's number of routers that take the sigmoid of each expert.
const sigmoidGating = 2

// sharedExpert are the rules of Qwen's shared expert and its gate.
var sharedExpert = join(
	gatedMLP("mlp.shared_expert", "_shexp"),
	[]rule{{from: "mlp.shared_expert_gate.weight", to: "ffn_gate_inp_shexp.weight", change: flat}},
)

var qwenExperts = expertForm{dir: "mlp.experts.", gate: "gate_proj", up: "up_proj", down: "down_proj"}

// expertKeys writes the widths of experts that the common keys leave out.
func (b *builder) expertKeys() {
	c := b.cfg
	if c.has("moe_intermediate_size") {
		b.setInt("expert_feed_forward_length", c.int(1, models.MaxDim, "moe_intermediate_size"))
	}
	if c.has("shared_expert_intermediate_size") {
		b.setInt("expert_shared_feed_forward_length", c.int(1, models.MaxDim, "shared_expert_intermediate_size"))
	}
}
