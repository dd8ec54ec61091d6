package tokenizer

import (
	"errors"
	"fmt"
	"slices"

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
	if v.Model == ModelWordPiece || v.Model == ModelUnigram {
		if err := readEncoder(meta, &v); err != nil {
			return Vocab{}, err
		}
	}
	return v, readSteps(meta, &v)
}

// readEncoder reads what the tokenizers of encoders have for themselves. Defaults: ids of the tokens that BERT and
// XLM-RoBERTa have; a space in front, and runs of spaces as one.
func readEncoder(meta *gguf.Meta, v *Vocab) error {
	const prefix = "tokenizer.ggml."
	for _, k := range []struct {
		id    *int32
		keys  []string // the first that the file has counts
		texts []string
	}{
		{&v.BOS, []string{"bos_token_id", "cls_token_id"}, []string{"[CLS]", "<s>"}},
		{&v.EOS, []string{"seperator_token_id", "eos_token_id"}, []string{"[SEP]", "</s>"}},
		{&v.UNK, []string{"unknown_token_id"}, []string{"[UNK]", "<unk>"}},
	} {
		*k.id = -1
		for _, key := range k.keys {
			if !meta.Has(prefix + key) {
				continue
			}
			n, err := meta.Int(prefix + key)
			if err != nil {
				return err
			}
			if n < 0 || n >= int64(len(v.Tokens)) {
				return fmt.Errorf("key %q is %d, the vocabulary has ids 0 to %d", prefix+key, n, len(v.Tokens)-1)
			}
			*k.id = int32(n)
			break
		}
		for _, text := range k.texts {
			if i := slices.Index(v.Tokens, text); *k.id < 0 && i >= 0 {
				*k.id = int32(i)
			}
		}
	}
	var table *charsmap
	if key := prefix + "precompiled_charsmap"; meta.Has(key) {
		ints, err := meta.Ints(key)
		if err != nil {
			return err
		}
		b := make([]byte, len(ints))
		for i, x := range ints {
			b[i] = byte(x)
		}
		if len(b) > 0 {
			if table, err = newCharsmap(b); err != nil {
				return fmt.Errorf("key %q: %w", key, err)
			}
		}
	}
	collapse, err := meta.BoolOr(prefix+"remove_extra_whitespaces", true)
	if err != nil {
		return err
	}
	v.fillEncoder(table, boolOr(v.AddSpacePrefix, true), collapse)
	return nil
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
