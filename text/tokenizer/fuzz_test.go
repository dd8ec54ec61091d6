package tokenizer

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzTokenizers are a byte-level one without normalisation and ones of the other models with all byte tokens.
func fuzzTokenizers(f *testing.F) (byteLevel *Tokenizer, all []*Tokenizer) {
	byteLevel = newTokenizer(f, toyVocab())
	all = append(all, byteLevel, newTokenizer(f, emberVocab(f)))
	for _, model := range []string{ModelLlama, ModelGemma4, ModelRawBPE} {
		v := NewVocab(model)
		v.Tokens = []string{"<unk>", "<s>", "</s>", "a", "▁", "▁a", "aa", "\n\n", "é", "<t>"}
		v.Types = []TokenType{Unknown, Control, Control, Normal, Normal, Normal, Normal, Normal, Normal, UserDefined}
		for b := range 256 {
			v.Tokens, v.Types = append(v.Tokens, fmt.Sprintf("<0x%02X>", b)), append(v.Types, Byte)
		}
		v.Scores = make([]float32, len(v.Tokens))
		v.Merges = []string{"▁ a", "a a"}
		v.UNK, v.BOS, v.EOS = 0, 1, 2
		all = append(all, newTokenizer(f, v))
	}
	return byteLevel, all
}

var fuzzTexts = []string{"", " ", "hello world", "a a\n\n\n<s>a</s>", "I'll pay $12.50\r\n\t é 文字 😀",
	"\xff\xfe\xe4\xbd", "<|im_end|><tool><t>", "e\u0301\u0323" + strings.Repeat("\u0308", 40), "▁a▁"}

func FuzzEncode(f *testing.F) {
	byteLevel, all := fuzzTokenizers(f)
	var pre []*Tokenizer
	for _, name := range PreTokenizers() {
		v := toyVocab()
		v.Pre = name
		pre = append(pre, newTokenizer(f, v))
	}
	for i, s := range fuzzTexts {
		f.Add(s, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, text string, parse bool) {
		want := strings.ToValidUTF8(text, "")
		for _, tok := range append(pre, byteLevel) {
			ids := encode(t, tok, want, Options{ParseSpecial: parse})
			if got := tok.Decode(ids, true); got != want {
				t.Errorf("pre-tokenizer %q: %q came back as %q by %v", tok.v.Pre, want, got, ids)
			}
		}
		for _, tok := range all {
			for _, id := range encode(t, tok, text, Options{ParseSpecial: parse, AddSpecial: true}) {
				if id < 0 || int(id) >= tok.Len() {
					t.Errorf("id %d of %d", id, tok.Len())
				}
				if typ := tok.v.typeOf(id); !parse && typ == Control && id != tok.v.BOS {
					t.Errorf("%s: text %q formed control token %d", tok.v.Model, text, id)
				}
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	_, all := fuzzTokenizers(f)
	for i, s := range fuzzTexts {
		f.Add([]byte(s), i%2 == 0)
	}
	f.Add([]byte{0xC3, 0xC3, 0xA9, 0xF0, 0x9F, 0xE2, 0x82}, true)
	f.Fuzz(func(t *testing.T, data []byte, special bool) {
		for _, tok := range all {
			var ids []int32
			var bytes []byte
			for _, b := range data {
				id := int32(b)
				if tok.v.Model != ModelGPT2 {
					id += 10 - int32(b)%3*4 // byte tokens and those before them
				}
				ids = append(ids, id)
				bytes = append(bytes, tok.Piece(id, special)...)
			}
			s := tok.NewStream(special)
			var got strings.Builder
			for _, id := range ids {
				part := s.Push(id)
				if !utf8.ValidString(part) {
					t.Fatalf("%s: Push gave %q", tok.v.Model, part)
				}
				got.WriteString(part)
			}
			got.WriteString(s.Flush())
			if d := tok.Decode(ids, special); d != got.String() {
				t.Fatalf("%s: stream %q, Decode %q", tok.v.Model, got.String(), d)
			}
			if tok.strip && len(bytes) > 0 && bytes[0] == ' ' {
				bytes = bytes[1:]
			}
			if utf8.Valid(bytes) && string(bytes) != got.String() {
				t.Fatalf("%s: stream %q, pieces %q", tok.v.Model, got.String(), bytes)
			}
		}
	})
}
