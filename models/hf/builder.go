package hf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// weight is a tensor on its way to GGUF.
type weight struct {
	*matrix
	name  string // as it is stored, for messages
	shape []int  // outermost first
}

// entry is a tensor as GGUF has it.
type entry struct {
	info  gguf.TensorInfo
	data  *matrix // in info.DType
	exact *matrix // before rounding to info.DType; data where nothing is rounded

	quantized string // a word for what it was in a quantized checkpoint; "" if it was plain
}

// builder makes metadata and tensors of a folder. The first error sticks.
type builder struct {
	*family
	dir    string
	cfg    *config
	stored map[string]*stored
	used   map[string]bool
	meta   *gguf.Meta
	notes  []string
	err    error

	files   *tensors // that are open
	entries map[string]*entry
	widened bool // as Folder.Widened
	slabs   slabCache
	probe   *probe // not nil: what is wrong is collected, to compare a folder with a family that it is not of
	prefix  string // of the language model's tensors

	// Hyper-parameters that every family has.
	layers, embd, heads, kvHeads, headDim, vocab int
	draft                                        int // layers for speculation behind the others

	// Of quantized checkpoints.
	method               string // "" if the folder says of none
	gptq                 gptqScheme
	awqGroup             int
	blockRows, blockCols int   // of FP8 scales, 0 if there are none
	packedBits           []int // that compressed-tensors has
	unpacked             unpackedCache
}

func (b *builder) fail(format string, args ...any) {
	switch {
	case b.probe != nil:
		b.probe.problems = append(b.probe.problems, fmt.Sprintf(format, args...))
	case b.err == nil:
		b.err = fmt.Errorf(format, args...)
	}
}

func (b *builder) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// set writes a key of the architecture. The Go type of v is the type that llama.cpp's converter gives it.
func (b *builder) set(name string, v any) { b.setKey(b.arch+"."+name, v) }

func (b *builder) setKey(key string, v any) {
	if err := b.meta.Set(key, v); err != nil {
		b.fail("%w", err)
	}
}

func (b *builder) setInt(name string, v int)       { b.set(name, uint32(v)) }
func (b *builder) setFloat(name string, v float64) { b.set(name, float32(v)) }

// prefixes are the places where a language model's tensors lie, the most special first.
var prefixes = []string{"gpt_neox.", "bert.", "roberta.", "model.language_model.", "language_model.model.",
	"language_model.", "model.text_model.", "model.backbone.", "backbone.", "model.", ""}

// findPrefix finds the language model by its embedding.
func (b *builder) findPrefix() {
	embed := cmp.Or(b.names.embed, "embed_tokens") + ".weight"
	for _, p := range prefixes {
		if b.has(p + embed) {
			b.prefix = p
			return
		}
	}
	b.fail("there is no tensor %q", prefixes[len(prefixes)-2]+embed)
}

func (b *builder) has(name string) bool { return b.stored[name] != nil }

// take returns a stored tensor and marks it as used. A missing or empty one is an error.
func (b *builder) take(name string) *stored {
	t := b.stored[name]
	switch {
	case t == nil && b.probe != nil:
		b.probe.missing[models.Kind(name)] = true
		return nil
	case t == nil:
		b.fail("tensor %q is missing", name)
		return nil
	case tensor.Shape(t.shape).Elems() == 0:
		b.fail("tensor %q is empty", name)
		return nil
	}
	b.used[name] = true
	return t
}

