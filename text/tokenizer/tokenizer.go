package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Tokenizer encodes and decodes text. It is immutable and safe for use by several goroutines.
type Tokenizer struct {
	v      Vocab
	model  model
	norms  []Normalizer
	stages []stage

	// Special tokens by whether control tokens are among them (index 1) or only user-defined ones (index 0).
	special     [2]*specials
	normSpecial [2]*specials // those that match normalised text

	cutAtMarks     bool // words may be cut before space marks
	prefix, suffix []int32
	strip          bool
	eog            []int32
	isEOG          []uint64 // bit set over ids
	eot            int32
	visible        map[int32]bool // control tokens that are rendered like text
	encoders       sync.Pool
}

// model encodes one word, appending to dst. word is valid UTF-8 and not empty.
type model interface {
	encode(dst []int32, word string, g *merger) []int32
}

// New checks v and builds its tokenizer. The error names the first thing that is wrong.
func New(v Vocab) (*Tokenizer, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	t := &Tokenizer{v: v}
	pre, err := t.initSplits()
	if err != nil {
		return nil, err
	}
	if err := t.initNorms(); err != nil {
		return nil, err
	}
	ignoreMerges := boolOr(v.IgnoreMerges, pre.ignoreMerges)
	switch v.Model {
	case ModelGPT2:
		t.model, err = newByteLevel(&t.v, ignoreMerges)
	case ModelLlama:
		m := newSPM(&t.v)
		t.model, t.cutAtMarks = m, noInnerMarks(m.ids)
	case ModelWordPiece:
		t.model = newWordPiece(&t.v)
	case ModelUnigram:
		t.model = newUnigram(&t.v)
	default:
		var m *raw
		if m, err = newRaw(&t.v, ignoreMerges); err == nil {
			t.model, t.cutAtMarks = m, noInnerMarks(m.ids, m.extraIDs)
		}
	}
	if err != nil {
		return nil, err
	}
	t.initAffixes(pre)
	if err := t.initSpecials(); err != nil {
		return nil, err
	}
	t.initEOG()
	t.initVisible()
	t.encoders.New = func() any { return newEncoder(t) }
	return t, nil
}

func boolOr(p *bool, def bool) bool {
	if p != nil {
		return *p
	}
	return def
}

// patNewlines splits text for ModelGemma4.
const patNewlines = `[^\n]+|[\n]+`

func init() {
	registerPattern(patNewlines, func(_ *classTable, s string, i int) int {
		nl := s[i] == '\n'
		for i < len(s) && (s[i] == '\n') == nl {
			i++
		}
		return i
	})
}

func (t *Tokenizer) initSplits() (preTokenizer, error) {
	v := &t.v
	var pre preTokenizer
	splits := v.Splits
	if splits == nil {
		switch v.Model {
		case ModelGPT2:
			var ok bool
			if pre, ok = preTokenizers[v.Pre]; !ok {
				if slices.Contains(encoderPres, v.Pre) {
					return pre, fmt.Errorf("tokenizer: pre-tokenizer %q of encoders is not read",
						v.Pre)
				}
				return pre, fmt.Errorf("tokenizer: unknown pre-tokenizer %q (known: %s)", v.Pre,
					strings.Join(PreTokenizers()[1:], ", "))
			}
		case ModelGemma4:
			pre.patterns = []string{patNewlines}
		}
		for _, re := range pre.patterns {
			splits = append(splits, Split{Kind: SplitRegex, Pattern: re})
		}
	}
	for _, s := range splits {
		st, err := newStage(s)
		if err != nil {
			return pre, err
		}
		t.stages = append(t.stages, st)
	}
	return pre, nil
}

func (t *Tokenizer) initNorms() error {
	v := &t.v
	prefix := boolOr(v.AddSpacePrefix, v.Model == ModelLlama)
	t.strip = boolOr(v.StripSpace, prefix)
	t.norms = v.Normalizers
	if t.norms == nil {
		if v.NFC {
			t.norms = append(t.norms, Normalizer{Kind: NormalizeNFC})
		}
		if prefix {
			t.norms = append(t.norms, Normalizer{Kind: NormalizePrepend, New: " "})
		}
		if v.Model != ModelGPT2 {
			t.norms = append(t.norms, Normalizer{Kind: NormalizeReplace, Old: " ", New: spaceMark})
		}
	}
	for _, n := range t.norms {
		if err := n.check(); err != nil {
			return err
		}
	}
	return nil
}

