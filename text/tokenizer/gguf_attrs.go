package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
)

// attrKeys are keys of our own for matching rules of special tokens, which GGUF has no keys for: arrays of the ids
// that have the rule.
var attrKeys = []struct {
	key  string
	rule func(*Attr) *bool
}{
	{"hipengine.tokenizer.lstrip_token_ids", func(a *Attr) *bool { return &a.LStrip }},
	{"hipengine.tokenizer.rstrip_token_ids", func(a *Attr) *bool { return &a.RStrip }},
	{"hipengine.tokenizer.single_word_token_ids", func(a *Attr) *bool { return &a.SingleWord }},
	{"hipengine.tokenizer.normalized_token_ids", func(a *Attr) *bool { return &a.Normalized }},
}

// KeyEOG is a key of our own for further ids that end a generation: an array. GGUF has keys for one of each kind.
const KeyEOG = "hipengine.tokenizer.eog_token_ids"

// KeyBOS is a key of our own: false says that the tokenizer has no BOS, so that templates write none, whatever id
// tokenizer.ggml.bos_token_id takes from the model's configuration.
const KeyBOS = "hipengine.tokenizer.bos"

// AttrKeys calls set for each key of a GGUF file that keeps part of the attributes, with ids in order. FromGGUF reads
// them; other programs do not know them.
func AttrKeys(attrs map[int32]Attr, set func(key string, ids []uint32)) {
	for _, k := range attrKeys {
		var ids []uint32
		for _, id := range slices.Sorted(maps.Keys(attrs)) {
			if a := attrs[id]; *k.rule(&a) {
				ids = append(ids, uint32(id))
			}
		}
		if ids != nil {
			set(k.key, ids)
		}
	}
}

// readEOG reads KeyEOG.
func readEOG(meta *gguf.Meta, v *Vocab) error {
	if !meta.Has(KeyEOG) {
		return nil
	}
	ids, err := meta.Ints(KeyEOG)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id < 0 || id >= int64(len(v.Tokens)) {
			return fmt.Errorf("key %q has %d, the vocabulary has ids 0 to %d", KeyEOG, id, len(v.Tokens)-1)
		}
		v.ExtraEOG = append(v.ExtraEOG, int32(id))
	}
	return nil
}

// readAttrs reads the matching rules of special tokens: those of our own keys, else those of the Phi-3 family, whose
// published files name no rules. llama.cpp knows the family by the same name (src/llama-vocab.cpp).
func readAttrs(meta *gguf.Meta, v *Vocab) error {
	found := meta.Has(KeySteps) // which a writer of our own keys has set
	for _, k := range attrKeys {
		if !meta.Has(k.key) {
			continue
		}
		found = true
		ids, err := meta.Ints(k.key)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if id < 0 || id >= int64(len(v.Tokens)) {
				return fmt.Errorf("key %q has %d, the vocabulary has ids 0 to %d", k.key, id, len(v.Tokens)-1)
			}
			a := v.Attrs[int32(id)]
			*k.rule(&a) = true
			v.setAttr(int32(id), a)
		}
	}
	name, err := meta.StringOr("general.name", "")
	if err != nil {
		return nil // nothing depends on a name that is no text
	}
	name = strings.ToLower(name)
	if found || !strings.Contains(name, "phi-3") && !strings.Contains(name, "phi3") {
		return nil
	}
	for i, text := range v.Tokens {
		switch text {
		case "<unk>", "<s>", "<|endoftext|>":
			continue
		}
		if t := v.typeOf(int32(i)); t == Control || t == UserDefined || t == Unknown || text == "</s>" {
			v.setAttr(int32(i), Attr{RStrip: true})
		}
	}
	return nil
}

func (v *Vocab) setAttr(id int32, a Attr) {
	if v.Attrs == nil {
		v.Attrs = map[int32]Attr{}
	}
	v.Attrs[id] = a
}
