package hf

import (
	"fmt"

	"github.com/hipengine/hipengine/models"
)

// gpt-oss: every projection has a bias, attention has a sink, and experts are stored with the rows of gate and up in
// turn, in MXFP4 or, transposed, in BF16.

func init() {
	register(family{
		arch:   "gpt-oss",
		models: []string{"GptOssForCausalLM"},
		keys: func(b *builder) {
			b.slidingWindow()
			b.setInt("expert_feed_forward_length", b.cfg.int(1, models.MaxDim, "intermediate_size"))
		},
		tensors: gptOSSTensors,
	})
}

func gptOSSTensors(b *builder) {
	b.applyLayers(join(
		norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "post_attention_norm"),
		qkvo(nil, nil),
		[]rule{{from: "self_attn.sinks", to: "attn_sinks.weight"}},
		linear("mlp.router", "ffn_gate_inp", nil),
	))
	for i := range b.layers {
		from, to := b.layer(i)
		dir := from + "mlp.experts."
		if gateUp, ok := b.gptOSSExperts(dir + "gate_up_proj"); ok {
			b.addInTurn(gateUp, to+"ffn_gate_exps.weight", to+"ffn_up_exps.weight")
		}
		if down, ok := b.gptOSSExperts(dir + "down_proj"); ok {
			b.add(to+"ffn_down_exps.weight", down)
		}
		if bias, ok := b.weight(dir + "gate_up_proj_bias"); ok {
			if len(bias.shape) != 2 {
				b.fail("tensor %q has shape %v, want [experts, 2*width]", bias.name, bias.shape)
				return
			}
			bias.matrix = bias.reshape(1)
			b.addInTurn(bias, to+"ffn_gate_exps.bias", to+"ffn_up_exps.bias")
		}
		b.apply(dir, to, []rule{{from: "down_proj_bias", to: "ffn_down_exps.bias"}})
	}
}

// gptOSSExperts returns the projections of all experts as [experts, out, in].
func (b *builder) gptOSSExperts(name string) (weight, bool) {
	if b.has(name + "_blocks") {
		blocks, scales := b.take(name+"_blocks"), b.take(name+"_scales")
		if blocks == nil || scales == nil {
			return weight{}, false
		}
		m, err := mxfp4(blocks, scales)
		if err == nil && len(blocks.shape) != 4 {
			err = fmt.Errorf("tensor %q has shape %v, want [experts, rows, blocks, 16]", blocks.name, blocks.shape)
		}
		if err != nil {
			b.fail("%w", err)
			return weight{}, false
		}
		return weight{matrix: m, name: name + "_blocks", shape: []int{blocks.shape[0], blocks.shape[1], m.cols}}, true
	}
	w, ok := b.weight(name)
	if !ok {
		return w, false
	}
	return b.outFirst(w)
}

// addInTurn adds even rows as one tensor and odd rows as another.
func (b *builder) addInTurn(w weight, names ...string) {
	if w.shape[1]%2 != 0 {
		b.fail("tensor %q has shape %v, of which the second dimension is odd", w.name, w.shape)
		return
	}
	for i, name := range names {
		half := w
		half.shape = append([]int{w.shape[0], w.shape[1] / 2}, w.shape[2:]...)
		half.matrix = w.pick(w.rows/2, func(r int) int { return 2*r + i })
		if len(half.shape) == 2 {
			half.matrix = half.matrix.reshape(half.shape[1])
		}
		b.add(name, half)
	}
}
