package hf

// OLMo Hybrid: DeltaNet with a projection and filters for each of queries, keys and values, which GGUF puts together,
// between layers of OLMo 3. Norms have names of their own.

func init() {
	register(family{
		arch:   "olmo-hybrid",
		models: []string{"OlmoHybridForCausalLM"},
		keys: func(b *builder) {
			c, d := b.cfg, b.deltaNet()
			b.setInt("rope.dimension_count", b.headDim)
			recurrent := b.olmoRecurrent()
			b.set("attention.recurrent_layers", recurrent)
			b.setInt("ssm.conv_kernel", c.int(2, 64, "linear_conv_kernel_dim"))
			b.setInt("ssm.state_size", d.keyDim)
			b.setInt("ssm.group_count", d.keyHeads)
			b.setInt("ssm.time_step_rank", d.valueHeads)
			b.setInt("ssm.inner_size", d.valueHeads*d.valueDim)
			b.set("ssm.allow_negative", c.bool(false, "linear_allow_neg_eigval"))
			b.note("other programs do not know architecture %q", b.arch)
		},
		tensors: func(b *builder) {
			recurrent := b.olmoRecurrent()
			mlp := gatedMLP("mlp", "")
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, mlp)
				if !recurrent[i] {
					b.apply(from, to, join(
						norms(nil, b.present(from, "post_attention_layernorm", "feedforward_layer_norm"),
							"post_attention_norm", "post_feedforward_layernorm", "post_ffw_norm"),
						qkvo(nil, nil), headNorms(nil)))
					continue
				}
				b.apply(from, to, join(
					norms(nil, b.present(from, "attention_layer_norm", "input_layernorm"), "attn_norm",
						b.present(from, "feedforward_layer_norm", "post_attention_layernorm"), "ffn_norm"),
					olmoDelta))
				for _, p := range [][2]string{{"proj", "attn_qkv"}, {"conv1d", "ssm_conv1d"}} {
					b.joinRows(to+p[1]+".weight", from+"linear_attn.q_"+p[0]+".weight",
						from+"linear_attn.k_"+p[0]+".weight", from+"linear_attn.v_"+p[0]+".weight")
				}
			}
		},
	})
}

// olmoDelta are the parts of DeltaNet that stay as they are.
var olmoDelta = []rule{
	{from: "linear_attn.a_proj.weight", to: "ssm_alpha.weight"},
	{from: "linear_attn.b_proj.weight", to: "ssm_beta.weight"},
	{from: "linear_attn.g_proj.weight", to: "attn_gate.weight"},
	{from: "linear_attn.A_log", to: "ssm_a", change: func(_ *builder, w weight) weight {
		w.matrix = w.float(negExp)
		return w
	}},
	{from: "linear_attn.dt_bias", to: "ssm_dt.bias"},
	{from: "linear_attn.o_norm.weight", to: "ssm_norm.weight"},
	{from: "linear_attn.o_proj.weight", to: "ssm_out.weight"},
}

// olmoRecurrent reports which layers are recurrent.
func (b *builder) olmoRecurrent() []bool {
	out := make([]bool, b.layers)
	types := b.layerTypes("linear_attention", "full_attention")
	if types == nil {
		b.cfg.fail("layer_types is missing")
		return out
	}
	for i, t := range types {
		out[i] = t == "linear_attention"
	}
	return out
}

// present returns the first of the modules below from that has a weight, or the first of all.
func (b *builder) present(from string, names ...string) string {
	for _, name := range names {
		if b.has(from + name + ".weight") {
			return name
		}
	}
	return names[0]
}

// joinRows adds the rows of several matrices, or filters of convolutions, as one tensor.
func (b *builder) joinRows(to string, names ...string) {
	var ms []*matrix
	rows := 0
	for _, name := range names {
		w, ok := b.weight(name)
		if !ok {
			return
		}
		if len(w.shape) == 3 {
			w = squeezeConv(b, w)
		}
		if len(w.shape) != 2 || len(ms) > 0 && w.shape[1] != ms[0].cols {
			b.fail("tensor %q has shape %v, which does not fit behind %q", name, w.shape, names[0])
			return
		}
		ms = append(ms, w.matrix)
		rows += w.shape[0]
	}
	m := concat(ms)
	b.add(to, weight{matrix: m, name: names[0], shape: []int{rows, m.cols}})
}
