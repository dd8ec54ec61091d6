package tokenizer

import (
	"encoding/base64"
	"fmt"
)

// hfStep is a normaliser, pre-tokenizer, post-processor or decoder of a tokenizer.json: the fields of all kinds.
type hfStep struct {
	Type          string    `json:"type,omitzero"`
	Normalizers   []*hfStep `json:"normalizers,omitzero"`   // Sequence
	Pretokenizers []*hfStep `json:"pretokenizers,omitzero"` // Sequence
	Processors    []*hfStep `json:"processors,omitzero"`    // Sequence
	Decoders      []*hfStep `json:"decoders,omitzero"`      // Sequence

	Pattern struct {
		Regex  *string `json:"Regex,omitzero"`
		String *string `json:"String,omitzero"`
	} `json:"pattern,omitzero"` // Split, Replace
	Behavior         string `json:"behavior,omitzero"` // Split
	Invert           bool   `json:"invert,omitzero"`   // Split
	Content          string `json:"content,omitzero"`  // Replace, Strip
	Prepend          string `json:"prepend,omitzero"`  // Prepend
	Start            int    `json:"start,omitzero"`    // Strip
	Stop             int    `json:"stop,omitzero"`     // Strip
	IndividualDigits bool   `json:"individual_digits,omitzero"`

	AddPrefixSpace *bool  `json:"add_prefix_space,omitzero"` // ByteLevel, older Metaspace
	UseRegex       *bool  `json:"use_regex,omitzero"`        // ByteLevel
	Replacement    string `json:"replacement,omitzero"`      // Metaspace
	PrependScheme  string `json:"prepend_scheme,omitzero"`   // Metaspace
	Split          *bool  `json:"split,omitzero"`            // Metaspace

	CleanText    *bool `json:"clean_text,omitzero"`           // BertNormalizer
	ChineseChars *bool `json:"handle_chinese_chars,omitzero"` // BertNormalizer
	StripAccents *bool `json:"strip_accents,omitzero"`        // BertNormalizer
	Lowercase    *bool `json:"lowercase,omitzero"`            // BertNormalizer
	StripLeft    bool  `json:"strip_left,omitzero"`           // Strip
	StripRight   bool  `json:"strip_right,omitzero"`          // Strip

	Charsmap string `json:"precompiled_charsmap,omitzero"` // Precompiled

	Sep []any `json:"sep,omitzero"` // BertProcessing, RobertaProcessing: a text and its id
	Cls []any `json:"cls,omitzero"`

	Pair          []hfTemplate         `json:"pair,omitzero"`           // TemplateProcessing
	Single        []hfTemplate         `json:"single,omitzero"`         // TemplateProcessing
	SpecialTokens map[string]hfSpecial `json:"special_tokens,omitzero"` // TemplateProcessing
}

// hfTemplate is a piece of a template: a special token or the text.
type hfTemplate struct {
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken"`
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence"`
}

type hfSpecial struct {
	IDs []int64 `json:"ids"`
}

// maxSteps bounds the number of steps of one kind.
const maxSteps = 64

