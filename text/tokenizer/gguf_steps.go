package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hipengine/hipengine/gguf"
)

// KeySteps is a key of our own for what the names of GGUF's pre-tokenizers cannot express: the steps round the model
// in the JSON of a tokenizer.json. FromGGUF follows it whatever tokenizer.ggml.model, .pre and the flags say; other
// programs do not know it.
const KeySteps = "hipengine.tokenizer.steps"

// keptSteps are the steps of a tokenizer.json that a Vocab was read from.
type keptSteps struct {
	Normalizer   *hfStep `json:"normalizer,omitempty"`
	PreTokenizer *hfStep `json:"pre_tokenizer,omitempty"`
	Decoder      *hfStep `json:"decoder,omitempty"`
	IgnoreMerges bool    `json:"ignore_merges,omitempty"`
	FuseUnk      bool    `json:"fuse_unk,omitempty"`
	Prefix       []int32 `json:"prefix"`
	Suffix       []int32 `json:"suffix"`

	Pair *PairAffixes `json:"pair,omitempty"`
}

// StepsKey returns the value of KeySteps for a Vocab of FromHF.
func (v *Vocab) StepsKey() (string, error) {
	s := v.steps
	s.IgnoreMerges, s.FuseUnk, s.Prefix, s.Suffix = boolOr(v.IgnoreMerges, false), v.FuseUnk, v.Prefix, v.Suffix
	s.Pair = v.Pair
	b, err := json.Marshal(s)
	return string(b), err
}

// readSteps reads KeySteps.
func readSteps(meta *gguf.Meta, v *Vocab) error {
	text, err := meta.StringOr(KeySteps, "")
	if err != nil || text == "" {
		return err
	}
	s := &keptSteps{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return fmt.Errorf("key %q: %w", KeySteps, err)
	}
	if v.Model == ModelLlama {
		for name, id := range map[string]*int32{"bos": &v.BOS, "eos": &v.EOS, "unknown": &v.UNK} {
			if !meta.Has("tokenizer.ggml." + name + "_token_id") {
				*id = -1
			}
		}
	}
	if v.Model != ModelWordPiece && v.Model != ModelUnigram {
		v.Model = ModelRawBPE
	}
	v.NFC, v.AddBOS, v.AddEOS, v.AddSpacePrefix, v.Pair = false, nil, nil, nil, s.Pair
	v.IgnoreMerges, v.FuseUnk, v.LeftmostSpecial = &s.IgnoreMerges, s.FuseUnk, true
	v.Prefix, v.Suffix = append([]int32{}, s.Prefix...), append([]int32{}, s.Suffix...)
	l := &hfLoader{file: &hfFile{Normalizer: s.Normalizer, PreTokenizer: s.PreTokenizer, Decoder: s.Decoder}, v: *v}
	for _, step := range []func() error{l.normalizer, l.preTokenizer, l.decoder} {
		if err := step(); err != nil {
			return fmt.Errorf("key %q: %w", KeySteps, err)
		}
	}
	*v = l.v
	return nil
}

// SameEncoderSteps is SameSteps for the models of encoders, whose splits count too.
func SameEncoderSteps(v, w Vocab) bool {
	if len(v.Normalizers) != len(w.Normalizers) || !slices.Equal(v.Splits, w.Splits) ||
		!slices.Equal(v.Prefix, w.Prefix) || !slices.Equal(v.Suffix, w.Suffix) || !maps.Equal(v.Attrs, w.Attrs) ||
		!v.Pair.equal(w.Pair) || v.BOS != w.BOS || v.EOS != w.EOS || v.UNK != w.UNK {
		return false
	}
	for i, n := range v.Normalizers {
		m := w.Normalizers[i]
		if !slices.Equal(n.Charsmap(), m.Charsmap()) {
			return false
		}
		if n.table, m.table = nil, nil; n != m {
			return false
		}
	}
	return true
}

// SameSteps reports whether two vocabularies of the same tokens treat texts alike round the model, the patterns of
// splits apart.
func SameSteps(v, w Vocab) bool {
	a, b := &Tokenizer{v: v}, &Tokenizer{v: w}
	for _, t := range []*Tokenizer{a, b} {
		pre, err := t.initSplits()
		if err != nil || t.initNorms() != nil {
			return false
		}
		t.initAffixes(pre)
		ignore := boolOr(t.v.IgnoreMerges, pre.ignoreMerges)
		t.v.IgnoreMerges = &ignore
	}
	return slices.Equal(a.norms, b.norms) && *a.v.IgnoreMerges == *b.v.IgnoreMerges && a.strip == b.strip &&
		slices.Equal(a.prefix, b.prefix) && slices.Equal(a.suffix, b.suffix) && maps.Equal(v.Attrs, w.Attrs)
}
