package hf

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// TestEncoderVocabKeys reads the tokenizers of encoders back from the keys of a GGUF file: a plain one, one whose steps
// those keys cannot express, and one with scores.
func TestEncoderVocabKeys(t *testing.T) {
	word := map[string]any{
		"normalizer":     map[string]any{"type": "BertNormalizer", "lowercase": true},
		"pre_tokenizer":  map[string]any{"type": "BertPreTokenizer"},
		"decoder":        map[string]any{"type": "WordPiece"},
		"post_processor": map[string]any{"type": "BertProcessing", "cls": []any{"[CLS]", 2}, "sep": []any{"[SEP]", 3}},
		"added_tokens": []any{map[string]any{"id": 1, "content": "[UNK]", "special": true},
			map[string]any{"id": 2, "content": "[CLS]", "special": true}, map[string]any{"id": 3, "content": "[SEP]", "special": true}},
		"model": map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
			"vocab": map[string]any{"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "he": 4, "##llo": 5, "!": 6, "é": 7}},
	}
	accents := maps.Clone(word)
	accents["normalizer"] = map[string]any{"type": "BertNormalizer", "lowercase": true, "strip_accents": false}
	scores := maps.Clone(word)
	scores["normalizer"] = map[string]any{"type": "Replace", "pattern": map[string]any{"Regex": " {2,}"}, "content": " "}
	scores["pre_tokenizer"] = map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}
	scores["decoder"] = map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}
	scores["model"] = map[string]any{"type": "Unigram", "unk_id": 1, "vocab": []any{[]any{"[PAD]", 0}, []any{"[UNK]", 0},
		[]any{"[CLS]", 0}, []any{"[SEP]", 0}, []any{"▁", -1}, []any{"▁he", -2}, []any{"llo", -3}, []any{"!", -4}}}
	for name, c := range map[string]struct {
		doc   map[string]any
		steps bool // are in a key of our own
	}{"plain": {word, false}, "accents": {accents, true}, "scores": {scores, true}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(testfiles.Path(t, "fixtures2/emb_bert"))); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(c.doc)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, dir, "tokenizer.json", text)
			writeFile(t, dir, "tokenizer_config.json", []byte("{}"))
			f := openFolder(t, dir)
			if err := f.Convertible(); err != nil || f.Meta.Has(tokenizer.KeySteps) != c.steps {
				t.Errorf("convertible: %v; steps %v", err, f.Meta.Has(tokenizer.KeySteps))
			}
			v, err := tokenizer.FromGGUF(f.Meta)
			if err != nil {
				t.Fatal(err)
			}
			from, err := tokenizer.New(f.Vocab)
			if err != nil {
				t.Fatal(err)
			}
			to, err := tokenizer.New(v)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"", "Hello!", "  he  hello é ", "E\u0301 [SEP]\tx"} {
				a, at, err1 := from.EncodePair(text, "he!")
				b, too, err2 := to.EncodePair(text, "he!")
				if err1 != nil || err2 != nil || at != too || !slices.Equal(a, b) || len(a) < 3 || a[0] != 2 ||
					a[len(a)-1] != 3 {
					t.Errorf("%q: ids %v and %v (%v, %v)", text, a, b, err1, err2)
				}
			}
		})
	}
}
