package tokenizer

import "unicode/utf8"

// raw is the model step of ModelGemma4 and ModelRawBPE: BPE by merges over code points.
type raw struct {
	*merges
	fallback     byteFallback
	ascii        [utf8.RuneSelf]int32
	chars        map[rune]int32
	ignoreMerges bool
	fuseUnk      bool
	newlines     bool // a word of newlines that is a token is emitted whole
}

func newRaw(v *Vocab, ignoreMerges bool) (*raw, error) {
	m, err := newMerges(v)
	if err != nil {
		return nil, err
	}
	r := &raw{merges: m, fallback: newByteFallback(v), chars: map[rune]int32{}, ignoreMerges: ignoreMerges,
		fuseUnk: v.FuseUnk, newlines: v.Model == ModelGemma4}
	for i := range r.ascii {
		r.ascii[i] = missing(rune(i))
	}
	add := func(text string, id int32) {
		c, n := utf8.DecodeRuneInString(text)
		switch {
		case n == 0 || n != len(text) || c == utf8.RuneError && n == 1:
		case c < utf8.RuneSelf:
			r.ascii[c] = id
		default:
			r.chars[c] = id
		}
	}
	for text, id := range m.extraIDs {
		add(text, id)
	}
	for text, id := range m.ids {
		add(text, id)
	}
	return r, nil
}

// missing is the symbol of a code point that has none of its own. It is negative and merges with nothing.
func missing(r rune) int32 { return -1 - r }

func (r *raw) encode(dst []int32, word string, g *merger) []int32 {
	if r.ignoreMerges || r.newlines && word[0] == '\n' {
		if id, ok := r.ids[word]; ok {
			return append(dst, id)
		}
	}
	g.reset()
	for _, c := range word {
		s := missing(c)
		if c < utf8.RuneSelf {
			s = r.ascii[c]
		} else if id, ok := r.chars[c]; ok {
			s = id
		}
		g.sym = append(g.sym, s)
	}
	g.run(r.merges)
	unk := false // the last id is the unknown token
	for i := int32(0); i >= 0; i = g.next[i] {
		s := g.sym[i]
		if s >= 0 && int(s) < r.tokens {
			dst = append(dst, s)
			unk = false
			continue
		}
		text := string(-1 - s)
		if s >= 0 {
			text = r.extra[int(s)-r.tokens]
		}
		n := len(dst)
		wasUnk := unk
		dst, unk = r.fallback.appendText(dst, text)
		if unk && wasUnk && r.fuseUnk {
			dst = dst[:n]
		}
	}
	return dst
}

// byteFallback expresses text that the vocabulary lacks by byte tokens.
type byteFallback struct {
	id  [256]int32 // -1 where the vocabulary has no byte token
	unk int32      // -1 if absent
}

func newByteFallback(v *Vocab) byteFallback {
	f := byteFallback{unk: v.UNK}
	for i := range f.id {
		f.id[i] = -1
	}
	for i, text := range v.Tokens {
		if v.typeOf(int32(i)) != Byte {
			continue
		}
		if b, ok := parseByteToken(text); ok && f.id[b] < 0 {
			f.id[b] = int32(i)
		}
	}
	return f
}

// appendText appends the byte tokens of text, or the unknown token if the vocabulary lacks one of them, or
// nothing if it lacks that too. unk reports whether the unknown token stands for text.
func (f *byteFallback) appendText(dst []int32, text string) (out []int32, unk bool) {
	n := len(dst)
	for i := range len(text) {
		id := f.id[text[i]]
		if id < 0 {
			dst = dst[:n]
			if f.unk >= 0 {
				dst = append(dst, f.unk)
			}
			return dst, f.unk >= 0
		}
		dst = append(dst, id)
	}
	return dst, false
}
