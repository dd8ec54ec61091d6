package hf

import (
	"slices"

	"github.com/hipengine/hipengine/models"
)

// Qwen3-Next: as Qwen 3.5, with the DeltaNet's inputs in two fused projections, grouped by key head. GGUF splits one
// of them and keeps the order of the value heads. Layers for speculation are those of Qwen 3.5.

func init() {
	register(family{
		arch:    "qwen3next",
		models:  []string{"Qwen3NextForCausalLM"},
		norm:    addOne,
		drafts:  mtpLayers,
		keys:    (*builder).deltaNetKeys,
		tensors: qwen3nextTensors,
	})
}

func qwen3nextTensors(b *builder) {
	interval, d := b.attentionInterval(), b.deltaNet()
	common := norms(addOne, "input_layernorm", "attn_norm", "post_attention_layernorm", "post_attention_norm")
	attention := join(common, qkvo(nil, nil), headNorms(addOne))
	linear := join(common, []rule{
		{from: "linear_attn.in_proj_ba.weight", to: "ssm_ba.weight"},
		{from: "linear_attn.conv1d.weight", to: "ssm_conv1d.weight", change: squeezeConv},
		{from: "linear_attn.A_log", to: "ssm_a", change: func(_ *builder, w weight) weight {
			w.matrix = w.float(negExp)
			return w
		}},
		{from: "linear_attn.dt_bias", to: "ssm_dt.bias"},
		{from: "linear_attn.norm.weight", to: "ssm_norm.weight"},
		{from: "linear_attn.out_proj.weight", to: "ssm_out.weight"},
	})
	experts, step := b.experts(), b.cfg.intOr(1, 1, models.MaxLayers, "decoder_sparse_step")
	dense := b.cfg.floats("mlp_only_layers")
	for i := range b.layers {
		from, to := b.layer(i)
		if (i+1)%interval == 0 {
			b.apply(from, to, attention)
		} else {
			b.apply(from, to, linear)
			b.splitQKVZ(from+"linear_attn.in_proj_qkvz.weight", to, d)
		}
		b.qwenFFN(from, to, experts, sharedExpert, slices.Contains(dense, float64(i)) || experts == 0 ||
			(i+1)%step != 0)
	}
	b.mtpTensors(attention, experts)
}

// splitQKVZ splits a projection whose rows are, key head by key head, q, k, the head's v and the head's z.
func (b *builder) splitQKVZ(name, to string, d deltaNet) {
	w, ok := b.weight(name)
	if !ok {
		return
	}
	per := d.valueHeads / d.keyHeads * d.valueDim // v or z of one key head
	group := 2*d.keyDim + 2*per
	if len(w.shape) != 2 || w.shape[0] != d.keyHeads*group {
		b.fail("tensor %q has shape %v, the configuration wants %d rows", name, w.shape, d.keyHeads*group)
		return
	}
	keys, values := d.keyHeads*d.keyDim, d.keyHeads*per
	part := func(i, size, off int) int { return i/size*group + off + i%size }
	qkv := func(i int) int {
		switch {
		case i < keys:
			return part(i, d.keyDim, 0)
		case i < 2*keys:
			return part(i-keys, d.keyDim, d.keyDim)
		}
		return part(i-2*keys, per, 2*d.keyDim)
	}
	b.add(to+"attn_qkv.weight",
		weight{name: name, shape: []int{2*keys + values, w.shape[1]}, matrix: w.pick(2*keys+values, qkv)})
	z := func(i int) int { return part(i, per, 2*d.keyDim+per) }
	b.add(to+"attn_gate.weight", weight{name: name, shape: []int{values, w.shape[1]}, matrix: w.pick(values, z)})
}