// weight returns a stored tensor, with its scales if it is FP8. ok is false after an error.
func (b *builder) weight(name string) (w weight, ok bool) {
	t := b.take(name)
	if t == nil {
		return w, false
	}
	w = weight{name: name, shape: t.shape}
	if len(w.shape) == 0 {
		w.shape = []int{1}
	}
	if t.made != nil {
		w.matrix = t.made
		return w, true
	}
	if dtype, ok := machineTypes[t.dtype]; ok {
		w.matrix = raw(t, dtype)
		return w, true
	}
	if t.dtype != "F8_E4M3" && t.dtype != "F8_E5M2" {
		b.fail("tensor %q is %s; weights are F32, F16, BF16 or FP8", name, t.dtype)
		return w, false
	}
	suffix, rows, cols := "_scale_inv", b.blockRows, b.blockCols
	if !b.has(name + suffix) {
		suffix = "_scale"
	}
	if !b.has(name + suffix) {
		b.fail("tensor %q is %s, but neither %q nor %q is there", name, t.dtype, name+"_scale_inv", name+"_scale")
		return w, false
	}
	scale := b.take(name + suffix)
	if scale == nil {
		return w, false
	}
	var err error
	w.matrix, err = fp8(t, scale, rows, cols)
	if err != nil && suffix == "_scale" { // blocks are of other modules
		w.matrix, err = fp8(t, scale, 0, 0)
	}
	if err != nil {
		b.fail("%w", err)
	}
	return w, err == nil
}

// apply adds the tensors of rules: from and to are put in front of their names.
func (b *builder) apply(from, to string, rules []rule) {
	for _, r := range rules {
		if r.optional && !b.has(from+r.from) {
			continue
		}
		w, ok := b.weight(from + r.from)
		if !ok && b.probe != nil {
			continue
		}
		if !ok {
			return
		}
		if r.change != nil {
			w = r.change(b, w)
		}
		b.add(to+r.to, w)
	}
}

// layer returns the prefixes of stored and GGUF names of layer i.
func (b *builder) layer(i int) (from, to string) {
	return fmt.Sprintf("%s%s.%d.", b.prefix, cmp.Or(b.names.layers, "layers"), i), fmt.Sprintf("blk.%d.", i)
}

// applyLayers applies the same rules to all layers.
func (b *builder) applyLayers(rules []rule) {
	for i := range b.layers {
		from, to := b.layer(i)
		b.apply(from, to, rules)
	}
}

// keptF32 are the endings of names of tensors that are F32 whatever their shape, as in llama.cpp's converter.
var keptF32 = []string{"_norm.weight", "position_embd.weight", "token_types.weight", "ffn_gate_inp.weight",
	"ssm_conv1d.weight", "ssm_conv1d_q.weight", "ssm_conv1d_k.weight", "ssm_conv1d_v.weight", "shortconv.conv.weight",
	".ssm_a", ".ssm_d", ".bias"}

// add presents w under its GGUF name.
func (b *builder) add(name string, w weight) {
	if b.err != nil {
		return
	}
	if w.factors != nil && (name == "token_embd.weight" || !strings.HasSuffix(name, ".weight")) {
		w.matrix = w.float(nil) // no product applies the factor
	}
	e := &entry{data: w.matrix}
	if t := b.stored[w.name]; t != nil && machineTypes[t.dtype] == tensor.Invalid {
		e.quantized = cmp.Or(map[string]string{"U8": "MXFP4", "F8_E4M3": "FP8", "F8_E5M2": "FP8"}[t.dtype], t.dtype)
	}
	switch {
	case len(w.shape) == 1 || slices.ContainsFunc(keptF32, func(s string) bool { return strings.HasSuffix(name, s) }):
		e.data = w.float(nil)
		e.exact = e.data
	case w.factors != nil:
		e.exact = w.float(nil)
		b.add(strings.TrimSuffix(name, "weight")+"scale", weight{matrix: values(w.factors), shape: []int{len(w.factors)}})
	case e.quantized != "" && w.dtype == tensor.F32:
		e.exact, e.data = w.matrix, w.narrowed()
	default:
		e.exact = w.matrix
	}
	e.info = gguf.TensorInfo{Name: name, DType: e.data.dtype, Shape: tensor.Shape(w.shape)}
	var err error
	if e.info.Size, err = tensor.Bytes(e.info.DType, e.info.Shape); err != nil {
		b.fail("tensor %q: %w", w.name, err)
		return
	}
	if b.entries[name] != nil {
		b.fail("tensor %q would be %q twice", w.name, name)
		return
	}
	b.entries[name] = e
}

