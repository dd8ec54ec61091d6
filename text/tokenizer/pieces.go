package tokenizer

import (
	"slices"
	"sort"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Piece is a part of a prompt. Pieces end between characters.
type Piece struct {
	Text string
	// Plain is set for text that others wrote, such as the content of messages: no token is recognised in it that text
	// does not make anyway.
	Plain bool
}

// EncodePieces is EncodePrompt for a prompt of which some parts are plain. The ids are those of the whole text, across
// the borders of pieces, but for its markers: a marker counts only where all of its bytes are outside of plain pieces,
// else its characters are encoded like any others.
//
// Markers are all added tokens, whether the vocabulary calls them control tokens or user-defined ones (<think> and
// <tool_call> of Qwen are of the second kind, and so are the markers of turns of DeepSeek), except for those that the
// model step makes of the same text by itself: these are words that the vocabulary merely pins, such as Gemma's runs
// of line breaks and spaces.
//
// The error is that of Encode.
func (t *Tokenizer) EncodePieces(pieces []Piece) ([]int32, error) {
	text, plain := joinPieces(pieces)
	ids, err := t.encode(text, plain, Options{ParseSpecial: true})
	if err != nil {
		return nil, err
	}
	if n := len(t.prefix); len(ids) >= n && slices.Equal(ids[:n], t.prefix) {
		return ids, nil
	}
	return slices.Concat(t.prefix, ids), nil
}

// plainRanges are the ranges of a text that are plain, in order and without overlap. A nil one says that none is.
type plainRanges []span

// joinPieces returns the text of all pieces as UTF-8, and which of its bytes are plain.
func joinPieces(pieces []Piece) (string, plainRanges) {
	size := 0
	for _, p := range pieces {
		size += len(p.Text)
	}
	var b strings.Builder
	b.Grow(size)
	var plain plainRanges
	for _, p := range pieces {
		begin := b.Len()
		b.WriteString(validUTF8(p.Text))
		if p.Plain && b.Len() > begin {
			plain = append(plain, span{begin: begin, end: b.Len()})
		}
	}
	return b.String(), plain
}

// touches reports whether any of the bytes begin to end is plain.
func (p plainRanges) touches(begin, end int) bool {
	i := sort.Search(len(p), func(i int) bool { return p[i].end > begin })
	return i < len(p) && p[i].begin < end
}

// marks returns a byte for each of the bytes begin to end, 1 for the plain ones; nil if none is.
func (p plainRanges) marks(begin, end int) []byte {
	if !p.touches(begin, end) {
		return nil
	}
	marks := make([]byte, end-begin)
	for _, r := range p[sort.Search(len(p), func(i int) bool { return p[i].end > begin }):] {
		if r.begin >= end {
			break
		}
		for i := max(r.begin, begin); i < min(r.end, end); i++ {
			marks[i-begin] = 1
		}
	}
	return marks
}

// rangesOf is the inverse of marks.
func rangesOf(marks []byte) plainRanges {
	var p plainRanges
	for i := 0; i < len(marks); i++ {
		begin := i
		for i < len(marks) && marks[i] == 1 {
			i++
		}
		if begin < i {
			p = append(p, span{begin: begin, end: i})
		}
	}
	return p
}

// normalizePlain is normalize, and says which bytes of the result are plain: those that were made of plain ones.
func (t *Tokenizer) normalizePlain(s string, marks []byte) (string, plainRanges) {
	if marks == nil {
		return t.normalize(s), nil
	}
	for _, n := range t.norms {
		whole := n.apply(s)
		if s, marks = n.applyMarked(s, marks); s != whole {
			// Not expected; no marker is safer than a forged one.
			s, marks = whole, slices.Repeat([]byte{1}, len(whole))
		}
	}
	return s, rangesOf(marks)
}

// applyMarked is apply with a mark for each byte.
func (n Normalizer) applyMarked(s string, marks []byte) (string, []byte) {
	var b strings.Builder
	var out []byte
	emit := func(text string, mark byte) {
		b.WriteString(text)
		for range len(text) {
			out = append(out, mark)
		}
	}
	worst := func(begin, end int) byte { return slices.Max(marks[begin:end]) }
	switch n.Kind {
	case NormalizePrepend:
		if s != "" {
			emit(n.New, 0)
			b.WriteString(s)
			out = append(out, marks...)
		}
	case NormalizeReplace:
		for at := 0; at < len(s); {
			if strings.HasPrefix(s[at:], n.Old) {
				emit(n.New, worst(at, at+len(n.Old)))
				at += len(n.Old)
				continue
			}
			emit(s[at:at+1], marks[at])
			at++
		}
	default:
		f := map[NormalizerKind]norm.Form{
			NormalizeNFC: norm.NFC, NormalizeNFD: norm.NFD, NormalizeNFKC: norm.NFKC, NormalizeNFKD: norm.NFKD,
		}[n.Kind]
		// Characters interact only up to the next boundary.
		for at := 0; at < len(s); {
			end := at + f.NextBoundaryInString(s[at:], true)
			if end <= at {
				end = len(s)
			}
			emit(normalForm(f, s[at:end]), worst(at, end))
			at = end
		}
	}
	return b.String(), out
}
