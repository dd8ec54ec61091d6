package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What BERT's tokenizer does in front of its model step: see Devlin et al. 2018, arXiv 1810.04805, and the reference code
// that they published.

// Patterns of the words of BERT.
const (
	patSpaces    = `\s+`
	patBERTPunct = "[\\p{P}!-/:-@\\[-`{-~]" // one at a time
)

func init() {
	registerPattern(patSpaces, func(t *classTable, s string, i int) int { return t.run(s, i, clSpace) })
	registerPattern(patBERTPunct, func(t *classTable, s string, i int) int {
		r, c, n := t.at(s, i)
		if c&clPunct != 0 || r < utf8.RuneSelf && c&clSym != 0 {
			return i + n
		}
		return i
	})
}

// bertSplits cut a text at spaces, which are dropped, and round each punctuation mark.
func bertSplits() []Split {
	return []Split{{Kind: SplitRegex, Pattern: patSpaces, Behavior: Removed}, {Kind: SplitRegex, Pattern: patBERTPunct}}
}

// bertNormalizers returns the steps of a tokenizer with or without cases.
func bertNormalizers(clean, ideographs, accents, lower bool) (ns []Normalizer) {
	for _, s := range []struct {
		on   bool
		kind NormalizerKind
	}{{clean, NormalizeClean}, {ideographs, NormalizeIdeographs}, {accents, NormalizeNFD}, {accents, NormalizeStripMarks},
		{lower, NormalizeLower}} {
		if s.on {
			ns = append(ns, Normalizer{Kind: s.kind})
		}
	}
	return ns
}

// cleaned returns s without control and format characters, and with a space for each space.
func cleaned(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.White_Space, r):
			return ' '
		case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
			return -1
		}
		return r
	}, s)
}

// spacedIdeographs returns s with spaces round each character of the CJK ideograph blocks that BERT knows.
func spacedIdeographs(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
			r >= 0x2A700 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF ||
			r >= 0x2F800 && r <= 0x2FA1F {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// withoutMarks returns s without nonspacing marks.
func withoutMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, s)
}

// lowered returns s in lower case, character by character.
func lowered(s string) string {
	return strings.ReplaceAll(strings.Map(func(r rune) rune {
		if r == 'İ' {
			return r
		}
		return unicode.ToLower(r)
	}, s), "İ", "i̇")
}

// fillEncoder completes a Vocab of an encoder's GGUF file, whose keys say little: what stands round texts and, for BERT,
// whether there are cases, which its tokens tell.
func (v *Vocab) fillEncoder(charsmap *charsmap, prefix, collapse bool) {
	yes := true
	v.StripSpace = &yes
	if v.Model == ModelWordPiece {
		lower := true
		for i, text := range v.Tokens {
			if v.typeOf(int32(i)) == Normal && !strings.Contains(text, "[") && text != lowered(text) {
				lower = false
				break
			}
		}
		v.Normalizers, v.Splits = bertNormalizers(true, true, lower, lower), bertSplits()
	} else {
		v.Normalizers, v.Splits = []Normalizer{}, []Split{}
		if charsmap != nil {
			v.Normalizers = append(v.Normalizers, Normalizer{Kind: NormalizeCharsmap, table: charsmap})
		}
		marks := Split{Kind: SplitMetaspace, Pattern: spaceMark}
		if prefix {
			marks.Prefix = PrefixAlways
		}
		if collapse {
			v.Splits = append(v.Splits, Split{Kind: SplitLiteral, Pattern: " ", Behavior: Removed})
		} else if prefix {
			marks.Prefix = PrefixFirst
		}
		v.Splits = append(v.Splits, marks)
	}
	v.Prefix, v.Suffix = []int32{}, []int32{}
	if v.BOS >= 0 && boolOr(v.AddBOS, true) {
		v.Prefix = append(v.Prefix, v.BOS)
	}
	if v.EOS >= 0 && boolOr(v.AddEOS, true) {
		v.Suffix = append(v.Suffix, v.EOS)
	}
	between := v.Suffix
	if v.Model == ModelUnigram { // as RoBERTa does
		between = append(append([]int32{}, v.Suffix...), v.Suffix...)
	}
	v.Pair = &PairAffixes{v.Prefix, between, v.Suffix}
}
