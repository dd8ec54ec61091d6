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
