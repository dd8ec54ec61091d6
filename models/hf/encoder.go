package hf

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// Encoders: BERT, XLM-RoBERTa, ModernBERT and EmbeddingGemma.

// noNorm is the name of a norm that a family does not have.
const noNorm = "-"

func init() {
	skipped := []string{"pooler.", "embeddings.position_ids", "cls.", "lm_head."}
	bert := family{
		arch:      "bert",
		models:    []string{"BertModel", "BertForMaskedLM", "BertForSequenceClassification"},
		layerNorm: true,
		names:     names{embed: "embeddings.word_embeddings", norm: noNorm, layers: "encoder.layer"},
		encoder:   true,
		skipped:   skipped,
		keys:      func(b *builder) { b.bertKeys(0) },
		tensors:   func(b *builder) { b.bertTensors(0) },
	}
	register(bert)
	roberta := bert
	roberta.models = []string{"XLMRobertaModel", "XLMRobertaForMaskedLM", "XLMRobertaForSequenceClassification",
		"RobertaModel", "RobertaForMaskedLM", "RobertaForSequenceClassification"}
	// Positions count from behind the padding token's id.
	offset := func(b *builder) int { return 1 + b.cfg.intOr(1, 0, models.MaxVocab, "pad_token_id") }
	roberta.keys = func(b *builder) { b.bertKeys(offset(b)) }
	roberta.tensors = func(b *builder) { b.bertTensors(offset(b)) }
	register(roberta)
	register(family{
		arch:      "modern-bert",
		models:    []string{"ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"},
		layerNorm: true,
		names:     names{embed: "embeddings.tok_embeddings", norm: "final_norm"},
		encoder:   true,
		skipped:   []string{"head.", "decoder."},
		keys:      modernBERTKeys,
		tensors: func(b *builder) {
			b.apply(b.prefix, "", linear("embeddings.norm", "token_embd_norm", nil))
			for i := range b.layers {
				from, to := b.layer(i)
				if i > 0 {
					b.apply(from, to, linear("attn_norm", "attn_norm", nil))
				}
				b.apply(from, to, join(linear("attn.Wqkv", "attn_qkv", nil), linear("attn.Wo", "attn_output", nil),
					linear("mlp_norm", "ffn_norm", nil), linear("mlp.Wi", "ffn_up", nil),
					linear("mlp.Wo", "ffn_down", nil)))
			}
			b.modernBERTHead()
		},
	})
	register(family{
		arch:    "gemma-embedding",
		models:  []string{"Gemma3TextModel"},
		norm:    addOne,
		encoder: true,
		keys: func(b *builder) {
			if !b.cfg.bool(false, "use_bidirectional_attention") {
				b.cfg.fail("use_bidirectional_attention is not true, which makes no encoder")
			}
			gemma3Keys(b)
			b.set("attention.causal", false)
		},
		tensors: gemma3Tensors,
		dense:   (*builder).denseModule,
	})
}

// modernBERTHead adds the head that scores texts, if there is one. Its dense layer and norm are those of the head that
// predicts tokens.
func (b *builder) modernBERTHead() {
	if !b.has("classifier.weight") {
		return
	}
	c := b.cfg
	if act := c.str("classifier_activation"); act != "" && act != "gelu" {
		c.fail("classifier_activation %q is not known in architecture %q", clip(act), b.arch)
	}
	switch pooling := c.str("classifier_pooling"); pooling {
	case "mean":
	case "", "cls":
		b.setKey(models.RankPoolingKey, "cls")
		b.note("scores are made of the first token's state, which GGUF has no key for: other programs take the mean")
	default:
		c.fail("classifier_pooling %q is not known (cls and mean are)", clip(pooling))
	}
	b.apply("", "", join(linear("head.dense", "cls", nil), linear("head.norm", "cls.norm", nil),
		linear("classifier", "cls.output", nil)))
	b.rankLabels()
}

// skipHeads leaves out what predicts tokens.
func (b *builder) skipHeads() {
	if b.has("classifier.weight") {
		return // which comes behind it
	}
	n := 0
	for name := range b.stored {
		for _, p := range b.skipped {
			if strings.HasPrefix(name, p) || strings.HasPrefix(name, b.prefix+p) {
				b.used[name] = true
				n++
				break
			}
		}
	}
	if n > 0 {
		b.note("skipped %d tensors of heads that an encoder for embeddings does not have", n)
	}
}

// bertKeys writes the keys of BERT, whose first positions are not used.
func (b *builder) bertKeys(unused int) {
	c := b.cfg
	if act := c.str("hidden_act"); act != "gelu" {
		c.fail("hidden_act %q is not known in architecture %q", clip(act), b.arch)
	}
	if kind := c.str("position_embedding_type"); kind != "" && kind != "absolute" {
		c.fail("position_embedding_type %q is not known in architecture %q", clip(kind), b.arch)
	}
	if c.bool(false, "is_decoder") {
		c.fail("is_decoder is true, which makes no encoder")
	}
	positions := c.int(1, models.MaxContext, "max_position_embeddings")
	if positions <= unused {
		c.fail("max_position_embeddings %d leaves none behind the first %d, which are not used", positions, unused)
		return
	}
	b.setInt("context_length", positions-unused)
	b.set("attention.causal", false)
	b.setKey("tokenizer.ggml.token_type_count", uint32(c.int(1, models.MaxDim, "type_vocab_size")))
}

