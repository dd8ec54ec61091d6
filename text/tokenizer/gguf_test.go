package tokenizer_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/internal/testfiles"
	_ "github.com/hipengine/hipengine/tensor/quant"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// TestFromGGUF tokenizes Ember's reference prompts with the vocabulary inside the model file; the ids were made
// with Hugging Face's tokenizers.
func TestFromGGUF(t *testing.T) {
	f, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	v, err := tokenizer.FromGGUF(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range testfiles.EmberPrompts(t) {
		ids, err := tok.Encode(p.Prompt, tokenizer.Options{ParseSpecial: true, AddSpecial: true})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p.IDs, ids); d != "" {
			t.Errorf("%q: %s", p.Prompt, d)
		}
		if got := tok.Decode(p.Greedy, true); got != p.Reply {
			t.Errorf("decoded %q, want %q", got, p.Reply)
		}
	}
	if !tok.IsEOG(2) || tok.IsEOG(5) {
		t.Error("<|im_end|> must end a generation, <tool_call> must not")
	}
}

func TestFromGGUFRejects(t *testing.T) {
	for _, c := range []struct {
		name string
		meta map[string]any
	}{
		{"no model", map[string]any{"tokenizer.ggml.tokens": []string{"a"}}},
		{"no tokens", map[string]any{"tokenizer.ggml.model": "gpt2"}},
		{"type", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": []string{"a"},
			"tokenizer.ggml.token_type": []int32{9}}},
		{"id", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": []string{"a"},
			"tokenizer.ggml.eos_token_id": uint32(1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &gguf.Meta{}
			for k, v := range c.meta {
				if err := m.Set(k, v); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := tokenizer.FromGGUF(m); err == nil {
				t.Error("no error")
			}
		})
	}
}

// TestFromGGUFNotes loads what is wrong and does not matter, and says so; the same is an error where it matters.
func TestFromGGUFNotes(t *testing.T) {
	type keys = map[string]any
	for _, c := range []struct {
		name  string
		set   keys
		notes int // -1: an error
	}{
		{"padding", keys{"padding_token_id": uint32(0xFFFFFFFF)}, 1},
		{"unknown and fill-in", keys{"unknown_token_id": uint32(9), "fim_pad_token_id": uint32(9)}, 2},
		{"EOS beside a token that ends turns", keys{"eos_token_id": uint32(9), "tokens": []string{"a", "<|im_end|>"}},
			1},
		{"EOS beside EOT", keys{"eos_token_id": uint32(9), "eot_token_id": uint32(1)}, 1},
		{"EOS alone", keys{"eos_token_id": uint32(9)}, -1},
		{"BOS that begins nothing", keys{"bos_token_id": uint32(9)}, 1},
		{"BOS that begins texts", keys{"bos_token_id": uint32(9), "add_bos_token": true}, -1},
		{"BOS by the pre-tokenizer", keys{"bos_token_id": uint32(9), "pre": "llama-bpe"}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &gguf.Meta{}
			all := keys{"model": "gpt2", "pre": "gpt-2", "tokens": []string{"a", "b"}, "merges": []string{}}
			maps.Copy(all, c.set)
			for k, v := range all {
				if err := m.Set("tokenizer.ggml."+k, v); err != nil {
					t.Fatal(err)
				}
			}
			v, err := tokenizer.FromGGUF(m)
			if err == nil {
				_, err = tokenizer.New(v)
			}
			if (err != nil) != (c.notes < 0) || c.notes >= 0 && len(v.Notes) != c.notes {
				t.Errorf("notes %q, error %v", v.Notes, err)
			}
		})
	}
}

// TestPhi3 gives the tokens of the family the rules that its published files leave out.
func TestPhi3(t *testing.T) {
	m := &gguf.Meta{}
	for k, v := range map[string]any{"general.name": "Phi-3-mini", "tokenizer.ggml.model": "llama",
		"tokenizer.ggml.tokens":     []string{"<unk>", "<s>", "</s>", "a", "<|end|>", "<|endoftext|>"},
		"tokenizer.ggml.scores":     make([]float32, 6),
		"tokenizer.ggml.token_type": []int32{2, 3, 4, 1, 3, 3}} {
		if err := m.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	v, err := tokenizer.FromGGUF(m)
	if err != nil {
		t.Fatal(err)
	}
	strip := tokenizer.Attr{RStrip: true}
	if d := cmp.Diff(map[int32]tokenizer.Attr{2: strip, 4: strip}, v.Attrs); d != "" {
		t.Error(d)
	}
}
