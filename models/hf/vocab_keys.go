package hf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/text/tokenizer"
)

// preTokenizer relates the split patterns of tokenizer.json to the name that llama.cpp's converter gives them.
type preTokenizer struct {
	name         string
	patterns     []string
	ignoreMerges bool
}

const (
	splitGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	splitLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// preTokenizers: the first whose patterns and ignore_merges agree counts, else the first whose patterns do.
var preTokenizers = []preTokenizer{
	{"llama-bpe", []string{splitLlama3}, true},
	{"smaug-bpe", []string{splitLlama3}, false},
	{"qwen2", []string{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, false},
	{"qwen35", []string{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, false},
	{"gpt-4o", []string{`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, false},
	{"tekken", []string{`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, true},
	{"deepseek-v3", []string{`\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" +
		`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, false},
	{"gpt-2", []string{splitGPT2}, false},
	{"starcoder", []string{`\p{N}`, splitGPT2}, false},
}

// spellings maps the spellings of a pattern that mean the same to one.
var spellings = strings.NewReplacer("\r", `\r`, "\n", `\n`, `\/`, `/`,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, splitGPT2)

// preName returns the name of the pre-tokenizer of v.
func (b *builder) preName(v *tokenizer.Vocab) (string, error) {
	var patterns []string
	for _, s := range v.Splits {
		if s.Kind != tokenizer.SplitRegex {
			return "", errors.New("its pre-tokenizer has steps that the keys of GGUF cannot express")
		}
		patterns = append(patterns, spellings.Replace(s.Pattern))
	}
	ignore := v.IgnoreMerges != nil && *v.IgnoreMerges
	first := ""
	for _, p := range preTokenizers {
		if !slices.Equal(p.patterns, patterns) {
			continue
		}
		if first == "" {
			first = p.name
		}
		if p.ignoreMerges == ignore {
			return p.name, nil
		}
	}
	if first == "" {
		return "", fmt.Errorf("its split patterns %q have no name in GGUF", patterns)
	}
	b.note("tokenizer.json says ignore_merges is %v; pre-tokenizer %q of GGUF means the opposite", ignore, first)
	return first, nil
}

// vocabKeys writes the tokenizer.ggml keys of v. An error says what they cannot express.
func (b *builder) vocabKeys(v *tokenizer.Vocab) error {
	set := func(name string, x any) { b.setKey("tokenizer.ggml."+name, x) }
	switch {
	case v.Model == tokenizer.ModelGPT2:
		pre, err := b.preName(v)
		if err != nil {
			return err
		}
		set("model", v.Model)
		set("pre", pre)
		if hasNFC := slices.ContainsFunc(v.Normalizers, isNFC); hasNFC && pre != "qwen2" && pre != "qwen35" {
			b.note("tokenizer.json normalizes text to NFC, which pre-tokenizer %q of GGUF does not", pre)
		}
	case b.arch == "gemma4":
		set("model", tokenizer.ModelGemma4)
	default:
		set("model", tokenizer.ModelLlama)
		set("pre", "default")
	}
	types := make([]int32, len(v.Types))
	for i, t := range v.Types {
		types[i] = int32(t)
	}
	set("tokens", v.Tokens)
	if v.Model != tokenizer.ModelGPT2 {
		set("scores", mergeScores(v))
	}
	set("token_type", types)
	if v.Model == tokenizer.ModelGPT2 || b.arch == "gemma4" {
		set("merges", v.Merges)
	}
	bos := v.BOS
	if bos < 0 {
		if ids := b.cfg.ids(len(v.Tokens), "bos_token_id"); len(ids) > 0 {
			bos = ids[0]
		}
	}
	for _, id := range []struct {
		name string
		id   int32
	}{{"bos", bos}, {"eos", v.EOS}, {"unknown", v.UNK}, {"padding", v.PAD}} {
		if id.id >= 0 {
			set(id.name+"_token_id", uint32(id.id))
		}
	}
	var ends []uint32
	for _, id := range v.ExtraEOG {
		if id != v.EOS {
			ends = append(ends, uint32(id))
		}
	}
	if ends != nil {
		b.setKey(tokenizer.KeyEOG, ends)
	}
	tokenizer.AttrKeys(v.Attrs, func(key string, ids []uint32) { b.setKey(key, ids) })
	return b.affixKeys(v, bos)
}

// affixKeys writes what is put round a text.
func (b *builder) affixKeys(v *tokenizer.Vocab, bos int32) error {
	for _, a := range []struct {
		name string
		ids  []int32
		id   int32
	}{{"bos", v.Prefix, bos}, {"eos", v.Suffix, v.EOS}} {
		if len(a.ids) > 1 || len(a.ids) == 1 && a.ids[0] != a.id {
			return fmt.Errorf("it puts tokens %v round a text, GGUF has keys for BOS %d and EOS %d alone", a.ids, bos,
				v.EOS)
		}
		if a.id >= 0 && (a.name == "bos" || len(a.ids) > 0) {
			b.setKey("tokenizer.ggml.add_"+a.name+"_token", len(a.ids) > 0)
		}
	}
	if v.Model != tokenizer.ModelGPT2 {
		b.setKey("tokenizer.ggml.add_space_prefix", hasSpacePrefix(v))
	}
	return nil
}

func isNFC(n tokenizer.Normalizer) bool { return n.Kind == tokenizer.NormalizeNFC }

// hasSpacePrefix reports whether a space mark is put before a text.
func hasSpacePrefix(v *tokenizer.Vocab) bool {
	return slices.ContainsFunc(v.Normalizers,
		func(n tokenizer.Normalizer) bool { return n.Kind == tokenizer.NormalizePrepend }) ||
		slices.ContainsFunc(v.Splits, func(s tokenizer.Split) bool {
			return s.Kind == tokenizer.SplitMetaspace && s.Prefix != tokenizer.PrefixNever
		})
}

// mergeScores gives tokens scores that merge pairs in the order of the merges: the token of the first merge has the
// highest. tokenizer.json lists merges by the scores of SentencePiece and drops the scores themselves.
func mergeScores(v *tokenizer.Vocab) []float32 {
	rank := make(map[string]int, len(v.Merges))
	for i, m := range v.Merges {
		at := strings.IndexByte(m[min(1, len(m)):], ' ')
		if at < 0 {
			continue
		}
		text := m[:at+1] + m[at+2:]
		if _, ok := rank[text]; !ok {
			rank[text] = i
		}
	}
	scores := make([]float32, len(v.Tokens))
	for i, t := range v.Tokens {
		switch r, ok := rank[t]; {
		case ok:
			scores[i] = -float32(r)
		case v.Types[i] == tokenizer.Normal: // no merge makes it
			scores[i] = -1e9
		}
	}
	return scores
}