// skipDrafts leaves out the layers for speculation that stand behind the others.
func (b *builder) skipDrafts() {
	for i := range b.cfg.intOr(0, 0, 8, "num_nextn_predict_layers") {
		from, _ := b.layer(b.layers + i)
		n := 0
		for name := range b.stored {
			if strings.HasPrefix(name, from) {
				b.used[name] = true
				n++
			}
		}
		if n > 0 {
			b.note("skipped %d tensors %s*, a layer for speculation", n, from)
		}
	}
}

// ignored are the endings of stored tensors that carry no weights: tables that are computed, and the scales of
// activations and caches of quantized checkpoints.
var ignored = []string{".rotary_emb.inv_freq", ".attn.masked_bias", "embeddings.position_ids", ".input_scale",
	".k_scale", ".v_scale", ".q_scale", ".input_global_scale", ".input_zero_point", ".output_scale",
	".activation_scale"}

// towers are the parts of models beside the language model.
var towers = []string{
	"visual.", "model.visual.", "vision_tower.", "model.vision_tower.", "vision_model.", "model.vision_model.",
	"vision_encoder.", "model.vision_encoder.", "multi_modal_projector.", "model.multi_modal_projector.",
	"vision_language_adapter.", "patch_merger.", "model.embed_vision.", "audio_tower.", "model.audio_tower.",
	"model.embed_audio.", "embed_vision.", "embed_audio.", "model.vision_embedder.", "model.audio_embedder.",
}

// finish checks that no stored tensor is left over, notes what was skipped, and sorts the entries.
func (b *builder) finish() {
	skipped := map[string]int{}
	for _, name := range sortedKeys(b.stored) {
		if b.used[name] || slices.ContainsFunc(ignored, func(s string) bool { return strings.HasSuffix(name, s) }) {
			continue
		}
		i := slices.IndexFunc(towers, func(p string) bool { return strings.HasPrefix(name, p) })
		if i < 0 {
			b.fail("tensor %q has no place in a model of architecture %q", clip(name), b.arch)
			return
		}
		skipped[towers[i]]++
	}
	for _, p := range sortedKeys(skipped) {
		b.note("skipped %d tensors %s* that are not of the language model", skipped[p], p)
	}
}

// head adds embedding, output norm and output.
func (b *builder) head() {
	b.findPrefix()
	if b.err != nil {
		return
	}
	embed, norm := cmp.Or(b.names.embed, "embed_tokens"), cmp.Or(b.names.norm, "norm")
	normTo := cmp.Or(b.names.normTo, "output_norm")
	b.apply(b.prefix, "", []rule{{from: embed + ".weight", to: "token_embd.weight", change: b.embed}})
	if norm != noNorm {
		b.apply(b.prefix, "", []rule{{from: norm + ".weight", to: normTo + ".weight", change: b.norm},
			{from: norm + ".bias", to: normTo + ".bias", optional: true}})
	}
	if b.err != nil {
		return
	}
	e := b.entries["token_embd.weight"]
	if e == nil {
		return
	}
	embd := e.info.Shape
	if len(embd) != 2 || embd[1] != b.embd || embd[0] > models.MaxVocab {
		b.fail("tensor %q has shape %v, want [vocabulary of at most %d, hidden_size %d]",
			b.prefix+embed+".weight", embd, models.MaxVocab, b.embd)
		return
	}
	b.vocab = embd[0]
	b.scores()
	outputs := []string{"lm_head.weight", "language_model.lm_head.weight", b.prefix + "lm_head.weight"}
	if b.names.output != "" {
		outputs = []string{b.names.output + ".weight"}
	}
	if b.encoder {
		b.skipHeads()
		outputs = nil
	}
	for _, name := range outputs {
		switch {
		case !b.has(name):
			continue
		case b.cfg.bool(false, "tie_word_embeddings"):
			b.used[name] = true // the embedding takes its place
		default:
			b.apply("", "", []rule{{from: name, to: "output.weight", change: b.output}})
			if e := b.entries["output.weight"]; e != nil && !e.info.Shape.Equal(embd) {
				b.fail("tensor %q has shape %v, the embedding %v", name, e.info.Shape, embd)
			}
		}
		return
	}
}
