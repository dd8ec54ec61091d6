package hf

import "github.com/hipengine/hipengine/models"

// Nemotron H: layers of Mamba 2, of attention without rotation, or of a feed-forward network with squared ReLU, each
// under the name of a mixer.

func init() {
	register(family{
		arch:   "nemotron_h",
		models: []string{"NemotronHForCausalLM"},
		names:  names{embed: "embeddings", norm: "norm_f"},
		keys: func(b *builder) {
			c, types := b.cfg, b.blockTypes()
			if types == nil {
				c.fail("layers_block_type and hybrid_override_pattern are missing")
				return
			}
			if act := c.str("mlp_hidden_act"); act != "" && act != "relu2" {
				c.fail("the activation %q of feed-forward networks is not relu2", clip(act))
			}
			width := make([]int32, b.layers)
			for i, t := range types {
				switch t {
				case "mlp":
					width[i] = int32(c.int(1, models.MaxDim, "intermediate_size"))
				case "moe":
					c.fail("layer %d is a mixture of experts, which is not known in this architecture", i)
				}
			}
			b.set("feed_forward_length", width)
			b.setFloat("attention.layer_norm_epsilon", c.float("rms_norm_eps", "layer_norm_epsilon")) // llama.cpp wants both
			b.kvHeadList(func(i int) bool { return types[i] == "attention" })
			b.ssmKeys(b.mamba2())
		},
		tensors: func(b *builder) {
			kinds := map[string][]rule{
				"mamba": b.mamba2().rules("mixer"),
				"attention": join(linear("mixer.q_proj", "attn_q", nil), linear("mixer.k_proj", "attn_k", nil),
					linear("mixer.v_proj", "attn_v", nil), linear("mixer.o_proj", "attn_output", nil)),
				"mlp": join(linear("mixer.up_proj", "ffn_up", nil), linear("mixer.down_proj", "ffn_down", nil)),
			}
			for i, t := range b.blockTypes() {
				from, to := b.layer(i)
				b.apply(from, to, join(norms(nil, "norm", "attn_norm"), kinds[t]))
			}
		},
	})
}

// blockTypes returns the kind of each layer, "mamba", "attention", "mlp" or "moe", of models whose layers have one part
// each; nil of others.
func (b *builder) blockTypes() []string {
	c := b.cfg
	names := map[string]string{
		"mamba": "mamba", "linear_attention": "mamba", "M": "mamba", "attention": "attention",
		"full_attention": "attention", "*": "attention", "mlp": "mlp", "-": "mlp", "moe": "moe", "E": "moe",
	}
	list := c.strs("layers_block_type")
	if list == nil {
		for _, letter := range c.str("hybrid_override_pattern") {
			list = append(list, string(letter))
		}
	}
	if len(list) > models.MaxLayers {
		c.fail("there are %d layers, the limit is %d", len(list), models.MaxLayers)
		return nil
	}
	for i, t := range list {
		if list[i] = names[t]; list[i] == "" {
			c.fail("the kind %q of layer %d is not known", clip(t), i)
			return nil
		}
	}
	return list
}