// flatten calls f with the steps of s, sequences resolved.
func (s *hfStep) flatten(what string, f func(*hfStep) error) error {
	left := maxSteps
	var walk func(s *hfStep) error
	walk = func(s *hfStep) error {
		if s == nil {
			return nil
		}
		if left--; left < 0 {
			return fmt.Errorf("%s has more than %d steps", what, maxSteps)
		}
		if s.Type != "Sequence" {
			return f(s)
		}
		for _, list := range [][]*hfStep{s.Normalizers, s.Pretokenizers, s.Processors, s.Decoders} {
			for _, c := range list {
				if err := walk(c); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return walk(s)
}

func (l *hfLoader) normalizer() error {
	l.v.Normalizers = []Normalizer{}
	return l.file.Normalizer.flatten("normalizer", func(s *hfStep) error {
		var n Normalizer
		switch s.Type {
		case "NFC":
			n.Kind = NormalizeNFC
		case "NFD":
			n.Kind = NormalizeNFD
		case "NFKC":
			n.Kind = NormalizeNFKC
		case "NFKD":
			n.Kind = NormalizeNFKD
		case "Prepend":
			n = Normalizer{Kind: NormalizePrepend, New: s.Prepend}
		case "BertNormalizer":
			lower := isTrue(s.Lowercase, true)
			l.v.Normalizers = append(l.v.Normalizers, bertNormalizers(isTrue(s.CleanText, true),
				isTrue(s.ChineseChars, true), isTrue(s.StripAccents, lower), lower)...)
			return nil
		case "Lowercase":
			n.Kind = NormalizeLower
		case "StripAccents":
			n.Kind = NormalizeStripMarks
		case "Strip":
			if s.StripLeft {
				l.v.Normalizers = append(l.v.Normalizers, Normalizer{Kind: NormalizeStripLeft})
			}
			if !s.StripRight {
				return nil
			}
			n.Kind = NormalizeStripRight
		case "Precompiled":
			b, err := base64.StdEncoding.DecodeString(s.Charsmap)
			if err != nil {
				return fmt.Errorf("normalizer Precompiled: %w", err)
			}
			if n.Kind = NormalizeCharsmap; len(b) == 0 {
				return nil
			}
			if n.table, err = newCharsmap(b); err != nil {
				return fmt.Errorf("normalizer Precompiled: %w", err)
			}
		case "Replace":
			if deref(s.Pattern.Regex) == " {2,}" {
				n = Normalizer{Kind: NormalizeRuns, New: s.Content}
				break
			}
			if s.Pattern.String == nil {
				return fmt.Errorf("normalizer Replace has a regular expression: %q", clip(deref(s.Pattern.Regex)))
			}
			n = Normalizer{Kind: NormalizeReplace, Old: *s.Pattern.String, New: s.Content}
		default:
			return fmt.Errorf("unknown normalizer %q", clip(s.Type))
		}
		l.v.Normalizers = append(l.v.Normalizers, n)
		return nil
	})
}

// deref returns what p points to, or the zero value.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func isTrue(b *bool, absent bool) bool {
	if b == nil {
		return absent
	}
	return *b
}

func (l *hfLoader) preTokenizer() error {
	l.v.Splits = []Split{}
	add := func(s Split) { l.v.Splits = append(l.v.Splits, s) }
	return l.file.PreTokenizer.flatten("pre_tokenizer", func(s *hfStep) error {
		if l.v.Model == ModelGPT2 {
			return fmt.Errorf("pre_tokenizer %q comes after ByteLevel", clip(s.Type))
		}
		switch s.Type {
		case "BertPreTokenizer":
			l.v.Splits = append(l.v.Splits, bertSplits()...)
		case "WhitespaceSplit":
			add(bertSplits()[0])
		case "ByteLevel":
			if l.v.Model != ModelRawBPE {
				return fmt.Errorf("pre_tokenizer ByteLevel stands before a model of type %q", l.file.Model.Type)
			}
			l.v.Model = ModelGPT2
			if isTrue(s.AddPrefixSpace, false) {
				add(Split{Kind: SplitPrefixSpace})
			}
			if isTrue(s.UseRegex, true) {
				add(Split{Kind: SplitRegex, Pattern: patGPT2})
			}
		case "Digits":
			re := patNums
			if s.IndividualDigits {
				re = patNum
			}
			add(Split{Kind: SplitRegex, Pattern: re})
		case "Metaspace":
			sp := Split{Kind: SplitMetaspace, Pattern: s.Replacement}
			switch {
			case s.PrependScheme == "first":
				sp.Prefix = PrefixFirst
			case s.PrependScheme == "always", s.PrependScheme == "" && isTrue(s.AddPrefixSpace, true):
				sp.Prefix = PrefixAlways
			case s.PrependScheme != "never" && s.PrependScheme != "":
				return fmt.Errorf("pre_tokenizer Metaspace has unknown prepend_scheme %q", clip(s.PrependScheme))
			}
			if isTrue(s.Split, true) {
				sp.Behavior = MergedWithNext
			}
			add(sp)
		case "Split":
			return l.split(s)
		default:
			return fmt.Errorf("unknown pre_tokenizer %q", clip(s.Type))
		}
		return nil
	})
}

// split reads a pre-tokenizer of type Split.
func (l *hfLoader) split(s *hfStep) error {
	behaviors := map[string]Behavior{
		"Isolated": Isolated, "Removed": Removed, "MergedWithPrevious": MergedWithPrevious,
		"MergedWithNext": MergedWithNext, "Contiguous": Contiguous,
	}
	b, ok := behaviors[s.Behavior]
	if !ok {
		return fmt.Errorf("pre_tokenizer Split has unknown behavior %q", clip(s.Behavior))
	}
	if s.Invert {
		switch b {
		case Removed:
			b = MatchesOnly
		case Isolated:
		default:
			return fmt.Errorf("pre_tokenizer Split has invert with behavior %q", s.Behavior)
		}
	}
	sp := Split{Behavior: b}
	switch {
	case s.Pattern.Regex != nil:
		sp.Kind, sp.Pattern = SplitRegex, *s.Pattern.Regex
		if _, ok := lookupPattern(sp.Pattern); !ok {
			if _, err := newPattern(sp.Pattern); err != nil {
				return fmt.Errorf("pre_tokenizer Split: %w", err)
			}
		}
	case s.Pattern.String != nil:
		sp.Kind, sp.Pattern = SplitLiteral, *s.Pattern.String
	default:
		return fmt.Errorf("pre_tokenizer Split has no pattern")
	}
	l.v.Splits = append(l.v.Splits, sp)
	return nil
}

// decoder checks that the file decodes as its model implies, and reads whether a leading space is dropped.
func (l *hfLoader) decoder() error {
	strip, byteLevel := false, false
	err := l.file.Decoder.flatten("decoder", func(s *hfStep) error {
		switch s.Type {
		case "ByteLevel":
			byteLevel = true
		case "ByteFallback", "Fuse":
		case "WordPiece":
			strip = true
		case "Replace":
			if deref(s.Pattern.String) != spaceMark || s.Content != " " {
				return fmt.Errorf("decoder replaces %q by %q, not %q by a space", clip(deref(s.Pattern.String)),
					clip(s.Content), spaceMark)
			}
		case "Strip":
			if s.Content != " " || s.Start < 0 || s.Start > 1 || s.Stop != 0 {
				return fmt.Errorf("decoder strips %q %d times at the start and %d at the end, not one space at the start", clip(s.Content), s.Start, s.Stop)
			}
			strip = s.Start == 1
		case "Metaspace":
			if s.Replacement != spaceMark {
				return fmt.Errorf("decoder Metaspace replaces %q, not %q", clip(s.Replacement), spaceMark)
			}
			strip = s.PrependScheme != "never" && isTrue(s.AddPrefixSpace, true)
		default:
			return fmt.Errorf("unknown decoder %q", clip(s.Type))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if l.file.Decoder != nil && byteLevel != (l.v.Model == ModelGPT2) {
		return fmt.Errorf("pre_tokenizer and decoder disagree on ByteLevel")
	}
	l.v.StripSpace = &strip
	return nil
}

// postProcessor reads what the template puts round a single text. The first such id counts as BOS, the last as
// EOS, until the config says otherwise.
func (l *hfLoader) postProcessor() error {
	v := &l.v
	v.Prefix, v.Suffix = []int32{}, []int32{}
	err := l.file.PostProcessor.flatten("post_processor", func(s *hfStep) error {
		switch s.Type {
		case "ByteLevel":
			return nil
		case "TemplateProcessing":
			return l.template(s)
		case "BertProcessing", "RobertaProcessing":
			cls, err := l.namedID(s.Cls)
			if err != nil {
				return err
			}
			sep, err := l.namedID(s.Sep)
			if err != nil {
				return err
			}
			v.Prefix, v.Suffix = append(v.Prefix, cls), append(v.Suffix, sep)
			v.Pair = &PairAffixes{[]int32{cls}, []int32{sep}, []int32{sep}}
			if s.Type == "RobertaProcessing" {
				v.Pair.Between = []int32{sep, sep}
			}
			return nil
		}
		return fmt.Errorf("unknown post_processor %q", clip(s.Type))
	})
	if err != nil {
		return err
	}
	if len(v.Prefix) > 0 {
		v.BOS = v.Prefix[0]
	}
	if n := len(v.Suffix); n > 0 {
		v.EOS = v.Suffix[n-1]
	}
	return nil
}

// template reads what stands round one text, and round two.
func (l *hfLoader) template(s *hfStep) error {
	single, err := l.templateIDs(s, s.Single)
	if err != nil {
		return err
	}
	if len(single) != 2 {
		return fmt.Errorf("post_processor has %d texts in its template for one", len(single)-1)
	}
	v := &l.v
	v.Prefix, v.Suffix = append(v.Prefix, single[0]...), append(v.Suffix, single[1]...)
	pair, err := l.templateIDs(s, s.Pair)
	if err != nil {
		return err
	}
	if len(pair) == 3 {
		v.Pair = &PairAffixes{pair[0], pair[1], pair[2]}
	}
	return nil
}

// templateIDs returns the ids before, between and behind the texts of a template.
func (l *hfLoader) templateIDs(s *hfStep, pieces []hfTemplate) ([][]int32, error) {
	out := [][]int32{nil}
	for _, p := range pieces {
		switch {
		case p.Sequence != nil:
			out = append(out, nil)
		case p.SpecialToken != nil:
			name := p.SpecialToken.ID
			ids := s.SpecialTokens[name].IDs
			if id, ok := l.byText[name]; ok && ids == nil {
				ids = []int64{int64(id)}
			}
			if len(ids) == 0 {
				return nil, fmt.Errorf("post_processor names unknown token %q", clip(name))
			}
			for _, id := range ids {
				if id < 0 || id >= int64(len(l.v.Tokens)) {
					return nil, fmt.Errorf("post_processor token %q has id %d outside the vocabulary of %d tokens",
						clip(name), id, len(l.v.Tokens))
				}
				out[len(out)-1] = append(out[len(out)-1], int32(id))
			}
		}
	}
	return out, nil
}