// spaceMark is U+2581, which stands for a space in the tokens of all models but byte-level ones.
const spaceMark = "▁"

func (t *Tokenizer) initAffixes(pre preTokenizer) {
	v := &t.v
	addBOS := boolOr(v.AddBOS, pre.addBOS || v.Model == ModelLlama) ||
		v.Model == ModelGemma4 && v.Pre != preSarvam
	t.prefix, t.suffix = v.Prefix, v.Suffix
	if t.prefix == nil && addBOS && v.BOS >= 0 {
		t.prefix = []int32{v.BOS}
	}
	if t.suffix == nil && boolOr(v.AddEOS, false) && v.EOS >= 0 {
		t.suffix = []int32{v.EOS}
	}
}

func (t *Tokenizer) initSpecials() error {
	v := &t.v
	words, err := t.pinnedWords()
	if err != nil {
		return err
	}
	for parse := range 2 {
		t.special[parse] = newSpecials(v.LeftmostSpecial, v.Attrs, words)
		t.normSpecial[parse] = newSpecials(v.LeftmostSpecial, v.Attrs, words)
		for i, text := range v.Tokens {
			id := int32(i)
			switch typ := v.typeOf(id); {
			case typ == UserDefined, parse == 1 && (typ == Control || typ == Unknown):
			default:
				continue
			}
			if !utf8.ValidString(text) {
				continue // matches no text
			}
			if v.Attrs[id].Normalized {
				t.normSpecial[parse].add(t.normalize(text), id)
			} else {
				t.special[parse].add(text, id)
			}
		}
	}
	return nil
}

// pinnedWords returns the user-defined tokens that the model step makes of their text without being told to.
func (t *Tokenizer) pinnedWords() (map[int32]bool, error) {
	none := newSpecials(false, nil, nil)
	t.normSpecial = [2]*specials{none, none}
	e := newEncoder(t)
	e.cache = nil
	words := map[int32]bool{}
	for i, text := range t.v.Tokens {
		id := int32(i)
		if t.v.typeOf(id) != UserDefined || !utf8.ValidString(text) || text == "" {
			continue
		}
		e.start(len(text))
		e.fragment(text, 1, nil) // not at the beginning, where a space may come first
		if e.err != nil {
			return nil, e.err
		}
		if len(e.out) == 1 && e.out[0] == id {
			words[id] = true
		}
	}
	return words, nil
}

func (t *Tokenizer) normalize(s string) string {
	for _, n := range t.norms {
		s = n.apply(s)
	}
	return s
}

// Len returns the number of ids; valid ids are 0 to Len()-1.
func (t *Tokenizer) Len() int { return len(t.v.Tokens) }

// Token returns the text of id as the vocabulary spells it, and its type. For an id outside the vocabulary it
// returns "" and Undefined.
func (t *Tokenizer) Token(id int32) (string, TokenType) {
	if id < 0 || int(id) >= len(t.v.Tokens) {
		return "", Undefined
	}
	return t.v.Tokens[id], t.v.typeOf(id)
}

// BOS returns the beginning-of-sequence id and whether there is one.
func (t *Tokenizer) BOS() (int32, bool) { return t.v.BOS, t.v.BOS >= 0 }

// EOS returns the end-of-sequence id and whether there is one.
func (t *Tokenizer) EOS() (int32, bool) { return t.v.EOS, t.v.EOS >= 0 }

// EOT returns the end-of-turn id, detected by its text where the vocabulary does not name it, and whether there
// is one.
func (t *Tokenizer) EOT() (int32, bool) { return t.eot, t.eot >= 0 }

// Notes returns those of the Vocab.
func (t *Tokenizer) Notes() []string { return t.v.Notes }

// UNK returns the id that stands for what the vocabulary cannot express, and whether there is one.
func (t *Tokenizer) UNK() (int32, bool) { return t.v.UNK, t.v.UNK >= 0 }

// PAD returns the padding id and whether there is one.
func (t *Tokenizer) PAD() (int32, bool) { return t.v.PAD, t.v.PAD >= 0 }

// AddsBOS reports whether Options.AddSpecial puts BOS before the text.
func (t *Tokenizer) AddsBOS() bool { return t.v.BOS >= 0 && slices.Contains(t.prefix, t.v.BOS) }
