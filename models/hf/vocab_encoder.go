package hf

import (
	"github.com/hipengine/hipengine/text/tokenizer"
)

// encoderVocabKeys is vocabKeys for the tokenizers that encoders alone have. What the keys of GGUF leave open is kept in a
// key of our own.
func (b *builder) encoderVocabKeys(v *tokenizer.Vocab) error {
	set := func(name string, x any) { b.setKey("tokenizer.ggml."+name, x) }
	set("model", v.Model)
	set("pre", "default")
	types := make([]int32, len(v.Types))
	for i, t := range v.Types {
		types[i] = int32(t)
	}
	set("tokens", v.Tokens)
	set("token_type", types)
	if v.Model == tokenizer.ModelUnigram {
		set("scores", v.Scores)
		set("add_space_prefix", hasSpacePrefix(v))
		set("remove_extra_whitespaces", true)
		for _, n := range v.Normalizers {
			if table := n.Charsmap(); table != nil {
				set("precompiled_charsmap", table)
			}
		}
	}
	for _, id := range []struct {
		names []string
		id    int32
	}{{[]string{"bos", "cls"}, v.BOS}, {[]string{"eos", "seperator"}, v.EOS}, {[]string{"unknown"}, v.UNK},
		{[]string{"padding"}, v.PAD}} {
		for _, name := range id.names {
			if id.id >= 0 {
				set(name+"_token_id", uint32(id.id))
			}
		}
	}
	set("add_bos_token", len(v.Prefix) > 0)
	set("add_eos_token", len(v.Suffix) > 0)
	tokenizer.AttrKeys(v.Attrs, func(key string, ids []uint32) { b.setKey(key, ids) })
	read, err := tokenizer.FromGGUF(b.meta)
	if err != nil || tokenizer.SameEncoderSteps(*v, read) {
		return err
	}
	text, err := v.StepsKey()
	if err != nil {
		return err
	}
	b.setKey(tokenizer.KeySteps, text)
	b.note("GGUF cannot express all of the tokenizer: a key of hipengine's own keeps it, and programs that do not know " +
		"the key may give some texts other ids")
	return nil
}
