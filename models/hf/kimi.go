package hf

import (
	"slices"

	"github.com/hipengine/hipengine/models"
)

// Kimi Linear: most layers are Kimi Delta Attention, the others latent attention without rotation. Networks lie below
// block_sparse_moe, dense ones of older files below mlp.

func init() {
	register(family{
		arch:   "kimi-linear",
		models: []string{"KimiLinearForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			b.setInt("vocab_size", b.vocab)
			b.latentKeys()
			if !c.bool(true, "mla_use_nope") {
				c.fail("mla_use_nope is false: latent attention of architecture %q does not rotate", b.arch)
			}
			d := b.kimiDelta()
			kv := make([]int32, b.layers)
			for i, recurrent := range d.layers {
				if !recurrent {
					kv[i] = 1
				}
			}
			b.set("attention.head_count_kv", kv)
			b.setInt("kda.head_dim", d.dim)
			b.setInt("ssm.conv_kernel", d.conv)
			b.setInt("leading_dense_block_count", b.leadingDense())
			b.expertKeys()
			b.setInt("expert_shared_count", c.intOr(0, 0, models.MaxExperts, "num_shared_experts"))
			b.setFloat("expert_weights_scale", c.floatOr(1, "routed_scaling_factor"))
			b.set("expert_weights_norm", c.bool(true, "moe_renormalize"))
			if v := c.str("moe_router_activation_func"); v != "" && v != "sigmoid" {
				c.fail("moe_router_activation_func %q is not sigmoid", clip(v))
			}
			b.set("expert_gating_func", uint32(sigmoidGating))
			b.groupKeys(c.intOr(1, 1, models.MaxExperts, "num_expert_group"))
		},
		tensors: func(b *builder) {
			d, dense := b.kimiDelta(), b.leadingDense()
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm"))
				if d.layers[i] {
					b.apply(from, to, kimiDeltaRules)
				} else {
					b.latentAttention(from, to)
				}
				const dir = "block_sparse_moe"
				switch {
				case i >= dense:
					b.apply(from, to, join(router(dir+".gate"), selectionBias(dir+".gate.e_score_correction_bias")))
					b.addExperts(from, to, b.experts(), mixtralExperts)
					b.apply(from, to, gatedMLP(dir+".shared_experts", "_shexp"))
				case b.has(from + "mlp.gate_proj.weight"):
					b.apply(from, to, gatedMLP("mlp", ""))
				default:
					b.apply(from, to, gatedMLP(dir, ""))
				}
			}
		},
	})
}

// kimiDelta is what config.json says of delta attention, in transformers' spelling or in the model's own.
type kimiDelta struct {
	dim, conv int
	layers    []bool // which have it
}

func (b *builder) kimiDelta() kimiDelta {
	c, d := b.cfg, kimiDelta{layers: make([]bool, b.layers)}
	if own := c.sub("linear_attn_config"); own != nil {
		d.dim, d.conv = own.int(1, models.MaxDim, "head_dim"), own.int(2, 64, "short_conv_kernel_size")
		if n := own.int(1, models.MaxHeads, "num_heads"); n != b.heads {
			c.fail("linear_attn_config.num_heads %d differs from num_attention_heads %d", n, b.heads)
		}
		full := own.floats("full_attn_layers") // counted from 1
		for i := range d.layers {
			d.layers[i] = !slices.Contains(full, float64(i+1))
		}
		return d
	}
	d.dim, d.conv = c.int(1, models.MaxDim, "linear_head_dim"), c.int(2, 64, "linear_conv_kernel_dim")
	if n := c.int(1, models.MaxHeads, "linear_num_heads"); n != b.heads {
		c.fail("linear_num_heads %d differs from num_attention_heads %d", n, b.heads)
	}
	types := b.layerTypes("linear_attention", "full_attention")
	if types == nil {
		c.fail("layer_types is missing")
		return d
	}
	for i, t := range types {
		d.layers[i] = t == "linear_attention"
	}
	return d
}

// kimiDeltaRules are the projections, filters and parameters of delta attention.
var kimiDeltaRules = join(
	qkvo(nil, nil),
	[]rule{
		{from: "self_attn.q_conv1d.weight", to: "ssm_conv1d_q.weight", change: filters},
		{from: "self_attn.k_conv1d.weight", to: "ssm_conv1d_k.weight", change: filters},
		{from: "self_attn.v_conv1d.weight", to: "ssm_conv1d_v.weight", change: filters},
		{from: "self_attn.A_log", to: "ssm_a", change: func(_ *builder, w weight) weight {
			w.matrix, w.shape = w.float(negExp), []int{1, 1, w.rows * w.cols, 1}
			return w
		}},
		{from: "self_attn.dt_bias", to: "ssm_dt.bias"},
	},
	linear("self_attn.f_a_proj", "ssm_f_a", nil), linear("self_attn.f_b_proj", "ssm_f_b", nil),
	linear("self_attn.g_a_proj", "ssm_g_a", nil), linear("self_attn.g_b_proj", "ssm_g_b", nil),
	linear("self_attn.b_proj", "ssm_beta", nil),
	norms(nil, "self_attn.o_norm", "ssm_norm"),
)

// filters gives a convolution's filters, [channels, width] with or without ones, the dimensions that llama.cpp writes.
func filters(b *builder, w weight) weight {
	if w = squeezeConv(b, w); len(w.shape) == 2 {
		w.shape = []int{1, w.shape[0], 1, w.shape[1]}
	}
	return w
}
