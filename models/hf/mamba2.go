package hf

import (
	"slices"

	"github.com/hipengine/hipengine/models"
)

// Mamba 2, and the mixers of it that hybrid models have.

func init() {
	register(family{
		arch:        "mamba2",
		models:      []string{"Mamba2ForCausalLM"},
		names:       names{embed: "embeddings", norm: "norm_f"},
		noAttention: true,
		keys: func(b *builder) {
			b.setInt("feed_forward_length", 0)
			b.ssmKeys(b.mamba2())
		},
		tensors: func(b *builder) {
			b.applyLayers(join(norms(nil, "norm", "attn_norm"), b.mamba2().rules("mixer")))
		},
	})
}

// mamba2 holds the sizes of mixers of Mamba 2.
type mamba2 struct{ heads, headDim, groups, state, conv int }

func (m mamba2) inner() int { return m.heads * m.headDim }

// mamba2 reads the sizes under the names of Mamba 2 itself, or those of hybrid models.
func (b *builder) mamba2() mamba2 {
	c := b.cfg
	m := mamba2{
		heads:   c.int(1, models.MaxHeads, "mamba_n_heads", "mamba_num_heads", "num_heads"),
		headDim: c.int(1, models.MaxDim, "mamba_d_head", "mamba_head_dim", "head_dim"),
		groups:  c.intOr(1, 1, models.MaxHeads, "mamba_n_groups", "n_groups"),
		state:   c.int(1, models.MaxDim, "mamba_d_state", "ssm_state_size", "state_size"),
		conv:    c.int(2, 64, "mamba_d_conv", "conv_kernel"),
	}
	if m.inner() > models.MaxDim || m.groups*m.state > models.MaxDim {
		c.fail("a state space of %d heads of %d and %d groups of %d is wider than %d", m.heads, m.headDim, m.groups,
			m.state, models.MaxDim)
		m = mamba2{1, 1, 1, 1, 2}
	}
	if m.heads%m.groups != 0 {
		c.fail("%d heads of the state space are not a multiple of %d groups", m.heads, m.groups)
		m.groups = 1
	}
	return m
}

// ssmKeys writes the keys of the mixers, and refuses what has none.
func (b *builder) ssmKeys(m mamba2) {
	c := b.cfg
	b.setInt("ssm.conv_kernel", m.conv)
	b.setInt("ssm.inner_size", m.inner())
	b.setInt("ssm.state_size", m.state)
	b.setInt("ssm.time_step_rank", m.heads)
	b.setInt("ssm.group_count", m.groups)
	if act := c.str("mamba_hidden_act", "hidden_act"); act != "" && act != "silu" && act != "swish" {
		c.fail("the activation %q of a state space is not silu", clip(act))
	}
	if _, v := c.lookup("time_step_limit"); v != nil {
		list, ok := v.([]any)
		if ok && len(list) == 2 {
			low, isNumber := number(list[0])
			ok = isNumber && low == 0 && infinite(list[1])
		} else {
			ok = false
		}
		if !ok {
			c.fail("time_step_limit is not 0 to infinity: other limits on time steps are not known")
		}
	}
}

// infinite reports whether v is how config.json writes infinity: bare, which quoteNonFinite makes a text, or as the
// object of newer files.
func infinite(v any) bool {
	if o, ok := v.(object); ok {
		v = o["__float__"]
	}
	return v == "Infinity"
}

// rules are the rules of a mixer whose modules lie below from.
func (m mamba2) rules(from string) []rule {
	column := func(f func(float32) float32) transform {
		return func(b *builder, w weight) weight {
			if !slices.Equal(w.shape, []int{m.heads}) {
				b.fail("tensor %q has shape %v, the configuration wants %d heads", w.name, w.shape, m.heads)
				return w
			}
			w.shape, w.matrix = []int{m.heads, 1}, w.float(f).reshape(1)
			return w
		}
	}
	return join(
		linear(from+".in_proj", "ssm_in", nil),
		[]rule{
			{from: from + ".conv1d.weight", to: "ssm_conv1d.weight", change: squeezeConv},
			{from: from + ".conv1d.bias", to: "ssm_conv1d.bias", optional: true},
			{from: from + ".dt_bias", to: "ssm_dt.bias"},
			{from: from + ".A_log", to: "ssm_a", change: column(negExp)},
			{from: from + ".D", to: "ssm_d", change: column(nil)},
			{from: from + ".norm.weight", to: "ssm_norm.weight", change: func(b *builder, w weight) weight {
				if !slices.Equal(w.shape, []int{m.inner()}) {
					b.fail("tensor %q has shape %v, the configuration wants %d", w.name, w.shape, m.inner())
					return w
				}
				width := m.inner() / m.groups
				w.shape, w.matrix = []int{m.groups, width}, w.reshape(width)
				return w
			}},
		},
		linear(from+".out_proj", "ssm_out", nil),
	)
}

// kvHeadList writes the number of key heads of each layer, which is 0 where attention is false.
func (b *builder) kvHeadList(attention func(layer int) bool) {
	list := make([]int32, b.layers)
	for i := range list {
		if attention(i) {
			list[i] = int32(b.kvHeads)
		}
	}
	b.set("attention.head_count_kv", list)
}
