package tokenizer

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Options says how Encode reads a text. The zero value is right for text that users wrote.
type Options struct {
	// ParseSpecial lets control and unknown tokens match their text. Set it only for text that the program
	// itself rendered: with it, a user who writes "<|im_end|>" ends the turn. See [Tokenizer.EncodePieces] for
	// texts that have parts of both kinds.
	ParseSpecial bool
	// AddSpecial puts BOS and EOS (or what else the vocabulary asks for) round the ids, whatever the text is.
	// See [Tokenizer.EncodePrompt] for texts that may begin with BOS.
	AddSpecial bool
}

// maxWord is the longest word in bytes that the model step sees whole. A longer one is cut at a code point,
// which bounds memory and keeps positions within 32 bits.
const maxWord = 16 << 20

// Encode returns the ids of text, in a new slice. Bytes that are not UTF-8 are read as U+FFFD. Time is
// O(n log n) and memory O(n) in the length of the text, whatever it holds, unless the vocabulary splits by patterns
// that this package does not know: these have limits of time and memory, and running into one is the only error there
// is.
func (t *Tokenizer) Encode(text string, o Options) ([]int32, error) {
	return t.encode(validUTF8(text), nil, o)
}

// encode encodes UTF-8. Markers that touch plain bytes are no markers.
func (t *Tokenizer) encode(text string, plain plainRanges, o Options) ([]int32, error) {
	e := t.encoders.Get().(*encoder)
	defer t.encoders.Put(e)
	e.start(len(text))
	if o.AddSpecial {
		e.out = append(e.out, t.prefix...)
	}
	e.parse = 0
	if o.ParseSpecial {
		e.parse = 1
	}
	for _, f := range t.special[e.parse].cut(nil, text, plain, e.classes) {
		if f.id >= 0 {
			e.out = append(e.out, f.id)
		} else {
			e.fragment(f.text, f.begin, plain)
		}
	}
	out := e.out
	e.out = nil
	if e.err != nil {
		return nil, e.err
	}
	if o.AddSpecial {
		out = append(out, t.suffix...)
	}
	return out, nil
}

// EncodePrompt returns the ids of a text that a model shall go on with. The texts of special tokens stand for them;
// for conversations, whose messages must not forge any, see [Tokenizer.EncodePieces]. BOS (or what else the
// vocabulary puts before a text) comes first, once: many templates print it, and a second one harms answers. Nothing
// follows.
func (t *Tokenizer) EncodePrompt(text string) ([]int32, error) {
	return t.EncodePieces([]Piece{{Text: text}})
}

// encoder is the scratch memory of one Encode call.
type encoder struct {
	t       *Tokenizer
	classes *classTable
	out     []int32
	parse   int // index of the special tokens in use
	err     error
	size    int // bytes of the text
	// deadline of patterns that backtrack; zero until the first is used
	deadline time.Time
	merger   merger
	cache    *wordCache // nil: none
}

func newEncoder(t *Tokenizer) *encoder {
	return &encoder{t: t, classes: classes(), cache: &wordCache{at: map[string]cached{}}}
}

// start makes e ready for a text of size bytes.
func (e *encoder) start(size int) {
	e.out = make([]int32, 0, size/3+8)
	e.err, e.size, e.deadline = nil, size, time.Time{}
}

// fragment encodes text between special tokens, which stands at byte begin of the whole.
func (e *encoder) fragment(s string, begin int, plain plainRanges) {
	first := begin == 0
	special := e.t.normSpecial[e.parse]
	if len(special.ids) == 0 {
		e.splitFrom(0, e.t.normalize(s), first)
		return
	}
	s, plain = e.t.normalizePlain(s, plain.marks(begin, begin+len(s)))
	for _, f := range special.cut(nil, s, plain, e.classes) {
		if f.id >= 0 {
			e.out = append(e.out, f.id)
		} else {
			e.splitFrom(0, f.text, first && f.begin == 0)
		}
	}
}

// word encodes one word.
func (e *encoder) word(s string) {
	if e.cache != nil && len(s) <= maxCachedWord {
		if ids, ok := e.cache.get(s); ok {
			e.out = append(e.out, ids...)
			return
		}
		n := len(e.out)
		e.out = e.t.model.encode(e.out, s, &e.merger)
		e.cache.put(s, e.out[n:])
		return
	}
	for len(s) > maxWord {
		cut := maxWord
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		e.out = e.t.model.encode(e.out, s[:cut], &e.merger)
		s = s[cut:]
	}
	e.out = e.t.model.encode(e.out, s, &e.merger)
	if cap(e.merger.sym) > 1<<20 {
		e.merger = merger{} // do not keep the memory of one huge word in the pool
	}
}

// Bounds of the word cache: about 1 MB for each goroutine that encodes at the same time.
const (
	maxCachedWord  = 32
	maxCachedWords = 1 << 13
)

// wordCache remembers the ids of short words. When full, it is emptied.
type wordCache struct {
	at  map[string]cached
	ids []int32
}

type cached struct{ begin, end int32 }

func (c *wordCache) get(s string) ([]int32, bool) {
	p, ok := c.at[s]
	return c.ids[p.begin:p.end], ok
}

func (c *wordCache) put(s string, ids []int32) {
	if len(c.at) >= maxCachedWords {
		clear(c.at)
		c.ids = c.ids[:0]
	}
	begin := len(c.ids)
	c.ids = append(c.ids, ids...)
	c.at[strings.Clone(s)] = cached{int32(begin), int32(len(c.ids))}
}
