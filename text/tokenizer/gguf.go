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
	for key, id := range map[string]*int32{
		"bos_token_id": &v.BOS, "eos_token_id": &v.EOS, "eot_token_id": &v.EOT, "eom_token_id": &v.EOM,
		"unknown_token_id": &v.UNK, "padding_token_id": &v.PAD,
		"fim_pad_token_id": &v.FIMPad, "fim_rep_token_id": &v.FIMRep, "fim_sep_token_id": &v.FIMSep,
	} {
		key = "tokenizer.ggml." + key
		if !meta.Has(key) {
			continue
		}
		n, err := meta.Int(key)
		if err != nil {
			return Vocab{}, err
		}
		if n < 0 || n >= int64(len(v.Tokens)) {
			return Vocab{}, fmt.Errorf("key %q is %d, the vocabulary has ids 0 to %d", key, n, len(v.Tokens)-1)
		}
		*id = int32(n)
	}
	if model == ModelLlama { // the defaults of SentencePiece files
		for id, p := range []*int32{&v.UNK, &v.BOS, &v.EOS} {
			if *p < 0 && id < len(v.Tokens) {
				*p = int32(id)
			}
		}
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
	return v, nil
}

// optional turns a missing key into a zero value.
func optional[T any](v T, err error) (T, error) {
	if errors.Is(err, gguf.ErrMissing) {
		var zero T
		return zero, nil
	}
	return v, err
}
