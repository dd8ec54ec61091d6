package tokenizer

import "sync"

// Byte-level vocabularies spell bytes as printable code points (the GPT-2 alphabet): 0x21-0x7E, 0xA1-0xAC and
// 0xAE-0xFF stand for themselves, the other 68 bytes in increasing order are U+0100 to U+0143.

// byteAlphabet holds both directions of the GPT-2 alphabet.
type byteAlphabet struct {
	char   [256]rune
	byteOf map[rune]byte
}

var alphabet = sync.OnceValue(func() *byteAlphabet {
	a := &byteAlphabet{byteOf: make(map[rune]byte, 256)}
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if !(b >= 0x21 && b <= 0x7E || b >= 0xA1 && b <= 0xAC || b >= 0xAE) {
			r = next
			next++
		}
		a.char[b] = r
		a.byteOf[r] = byte(b)
	}
	return a
})

// appendDecoded appends the bytes that a token text in the alphabet stands for. A text with a character from
// outside the alphabet stands for itself.
func (a *byteAlphabet) appendDecoded(dst []byte, text string) []byte {
	start := len(dst)
	for _, r := range text {
		b, ok := a.byteOf[r]
		if !ok {
			return append(dst[:start], text...)
		}
		dst = append(dst, b)
	}
	return dst
}

// byteLevel is the model step of ModelGPT2: BPE over the bytes of a word.
type byteLevel struct {
	*merges
	byteSym      [256]int32
	ignoreMerges bool
	words        map[string]int32 // decoded bytes to id, for ignoreMerges
}

func newByteLevel(v *Vocab, ignoreMerges bool) (*byteLevel, error) {
	m, err := newMerges(v)
	if err != nil {
		return nil, err
	}
	b := &byteLevel{merges: m, ignoreMerges: ignoreMerges}
	a := alphabet()
	for i := range b.byteSym {
		b.byteSym[i] = m.symbol(string(a.char[i]))
	}
	if ignoreMerges {
		b.words = make(map[string]int32, len(m.ids))
		for text, id := range m.ids {
			if w, ok := a.word(text); ok {
				b.words[w] = id
			}
		}
	}
	return b, nil
}

// word returns the bytes that text spells, and whether all of it is in the alphabet.
func (a *byteAlphabet) word(text string) (string, bool) {
	w := make([]byte, 0, len(text))
	for _, r := range text {
		b, ok := a.byteOf[r]
		if !ok {
			return "", false
		}
		w = append(w, b)
	}
	return string(w), true
}

func (b *byteLevel) encode(dst []int32, word string, g *merger) []int32 {
	if b.ignoreMerges {
		if id, ok := b.words[word]; ok {
			return append(dst, id)
		}
	}
	g.reset()
	for i := range len(word) {
		g.sym = append(g.sym, b.byteSym[word[i]])
	}
	g.run(b.merges)
	for i := int32(0); i >= 0; i = g.next[i] {
		s := g.sym[i]
		if int(s) < b.tokens {
			dst = append(dst, s)
			continue
		}
		// A merge made a text that is no token: fall back to its characters, and drop those without a token.
		for _, r := range b.extra[int(s)-b.tokens] {
			if id, ok := b.ids[string(r)]; ok {
				dst = append(dst, id)
			}
		}
	}
	return dst
}
