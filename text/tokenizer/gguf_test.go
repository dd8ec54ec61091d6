package tokenizer_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/ember"
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
	b, err := os.ReadFile("../../testdata/ember/prompts.json")
	if err != nil {
		t.Fatal(err)
	}
	var prompts []struct {
		Prompt, Reply string
		IDs, Greedy   []int32
	}
	if err := json.Unmarshal(b, &prompts); err != nil || len(prompts) == 0 {
		t.Fatalf("%d prompts: %v", len(prompts), err)
	}
	for _, p := range prompts {
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