// bertTensors adds the tensors of BERT, whose first positions are not used.
func (b *builder) bertTensors(unused int) {
	b.apply(b.prefix, "", join([]rule{
		{from: "embeddings.position_embeddings.weight", to: "position_embd.weight",
			change: func(b *builder, w weight) weight {
				if len(w.shape) != 2 || w.shape[0] <= unused {
					b.fail("tensor %q has shape %v, of which the first %d positions are not used", w.name, w.shape,
						unused)
					return w
				}
				w.matrix = w.matrix.pick(w.shape[0]-unused, func(i int) int { return i + unused })
				w.shape = []int{w.shape[0] - unused, w.shape[1]}
				return w
			}},
		{from: "embeddings.token_type_embeddings.weight", to: "token_types.weight"},
	}, linear("embeddings.LayerNorm", "token_embd_norm", nil)))
	b.applyLayers(join(
		linear("attention.self.query", "attn_q", nil), linear("attention.self.key", "attn_k", nil),
		linear("attention.self.value", "attn_v", nil), linear("attention.output.dense", "attn_output", nil),
		linear("attention.output.LayerNorm", "attn_output_norm", nil), linear("intermediate.dense", "ffn_up", nil),
		linear("output.dense", "ffn_down", nil), linear("output.LayerNorm", "layer_output_norm", nil)))
	switch {
	case b.has("classifier.dense.weight"):
		b.apply("", "", join(linear("classifier.dense", "cls", nil), linear("classifier.out_proj", "cls.output", nil)))
		b.rankLabels()
	case b.has("classifier.weight"):
		b.apply(b.prefix, "", linear("pooler.dense", "cls", nil))
		b.apply("", "", linear("classifier", "cls.output", nil))
		b.rankLabels()
	}
}

func modernBERTKeys(b *builder) {
	c := b.cfg
	for _, name := range []string{"attention_bias", "mlp_bias", "norm_bias"} {
		if c.bool(false, name) {
			b.note("%s is true: programs that take ModernBERT to have no biases refuse the file", name)
		}
	}
	b.set("attention.causal", false)
	b.set("hidden_activation", c.str("hidden_activation"))
	b.setInt("attention.sliding_window", c.int(1, models.MaxContext, "local_attention"))
	full := func(i int) bool { return i%c.intOr(3, 1, models.MaxLayers, "global_attn_every_n_layers") == 0 }
	if types := b.layerTypes("sliding_attention", "full_attention"); types != nil {
		full = func(i int) bool { return types[i] == "full_attention" }
	}
	period := 1
	for period < b.layers && !full(period) {
		period++
	}
	pattern, regular := make([]bool, b.layers), true
	for i := range pattern {
		pattern[i] = !full(i)
		regular = regular && full(i) == (i%period == 0)
	}
	if regular { // as other programs expect it
		b.setInt("attention.sliding_window_pattern", period)
	} else {
		b.set("attention.sliding_window_pattern", pattern)
	}
	global, local := b.rope("full_attention").theta, b.rope("sliding_attention").theta
	if c.has("global_rope_theta") {
		global, local = c.positive("global_rope_theta"), c.positive("local_rope_theta")
	}
	b.setFloat("rope.freq_base", global)
	b.setFloat("rope.freq_base_swa", local)
}

// denseModule adds the i-th Dense module behind the pooling, which commutes with that: it is applied to the states of
// tokens.
func (b *builder) denseModule(dir, folder string, i int) error {
	if i > 1 || !filepath.IsLocal(filepath.FromSlash(folder)) {
		return fmt.Errorf("modules.json: module %q is not read: at most two of type Dense, inside the folder, are",
			clip(folder))
	}
	file := path.Join(folder, "config.json")
	root, err := readObject(dir, file)
	if err == nil && root == nil {
		err = fmt.Errorf("%s is missing, which modules.json names", file)
	}
	if err != nil {
		return err
	}
	c := newConfig(file, root)
	name := []string{"dense_2", "dense_3"}[i]
	in, out := c.int(1, models.MaxDim, "in_features"), c.int(1, models.MaxDim, "out_features")
	if act := c.str("activation_function"); act != "" && !strings.HasSuffix(act, ".Identity") {
		c.fail("activation_function %q is not read (Identity is)", clip(act))
	}
	if *c.err != nil {
		return *c.err
	}
	ts := &tensors{byName: map[string]*stored{}}
	err = ts.add(dir, path.Join(folder, singleFile), nil)
	b.files.shards = append(b.files.shards, ts.shards...) // to be closed with the others
	if err != nil {
		return err
	}
	t := ts.byName["linear.weight"]
	if t == nil || len(ts.byName) > 2 || len(ts.byName) == 2 && ts.byName["linear.bias"] == nil {
		return fmt.Errorf("%s: want tensors linear.weight and, if there is a bias, linear.bias", path.Join(folder,
			singleFile))
	}
	for end, t := range map[string]*stored{".weight": t, ".bias": ts.byName["linear.bias"]} {
		if t == nil {
			continue
		}
		b.stored[name+end] = t
		b.apply("", "", []rule{{from: name + end, to: name + end}})
	}
	if e := b.entries[name+".weight"]; b.err == nil && !e.info.Shape.Equal(tensor.Shape{out, in}) {
		b.fail("%s: linear.weight has shape %v, want [out_features %d, in_features %d]", folder, e.info.Shape, out, in)
	}
	b.setInt(name+"_feat_in", in)
	b.setInt(name+"_feat_out", out)
	return b.firstErr()
}
