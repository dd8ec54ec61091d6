package tokenizer

import (
	"slices"
	"strings"
)

// visibleTexts are the texts of tokens that parsers of reasoning and tool calls need to see in the output, also
// where a vocabulary makes them control tokens. They stay control tokens in encoding: text does not form them.
var visibleTexts = []string{
	"<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", // Qwen and others
	"[THINK]", "[/THINK]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", // Mistral
	"<|python_tag|>",                                                    // Llama 3
	"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", `<|"|>`, // Gemma 4
	// DeepSeek
	"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
}

// harmonyTexts are those of gpt-oss, which is known by having <|return|> and <|call|>.
var harmonyTexts = []string{"<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"}

// initVisible finds the control tokens that are rendered like text.
func (t *Tokenizer) initVisible() {
	t.visible = map[int32]bool{}
	texts := slices.Clone(visibleTexts)
	if slices.Contains(t.v.Tokens, "<|return|>") && slices.Contains(t.v.Tokens, "<|call|>") {
		texts = append(texts, harmonyTexts...)
	}
	for i, text := range t.v.Tokens {
		if t.v.typeOf(int32(i)) == Control && slices.Contains(texts, text) {
			t.visible[int32(i)] = true
		}
	}
}

// Piece returns the bytes of id in a new slice: for a byte-level or byte token possibly a part of a code
// point. Control, unknown and unused tokens have bytes only if special is set; else, and for ids outside the
// vocabulary, Piece returns nil. Markers of reasoning and tool calls, such as <think>, count as text even
// where the vocabulary makes them control tokens, since those who parse the output need them.
func (t *Tokenizer) Piece(id int32, special bool) []byte { return t.appendPiece(nil, id, special) }

// IsMarker reports whether id stands for more than its text: plain text never forms it. See [Tokenizer.EncodePieces].
// So do ids outside the vocabulary.
func (t *Tokenizer) IsMarker(id int32) bool {
	if id < 0 || int(id) >= len(t.v.Tokens) {
		return true
	}
	switch t.v.typeOf(id) {
	case Control, Unknown, Unused:
		return true
	case UserDefined:
		return !t.special[1].words[id]
	}
	return false
}

func (t *Tokenizer) appendPiece(dst []byte, id int32, special bool) []byte {
	if id < 0 || int(id) >= len(t.v.Tokens) {
		return dst
	}
	text := t.v.Tokens[id]
	switch t.v.typeOf(id) {
	case Control, Unknown, Unused:
		if !special && !t.visible[id] {
			return dst
		}
		return append(dst, text...)
	case Byte:
		b, _ := parseByteToken(text)
		return append(dst, b)
	case UserDefined:
		if t.v.Model == ModelGPT2 {
			return append(dst, text...)
		}
	}
	if t.v.Model == ModelGPT2 {
		return alphabet().appendDecoded(dst, text)
	}
	return append(dst, strings.ReplaceAll(text, spaceMark, " ")...)
}

// Decode returns the text of ids, valid UTF-8. special renders control tokens too. Ids outside the vocabulary
// have no text. Where the vocabulary puts a space before each text, one leading space is dropped.
func (t *Tokenizer) Decode(ids []int32, special bool) string {
	s := t.NewStream(special)
	var out []byte
	for _, id := range ids {
		out = s.push(out, id)
	}
	return string(s.flush(out))
}
