package tokenizer

import "slices"

// InfillTokens are the special tokens of models that were trained to fill in text between other text; -1 where the
// vocabulary has none.
type InfillTokens struct {
	Prefix, Suffix, Middle int32 // before what comes before, what comes after, and what is wanted
	Repo, File             int32 // before the name of a repository, and of a file
}

// infillTexts are the texts of these tokens in published vocabularies: Qwen's and StarCoder's with their kin,
// DeepSeek's, CodeLlama's, GLM's.
var infillTexts = []struct {
	of    func(*InfillTokens) *int32
	texts []string
}{
	{func(t *InfillTokens) *int32 { return &t.Prefix },
		[]string{"<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
			"<|code_prefix|>"}},
	{func(t *InfillTokens) *int32 { return &t.Suffix },
		[]string{"<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
			"<|code_suffix|>"}},
	{func(t *InfillTokens) *int32 { return &t.Middle },
		[]string{"<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
			"<|code_middle|>"}},
	{func(t *InfillTokens) *int32 { return &t.Repo }, []string{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>",
		"<reponame>", "<REPO>"}},
	{func(t *InfillTokens) *int32 { return &t.File }, []string{"<|file_sep|>", "<|file_separator|>", "<filename>"}},
}

// Infill returns the tokens for text between other text, found by their texts.
func (t *Tokenizer) Infill() InfillTokens {
	out := InfillTokens{-1, -1, -1, -1, -1}
	for i := range int32(t.Len()) {
		text, typ := t.Token(i)
		if typ != Control && typ != UserDefined {
			continue
		}
		for _, k := range infillTexts {
			if id := k.of(&out); *id < 0 && slices.Contains(k.texts, text) {
				*id = i
			}
		}
	}
	return out
}
