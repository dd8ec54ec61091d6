package hf

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/models"
)

// Nemotron H: layers of Mamba 2, of attention without rotation, or of a feed-forward network with squared ReLU, each
// under the name of a mixer. The networks of Nemotron 3 are mixtures of experts.

func init() {
	dense := family{
		arch:    "nemotron_h",
		names:   names{embed: "embeddings", norm: "norm_f"},
		keys:    nemotronKeys,
		tensors: nemotronTensors,
	}
	sparse := dense
	sparse.arch = "nemotron_h_moe"
	dense.models = []string{"NemotronHForCausalLM"}
	dense.variant = func(c *config) family {
		if slices.Contains(c.blockTypes(), "moe") {
			return sparse
		}
		return dense
	}
	register(dense)
}

func nemotronKeys(b *builder) {
	c, types := b.cfg, b.cfg.blockTypes()
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
			if b.arch == "nemotron_h_moe" {
				c.fail("layer %d is dense, others are mixtures of experts", i)
				return
			}
			width[i] = int32(c.int(1, models.MaxDim, "intermediate_size"))
		case "moe":
			width[i] = int32(c.int(1, models.MaxDim, "moe_intermediate_size"))
		}
	}
	b.set("feed_forward_length", width)
	if b.arch == "nemotron_h_moe" {
		b.nemotronExpertKeys()
	}
	b.setFloat("attention.layer_norm_epsilon", c.float("rms_norm_eps", "layer_norm_epsilon")) // llama.cpp wants both
	b.kvHeadList(func(i int) bool { return types[i] == "attention" })
	b.ssmKeys(b.mamba2())
}

func (b *builder) nemotronExpertKeys() {
	c := b.cfg
	b.expertKeys()
	if c.has("moe_latent_size") {
		c.fail("moe_latent_size is %d: experts of latent vectors are not known", c.int(0, models.MaxDim, "moe_latent_size"))
	}
	n := c.intOr(1, 0, models.MaxExperts, "n_shared_experts")
	b.setInt("expert_shared_count", n)
	if n > 0 {
		b.setInt("expert_shared_feed_forward_length",
			c.int(1, models.MaxDim, "moe_shared_expert_intermediate_size"))
	}
	b.set("expert_weights_norm", c.bool(true, "norm_topk_prob"))
	b.setFloat("expert_weights_scale", c.floatOr(1, "routed_scaling_factor"))
	b.set("expert_gating_func", uint32(sigmoidGating))
	if groups := c.intOr(1, 1, models.MaxExperts, "n_group"); groups > 1 {
		b.setInt("expert_group_count", groups)
		b.setInt("expert_group_used_count", c.int(1, groups, "topk_group"))
	}
}

func nemotronTensors(b *builder) {
	kinds := map[string][]rule{
		"mamba": b.mamba2().rules("mixer"),
		"attention": join(linear("mixer.q_proj", "attn_q", nil), linear("mixer.k_proj", "attn_k", nil),
			linear("mixer.v_proj", "attn_v", nil), linear("mixer.o_proj", "attn_output", nil)),
		"mlp": join(linear("mixer.up_proj", "ffn_up", nil), linear("mixer.down_proj", "ffn_down", nil)),
		"moe": join(router("mixer.gate"), selectionBias("mixer.gate.e_score_correction_bias")),
	}
	if b.cfg.intOr(1, 0, models.MaxExperts, "n_shared_experts") > 0 {
		kinds["moe"] = join(kinds["moe"], linear("mixer.shared_experts.up_proj", "ffn_up_shexp", nil),
			linear("mixer.shared_experts.down_proj", "ffn_down_shexp", nil))
	}
	for i, t := range b.cfg.blockTypes() {
		from, to := b.layer(i)
		b.apply(from, to, join(norms(nil, "norm", "attn_norm"), kinds[t]))
		if t != "moe" {
			continue
		}
		for _, p := range [][2]string{{"up_proj", "ffn_up_exps.weight"}, {"down_proj", "ffn_down_exps.weight"}} {
			if stacked := "mixer.experts." + p[0]; b.has(from + stacked) {
				b.apply(from, to, []rule{{from: stacked, to: p[1]}})
				continue
			}
			b.stackExperts(b.experts(), func(k int) string {
				return fmt.Sprintf("%smixer.experts.%d.%s.weight", from, k, p[0])
			}, to+p[1])
		}
	}
}

// blockTypes returns the kind of each layer, "mamba", "attention", "mlp" or "moe", of models whose layers have one part
// each; nil of others.
func (c *config) blockTypes() []string {
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
