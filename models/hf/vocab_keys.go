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
		whole := s.Behavior == tokenizer.MatchesOnly && strings.HasSuffix(s.Pattern, `|\s+`) // leaves no gaps
		if s.Kind != tokenizer.SplitRegex || s.Behavior != tokenizer.Isolated && !whole {
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
	return first, nil // stepsKey says what the name does not
}

// vocabKeys writes the tokenizer.ggml keys of v. An error says what they cannot express.
func (b *builder) vocabKeys(v *tokenizer.Vocab) error {
	var unnamed error // why other programs must not read the file, which would give other ids
	set := func(name string, x any) { b.setKey("tokenizer.ggml."+name, x) }
	affixes := checkAffixes(v)
	if v.Model == tokenizer.ModelWordPiece || v.Model == tokenizer.ModelUnigram {
		return b.encoderVocabKeys(v)
	}
	switch {
	case v.Model == tokenizer.ModelGPT2:
		pre, err := b.preName(v)
		if unnamed = err; err != nil {
			pre = preUnnamed
		}
		set("model", v.Model)
		set("pre", pre)
	case b.arch == "gemma4":
		set("model", tokenizer.ModelGemma4)
	case !likeSentencePiece(v), affixes != nil:
		if unnamed = affixes; unnamed == nil {
			unnamed = errors.New("its steps are not those of SentencePiece")
		}
		set("model", v.Model)
	default:
		set("model", tokenizer.ModelLlama)
		set("pre", "default")
	}
	types := make([]int32, len(v.Types))
	for i, t := range v.Types {
		types[i] = int32(t)
	}
	set("tokens", v.Tokens)
	if v.Model != tokenizer.ModelGPT2 && unnamed == nil {
		set("scores", mergeScores(v))
	}
	set("token_type", types)
	if v.Model == tokenizer.ModelGPT2 || b.arch == "gemma4" || unnamed != nil {
		set("merges", v.Merges)
	}
	bos := v.BOS
	if ids := b.cfg.ids(len(v.Tokens), "bos_token_id"); bos < 0 && len(ids) > 0 {
		bos = ids[0]
		b.setKey(tokenizer.KeyBOS, false)
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
	if affixes == nil {
		b.affixKeys(v)
	}
	// Where keys name none of these, model "llama" has ids of its own for them.
	implied := v.Model != tokenizer.ModelGPT2 && b.arch != "gemma4" && (v.BOS < 0 || v.EOS < 0 || v.UNK < 0)
	if implied && unnamed == nil {
		set("merges", v.Merges)
	}
	return b.stepsKey(v, unnamed, affixes != nil || implied)
}

// preUnnamed is the name of a pre-tokenizer that has none in GGUF. Other programs refuse it, where another name would
// give other ids in silence.
const preUnnamed = "hipengine"

// stepsKey keeps the steps of the tokenizer in a key of our own where it is needed, since other keys do not say all of
// them.
func (b *builder) stepsKey(v *tokenizer.Vocab, unnamed error, needed bool) error {
	if unnamed == nil && !needed {
		if v.Model != tokenizer.ModelGPT2 {
			return nil // TestVocabKeys compares those that the other keys describe
		}
		read, err := tokenizer.FromGGUF(b.meta)
		if err != nil || tokenizer.SameSteps(*v, read) {
			return err
		}
	}
	text, err := v.StepsKey()
	if err != nil {
		return err
	}
	b.setKey(tokenizer.KeySteps, text)
	if unnamed != nil {
		b.note("GGUF cannot express the tokenizer (%v): a key of hipengine's own keeps it, and programs that do not know "+
			"the key refuse the file", unnamed)
	} else {
		b.note("GGUF cannot express all of the tokenizer: a key of hipengine's own keeps it, and programs that do not " +
			"know the key may give some texts other ids")
	}
	return nil
}

// likeSentencePiece reports whether the steps are those that tokenizer.ggml.model "llama" stands for: spaces become
// marks, of which one may be put in front, and nothing else.
func likeSentencePiece(v *tokenizer.Vocab) bool {
	const mark = "▁"
	marks := 0
	for _, n := range v.Normalizers {
		switch {
		case n.Kind == tokenizer.NormalizePrepend && n.New == mark:
		case n.Kind == tokenizer.NormalizeReplace && n.Old == " " && n.New == mark:
			marks++
		default:
			return false
		}
	}
	for _, s := range v.Splits {
		switch {
		case s.Kind == tokenizer.SplitMetaspace && s.Pattern == mark:
			marks++
		case s.Kind == tokenizer.SplitLiteral && s.Pattern == " " && marks > 0: // of which none are left
		default:
			return false
		}
	}
	return marks == 1
}

// checkAffixes reports tokens round a text that GGUF has no keys for.
func checkAffixes(v *tokenizer.Vocab) error {
	for _, a := range []struct {
		ids []int32
		id  int32
	}{{v.Prefix, v.BOS}, {v.Suffix, v.EOS}} {
		if len(a.ids) > 1 || len(a.ids) == 1 && a.ids[0] != a.id {
			return fmt.Errorf("it puts tokens %v round a text, GGUF has keys for BOS %d and EOS %d alone", a.ids, v.BOS,
				v.EOS)
		}
	}
	return nil
}

// affixKeys writes what is put round a text.
func (b *builder) affixKeys(v *tokenizer.Vocab) {
	for _, a := range []struct {
		name string
		ids  []int32
		id   int32
	}{{"bos", v.Prefix, v.BOS}, {"eos", v.Suffix, v.EOS}} {
		if a.name == "bos" || len(a.ids) > 0 {
			b.setKey("tokenizer.ggml.add_"+a.name+"_token", len(a.ids) > 0)
		}
	}
	if v.Model != tokenizer.ModelGPT2 {
		b.setKey("tokenizer.ggml.add_space_prefix", hasSpacePrefix(v))
	}
}

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
