package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// englishText is a megabyte of English prose.
func englishText(b *testing.B) string {
	b.Helper()
	license, err := os.ReadFile(filepath.Join("..", "..", "LICENSE"))
	if err != nil {
		b.Fatal(err)
	}
	return strings.Repeat(string(license), 1<<20/len(license)+1)[:1<<20]
}

func benchEncode(b *testing.B, tok *Tokenizer, text string) {
	b.Helper()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	ids := 0
	for b.Loop() {
		ids = len(encode(b, tok, text, Options{}))
	}
	b.ReportMetric(float64(ids), "ids")
}

func BenchmarkEncode(b *testing.B) {
	english := englishText(b)
	long := strings.Repeat("abcdefghijklmnopqrstuvwxyz", 1<<20/26)
	ember := newTokenizer(b, emberVocab(b))
	b.Run("Ember/english", func(b *testing.B) { benchEncode(b, ember, english) })
	b.Run("Ember/long_word", func(b *testing.B) { benchEncode(b, ember, long) })
	for _, name := range []string{"llama3_1", "qwen3", "llama2"} {
		b.Run(name, func(b *testing.B) {
			tok := newTokenizer(b, hfVocab(b, name))
			b.Run("english", func(b *testing.B) { benchEncode(b, tok, english) })
			b.Run("long_word", func(b *testing.B) { benchEncode(b, tok, long) })
		})
	}
}

func BenchmarkNew(b *testing.B) {
	v := hfVocab(b, "qwen3")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	tok := newTokenizer(b, emberVocab(b))
	ids := encode(b, tok, englishText(b), Options{})
	b.ReportAllocs()
	for b.Loop() {
		s := tok.NewStream(false)
		for _, id := range ids {
			s.Push(id)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ids)), "ns/token")
}
