package tokenizer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// NormalizerKind names a change of text before it is split into words.
type NormalizerKind int

// Kinds of normalisers.
const (
	NormalizeNFC        NormalizerKind = iota // Unicode normalisation form C
	NormalizeNFD                              // form D
	NormalizeNFKC                             // form KC
	NormalizeNFKD                             // form KD
	NormalizePrepend                          // put New before a text that is not empty
	NormalizeReplace                          // replace each Old by New
	NormalizeClean                            // drop control characters, and put a space for each space
	NormalizeIdeographs                       // put spaces round CJK ideographs
	NormalizeStripMarks                       // drop nonspacing marks
	NormalizeLower                            // lower case
	NormalizeStripLeft                        // drop spaces at the beginning
	NormalizeStripRight                       // drop spaces at the end
	NormalizeRuns                             // replace each run of two spaces or more by New
	NormalizeCharsmap                         // SentencePiece's precompiled table
)

// Normalizer is one step of normalisation. Steps apply to the fragments between special tokens.
type Normalizer struct {
	Kind     NormalizerKind
	Old, New string

	table *charsmap // of NormalizeCharsmap
}

// Charsmap returns the table of NormalizeCharsmap as SentencePiece writes it, nil for other kinds.
func (n Normalizer) Charsmap() []byte {
	if n.table == nil {
		return nil
	}
	return n.table.raw
}

func (n Normalizer) check() error {
	switch n.Kind {
	case NormalizeNFC, NormalizeNFD, NormalizeNFKC, NormalizeNFKD, NormalizePrepend, NormalizeClean,
		NormalizeIdeographs, NormalizeStripMarks, NormalizeLower, NormalizeStripLeft, NormalizeStripRight:
		return nil
	case NormalizeRuns:
		if !utf8.ValidString(n.New) {
			return fmt.Errorf("tokenizer: normalizer puts %q, which is not UTF-8", clip(n.New))
		}
		return nil
	case NormalizeCharsmap:
		if n.table == nil {
			return fmt.Errorf("tokenizer: normalizer without its table")
		}
		return nil
	case NormalizeReplace:
		if n.Old == "" {
			return fmt.Errorf("tokenizer: normalizer replaces the empty text")
		}
		if !utf8.ValidString(n.Old) || !utf8.ValidString(n.New) {
			return fmt.Errorf("tokenizer: normalizer replaces %q by %q, which is not UTF-8", clip(n.Old), clip(n.New))
		}
		return nil
	}
	return fmt.Errorf("tokenizer: unknown normalizer kind %d", n.Kind)
}

func (n Normalizer) apply(s string) string {
	switch n.Kind {
	case NormalizeNFC:
		return normalForm(norm.NFC, s)
	case NormalizeNFD:
		return normalForm(norm.NFD, s)
	case NormalizeNFKC:
		return normalForm(norm.NFKC, s)
	case NormalizeNFKD:
		return normalForm(norm.NFKD, s)
	case NormalizePrepend:
		if s == "" {
			return s
		}
		return n.New + s
	case NormalizeClean:
		return cleaned(s)
	case NormalizeIdeographs:
		return spacedIdeographs(s)
	case NormalizeStripMarks:
		return withoutMarks(s)
	case NormalizeLower:
		return lowered(s)
	case NormalizeStripLeft:
		return strings.TrimLeftFunc(s, unicode.IsSpace)
	case NormalizeStripRight:
		return strings.TrimRightFunc(s, unicode.IsSpace)
	case NormalizeRuns:
		return spaceRuns.ReplaceAllLiteralString(s, n.New)
	case NormalizeCharsmap:
		return n.table.apply(s)
	default:
		return strings.ReplaceAll(s, n.Old, n.New)
	}
}

var spaceRuns = regexp.MustCompile(` {2,}`)

// manyMarks is the number of combining marks in a row that sends a text down the slow path. From 30 on,
// golang.org/x/text/unicode/norm puts in U+034F (the Stream-Safe Text Format of Unicode Standard Annex 15), which
// other implementations do not.
const manyMarks = 8

// normalForm returns s in form f, without the Stream-Safe additions of the library.
func normalForm(f norm.Form, s string) string {
	if f.QuickSpanString(s) == len(s) && !hasManyMarks(s) {
		return s
	}
	if !hasManyMarks(s) {
		return f.String(s)
	}
	return normalSlow(f, s)
}

func hasManyMarks(s string) bool {
	run := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			run = 0
			i++
			continue
		}
		p := norm.NFD.PropertiesString(s[i:])
		if p.CCC() == 0 {
			run = 0
		} else if run++; run >= manyMarks {
			return true
		}
		i += max(p.Size(), 1)
	}
	return false
}

// normalSlow is the definition of the forms (Unicode Standard, section 3.11): decompose fully, put runs of marks
// into the order of their combining classes, and for C and KC compose.
func normalSlow(f norm.Form, s string) string {
	decompose, compose := norm.NFD, f == norm.NFC || f == norm.NFKC
	if f == norm.NFKC || f == norm.NFKD {
		decompose = norm.NFKD
	}
	type char struct {
		r   rune
		ccc uint8
	}
	var cs []char
	for _, r := range s {
		for _, d := range decompose.String(string(r)) {
			cs = append(cs, char{d, norm.NFD.PropertiesString(string(d)).CCC()})
		}
	}
	for i := 0; i < len(cs); {
		j := i
		for j < len(cs) && cs[j].ccc != 0 {
			j++
		}
		slices.SortStableFunc(cs[i:j], func(a, b char) int { return int(a.ccc) - int(b.ccc) })
		i = j + 1
	}
	if compose {
		out := cs[:0]
		starter := -1 // index in out of the last starter
		for _, c := range cs {
			// A mark is blocked from the starter by one of the same or a higher class between them.
			adjacent := starter == len(out)-1
			if starter >= 0 && (adjacent || out[len(out)-1].ccc != 0 && out[len(out)-1].ccc < c.ccc) {
				if r, ok := composePair(out[starter].r, c.r); ok {
					out[starter].r = r
					continue
				}
			}
			if c.ccc == 0 {
				starter = len(out)
			}
			out = append(out, c)
		}
		cs = out
	}
	var b strings.Builder
	for _, c := range cs {
		b.WriteRune(c.r)
	}
	return b.String()
}

// composePair returns the primary composite of a and b, if there is one.
func composePair(a, b rune) (rune, bool) {
	c := norm.NFC.String(string(a) + string(b))
	r, n := utf8.DecodeRuneInString(c)
	return r, n == len(c)
}
