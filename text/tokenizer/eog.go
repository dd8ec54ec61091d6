package tokenizer

import "slices"

// eogTexts are the texts of tokens that end a generation, whatever ids the vocabulary names.
var eogTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
	"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
	"<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>",
	"<|fim_pad|>", "<|repo_name|>", "<|fim_repo|>", "<|file_sep|>",
}

// eotTexts are the texts by which the end-of-turn token is detected; the first that exists counts.
var eotTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<turn|>", "<|endoftext|>", "<|end_of_text|>", "<EOT>",
	"_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>",
}

// hasEOT reports whether a token ends turns by its text.
func (v *Vocab) hasEOT() bool {
	return slices.ContainsFunc(v.Tokens, func(s string) bool { return slices.Contains(eotTexts, s) })
}

// initEOG collects the ids that end a generation: those that the vocabulary names, and those known by their
// text. Exceptions: gpt-oss (which has <|return|> and <|call|>) closes each message with <|end|> and goes on.
// </s> is an HTML tag among the ordinary tokens of many vocabularies, so it counts only as a control token, and
// in Gemma (known by its turn markers) not even then.
func (t *Tokenizer) initEOG() {
	v := &t.v
	byText := map[string]int32{}
	wanted := map[string]bool{}
	for _, text := range slices.Concat(eogTexts, eotTexts) {
		wanted[text] = true
	}
	for i, text := range v.Tokens {
		if text == "</s>" && v.Types != nil && v.typeOf(int32(i)) != Control {
			continue
		}
		if _, dup := byText[text]; !dup && wanted[text] {
			byText[text] = int32(i)
		}
	}
	has := func(text string) bool { _, ok := byText[text]; return ok }

	ids := slices.Clone(v.ExtraEOG)
	for _, id := range []int32{v.EOS, v.EOT, v.EOM, v.FIMPad, v.FIMRep, v.FIMSep} {
		if id >= 0 {
			ids = append(ids, id)
		}
	}
	for _, text := range eogTexts {
		if id, ok := byText[text]; ok {
			ids = append(ids, id)
		}
	}
	drop := func(text string) {
		id := byText[text]
		ids = slices.DeleteFunc(ids, func(x int32) bool { return x == id })
	}
	if has("<|return|>") && has("<|call|>") && has("<|end|>") {
		drop("<|end|>")
	}
	if (has("<|tool_response>") || has("<end_of_turn>")) && has("</s>") && byText["</s>"] != v.EOS {
		drop("</s>")
	}
	slices.Sort(ids)
	t.eog = slices.Compact(ids)
	t.isEOG = make([]uint64, len(v.Tokens)/64+1)
	for _, id := range t.eog {
		t.isEOG[id/64] |= 1 << (id % 64)
	}

	t.eot = v.EOT
	for _, text := range eotTexts {
		if id, ok := byText[text]; ok && t.eot < 0 {
			t.eot = id
		}
	}
}

// IsEOG reports whether id ends a generation. It is false for ids outside the vocabulary.
func (t *Tokenizer) IsEOG(id int32) bool {
	return id >= 0 && int(id) < len(t.v.Tokens) && t.isEOG[id/64]>>(id%64)&1 != 0
}

// EOG returns the ids that end a generation, ascending, in a new slice.
func (t *Tokenizer) EOG() []int32 { return slices.Clone(t.eog) }
