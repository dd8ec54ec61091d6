package fake

import (
	"strings"
	"unicode/utf8"

	"github.com/hipengine/hipengine/engine"
)

// Tokenizer maps each byte to its value.
type Tokenizer struct{}

// Encode returns the bytes of text.
func (Tokenizer) Encode(text string) []int32 {
	ids := make([]int32, 0, len(text)+1)
	for i := range len(text) {
		ids = append(ids, int32(text[i]))
	}
	return ids
}

// EncodePrompt returns BOS and the bytes of text, which may begin with "<bos>".
func (t Tokenizer) EncodePrompt(text string) ([]int32, error) {
	return append([]int32{BOS}, t.Encode(strings.TrimPrefix(text, "<bos>"))...), nil
}

// EncodeText returns the bytes of text, in which "<bos>" and "<eog>" stand for the tokens with parseSpecial, behind
// BOS with addSpecial.
func (t Tokenizer) EncodeText(text string, addSpecial, parseSpecial bool) ([]int32, error) {
	var ids []int32
	if addSpecial {
		ids = append(ids, BOS)
	}
	for text != "" {
		before, marker := text, int32(-1)
		if parseSpecial {
			for m, id := range map[string]int32{"<bos>": BOS, "<eog>": EOG} {
				if b, _, ok := strings.Cut(text, m); ok && (marker < 0 || len(b) < len(before)) {
					before, marker = b, id
				}
			}
		}
		ids, text = append(ids, t.Encode(before)...), text[len(before):]
		if marker >= 0 {
			ids, text = append(ids, marker), text[len("<bos>"):]
		}
	}
	return ids, nil
}

// EOG returns the one token that ends a generation.
func (Tokenizer) EOG() []int32 { return []int32{EOG} }

// BOSText returns the text of BOS.
func (Tokenizer) BOSText() string { return "<bos>" }

// EOSText returns the text of EOG.
func (Tokenizer) EOSText() string { return "<eog>" }

// Decode returns the text of ids; special tokens have one if special is set.
func (Tokenizer) Decode(ids []int32, special bool) string {
	var b []byte
	for _, id := range ids {
		switch {
		case id < 256:
			b = append(b, byte(id))
		case special && id == EOG:
			b = append(b, "<eog>"...)
		case special && id == BOS:
			b = append(b, "<bos>"...)
		}
	}
	return string(b)
}

// Piece returns the bytes of an id.
func (t Tokenizer) Piece(id int32, special bool) []byte {
	return []byte(t.Decode([]int32{id}, special))
}

// NewStream returns a decoder that holds back incomplete characters.
func (t Tokenizer) NewStream(special bool) engine.Decoder { return &stream{special: special} }

type stream struct {
	special bool
	held    string
}

func (s *stream) Push(id int32) string {
	s.held += Tokenizer{}.Decode([]int32{id}, s.special)
	n := 0
	for n < len(s.held) && (utf8.FullRuneInString(s.held[n:])) {
		_, size := utf8.DecodeRuneInString(s.held[n:])
		n += size
	}
	out := s.held[:n]
	s.held = s.held[n:]
	return strings.ToValidUTF8(out, "\uFFFD")
}

func (s *stream) Flush() string {
	out := strings.ToValidUTF8(s.held, "\uFFFD")
	s.held = ""
	return out
}
