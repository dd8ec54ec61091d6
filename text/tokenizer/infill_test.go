package tokenizer

import "testing"

func TestInfill(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []string
		want   InfillTokens
	}{
		{"none", []string{"a", "<|im_end|>"}, InfillTokens{-1, -1, -1, -1, -1}},
		{"qwen", []string{"a", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
			"<|file_sep|>"},
			InfillTokens{1, 3, 2, 5, 6}},
		{"deepseek", []string{"<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "a"}, InfillTokens{1, 0, 2, -1, -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := NewVocab(ModelRawBPE)
			v.Tokens, v.Types = c.tokens, make([]TokenType, len(c.tokens))
			for i, text := range c.tokens {
				if v.Types[i] = Control; text == "a" {
					v.Types[i] = Normal
				}
			}
			tok, err := New(v)
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Infill(); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			v.Types = make([]TokenType, len(c.tokens)) // plain words that look like markers
			if tok, err = New(v); err != nil || tok.Infill() != (InfillTokens{-1, -1, -1, -1, -1}) {
				t.Errorf("of plain words: %+v, %v", tok.Infill(), err)
			}
		})
	}
}
