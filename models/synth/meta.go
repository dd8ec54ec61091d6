package synth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// minVocab are the tokens that every vocabulary has: the bytes, one merge, and the markup.
const minVocab = 256 + 1 + 3

// maxVocab bounds a vocabulary.
const maxVocab = models.MaxVocab

// Meta returns the metadata of a file of the shape.
func (s Shape) Meta(f convert.FType) (*gguf.Meta, error) {
	if s.Vocab < minVocab || s.Vocab > maxVocab {
		return nil, fmt.Errorf("synth: shape %q: a vocabulary of %d tokens is outside %d..%d", s.Name, s.Vocab,
			minVocab, maxVocab)
	}
	m := &gguf.Meta{}
	var errs []error
	set := func(key string, v any) { errs = append(errs, m.Set(key, v)) }
	set("general.architecture", s.Arch)
	set("general.type", "model")
	set("general.name", s.Title+" (random weights)")
	for _, k := range s.Keys {
		set(s.Arch+"."+k.Name, k.Value)
	}
	set("general.file_type", uint32(f))
	tokens, types := s.vocabulary()
	set("tokenizer.ggml.model", tokenizer.ModelGPT2)
	set("tokenizer.ggml.pre", s.Pre)
	set("tokenizer.ggml.tokens", tokens)
	set("tokenizer.ggml.token_type", types)
	set("tokenizer.ggml.merges", []string{"Ġ t"})
	set("tokenizer.ggml.bos_token_id", uint32(257))
	set("tokenizer.ggml.eos_token_id", uint32(259))
	set("tokenizer.ggml.add_bos_token", false)
	set("general.quantization_version", uint32(2))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("synth: shape %q: %w", s.Name, err)
	}
	return m, nil
}

// vocabulary returns the bytes in the printable alphabet of byte-level BPE, the result of one merge, the markup of
// ChatML, and unused tokens.
func (s Shape) vocabulary() (tokens []string, types []int32) {
	var rest []rune
	for b := range 256 {
		if b >= 0x21 && b <= 0x7e || b >= 0xa1 && b <= 0xac || b >= 0xae {
			tokens = append(tokens, string(rune(b)))
		} else {
			rest = append(rest, rune(256+len(rest)))
		}
	}
	for _, r := range rest {
		tokens = append(tokens, string(r))
	}
	tokens = append(tokens, "Ġt")
	for range tokens {
		types = append(types, int32(tokenizer.Normal))
	}
	for _, t := range []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"} {
		tokens, types = append(tokens, t), append(types, int32(tokenizer.Control))
	}
	for i := len(tokens); i < s.Vocab; i++ {
		tokens, types = append(tokens, fmt.Sprintf("<|unused_%d|>", i)), append(types, int32(tokenizer.Unused))
	}
	return tokens, types
}

// keptF32 are the endings of names of matrices that are F32 in files of any type.
var keptF32 = []string{"ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "ssm_conv1d.weight", "shortconv.conv.weight",
	".ssm_a", ".ssm_d"}

// Tensors returns the tensors of a file of the shape, in its order. The architecture must be linked into the program.
func (s Shape) Tensors(f convert.FType) ([]gguf.TensorInfo, error) {
	meta, err := s.Meta(f)
	if err != nil {
		return nil, err
	}
	return s.tensors(meta, f)
}

func (s Shape) tensors(meta *gguf.Meta, f convert.FType) ([]gguf.TensorInfo, error) {
	m, err := models.New(meta)
	if err != nil {
		return nil, fmt.Errorf("synth: shape %q: %w", s.Name, err)
	}
	if s.MTP {
		if m, err = models.WithDrafts(m); err != nil {
			return nil, fmt.Errorf("synth: shape %q: %w", s.Name, err)
		}
	}
	var infos []gguf.TensorInfo
	for _, w := range m.Weights() {
		has := w.Name == "output.weight" && !s.Tied ||
			slices.ContainsFunc(s.Optional, func(k string) bool { return strings.HasSuffix(w.Name, k) })
		if w.Derive != nil || w.Optional && !has {
			continue
		}
		shape := w.Shape
		for len(shape) > 1 && shape[0] == 1 {
			shape = shape[1:]
		}
		infos = append(infos, gguf.TensorInfo{Name: w.Name, DType: tensor.F32, Shape: shape})
	}
	if len(s.RoPEFactors) > 0 {
		infos = append(infos, gguf.TensorInfo{Name: ropeFreqs, DType: tensor.F32,
			Shape: tensor.Shape{len(s.RoPEFactors)}})
	}
	infos = convert.SortTensors(infos)
	types, err := convert.Types(meta, infos, f, false)
	if err != nil {
		return nil, fmt.Errorf("synth: shape %q: %w", s.Name, err)
	}
	for i := range infos {
		t := &infos[i]
		if len(t.Shape) > 1 && !slices.ContainsFunc(keptF32,
			func(k string) bool { return strings.HasSuffix(t.Name, k) }) {
			t.DType = types[i]
		}
		if t.Size, err = tensor.Bytes(t.DType, t.Shape); err != nil {
			return nil, fmt.Errorf("synth: shape %q: tensor %q: %w", s.Name, t.Name, err)
		}
	}
	return infos, nil
}

const ropeFreqs = "rope_freqs.weight"
