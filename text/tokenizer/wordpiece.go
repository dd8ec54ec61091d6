package tokenizer

import "unicode/utf8"

// wordPiece is the model step of ModelWordPiece: of a word the longest token that begins it, then again and again the
// longest that goes on. A word that cannot be made so, or is longer than 100 characters, is unknown as a whole.
type wordPiece struct {
	starts, rest map[string]int32 // tokens that begin a word, without the mark, and those that go on
	longest      int              // bytes of the longest
	unk          int32
}

// maxWordPiece is the length in characters from which on words are unknown, as in BERT's own tokenizer.
const maxWordPiece = 100

func newWordPiece(v *Vocab) *wordPiece {
	m := &wordPiece{starts: map[string]int32{}, rest: map[string]int32{}, unk: v.UNK}
	for text, id := range formable(v) {
		into := m.rest
		if len(text) > len(spaceMark) && text[:len(spaceMark)] == spaceMark {
			text, into = text[len(spaceMark):], m.starts
		}
		into[text] = id
		m.longest = max(m.longest, len(text))
	}
	return m
}

func (m *wordPiece) encode(dst []int32, word string, _ *merger) []int32 {
	n := len(dst)
	fail := utf8.RuneCountInString(word) > maxWordPiece
	for from, begin := m.starts, 0; begin < len(word) && !fail; from = m.rest {
		end := min(len(word), begin+m.longest)
		for ; end > begin; end-- {
			if id, ok := from[word[begin:end]]; ok {
				dst = append(dst, id)
				break
			}
		}
		fail = end == begin
		begin = end
	}
	if fail {
		dst = dst[:n]
		if m.unk >= 0 {
			dst = append(dst, m.unk)
		}
	}
	return dst
}
