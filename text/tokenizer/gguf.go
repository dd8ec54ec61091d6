package tokenizer

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/gguf"
)

// FromGGUF reads the tokenizer that a GGUF file carries in its tokenizer.ggml keys.
func FromGGUF(meta *gguf.Meta) (Vocab, error) {
	v, err := fromGGUF(meta)
	if err != nil {
		return Vocab{}, fmt.Errorf("tokenizer: %w", err)
	}
	return v, nil
}

func fromGGUF(meta *gguf.Meta) (Vocab, error) {
	model, err := meta.String("tokenizer.ggml.model")
	if err != nil {
		return Vocab{}, err
	}
	v := NewVocab(model)
	if v.Tokens, err = meta.Strings("tokenizer.ggml.tokens"); err != nil {
		return Vocab{}, err
	}
	if v.Pre, err = meta.StringOr("tokenizer.ggml.pre", ""); err != nil {
		return Vocab{}, err
	}
	if v.Pre == preGemma4 || v.Pre == preSarvam {
		v.Model = ModelGemma4
	}
	// Qwen's tokenizers normalize; files do not say so, and llama.cpp leaves it out.
	v.NFC = v.Pre == "qwen2" || v.Pre == "qwen35"

	types, err := optional(meta.Ints("tokenizer.ggml.token_type"))
	if err != nil {
		return Vocab{}, err
	}
	for _, t := range types {
		if t < int64(Undefined) || t > int64(Byte) {
			return Vocab{}, fmt.Errorf("key %q: %d is not a token type", "tokenizer.ggml.token_type", t)
		}
		v.Types = append(v.Types, TokenType(t))
	}
	scores, err := optional(meta.Floats("tokenizer.ggml.scores"))
	if err != nil {
		return Vocab{}, err
	}
	for _, s := range scores {
		v.Scores = append(v.Scores, float32(s))
	}
	if v.Merges, err = optional(meta.Strings("tokenizer.ggml.merges")); err != nil {
		return Vocab{}, err
	}
	if err := readIDs(meta, &v); err != nil {
		return Vocab{}, err
	}
	if meta.Has(KeyBOS) {
		has, err := meta.Bool(KeyBOS)
		if err != nil {
			return Vocab{}, err
		}
		if !has {
			v.BOS = -1
		}
	}
	if err := errors.Join(readAttrs(meta, &v), readEOG(meta, &v)); err != nil {
		return Vocab{}, err
	}
	for key, flag := range map[string]**bool{
		"add_bos_token": &v.AddBOS, "add_eos_token": &v.AddEOS, "add_space_prefix": &v.AddSpacePrefix,
	} {
		key = "tokenizer.ggml." + key
		if !meta.Has(key) {
			continue
		}
		b, err := meta.Bool(key)
		if err != nil {
			return Vocab{}, err
		}
		*flag = &b
	}
	return v, readSteps(meta, &v)
}

// readIDs reads the ids of special tokens. One outside the vocabulary is an error where texts need it: BOS where it
// begins them, EOS unless another token ends an answer. Others are noted and left out.
func readIDs(meta *gguf.Meta, v *Vocab) error {
	for _, k := range []struct {
		name string
		id   *int32
	}{
		{"bos", &v.BOS}, {"eot", &v.EOT}, {"eom", &v.EOM}, {"eos", &v.EOS}, {"unknown", &v.UNK}, {"padding", &v.PAD},
		{"fim_pad", &v.FIMPad}, {"fim_rep", &v.FIMRep}, {"fim_sep", &v.FIMSep},
	} {
		key := "tokenizer.ggml." + k.name + "_token_id"
		if !meta.Has(key) {
			continue
		}
		n, err := meta.Int(key)
		if err == nil && n >= 0 && n < int64(len(v.Tokens)) {
			*k.id = int32(n)
			continue
		}
		wrong := fmt.Sprintf("key %q is %d, the vocabulary has ids 0 to %d", key, n, len(v.Tokens)-1)
		if err != nil {
			wrong, err = err.Error(), nil
		}
		needed := false
		switch k.name {
		case "bos":
			needed, err = begins(meta, v)
		case "eos":
			needed = v.EOT < 0 && v.EOM < 0 && !v.hasEOT()
		}
		switch {
		case err != nil:
			return err
		case needed:
			return errors.New(wrong)
		}
		*k.id = -1
		v.Notes = append(v.Notes, wrong+"; it is left out")
	}
	return nil
}

// begins reports whether BOS begins texts.
func begins(meta *gguf.Meta, v *Vocab) (bool, error) {
	if key := "tokenizer.ggml.add_bos_token"; meta.Has(key) {
		return meta.Bool(key)
	}
	return v.Model != ModelGPT2 || preTokenizers[v.Pre].addBOS, nil
}

// optional turns a missing key into a zero value.
func optional[T any](v T, err error) (T, error) {
	if errors.Is(err, gguf.ErrMissing) {
		var zero T
		return zero, nil
	}
	return v, err
}
