package tokenizer

import "strings"

// Piece returns the bytes of id in a new slice: for a byte-level or byte token possibly a part of a code
// point. Control, unknown and unused tokens have bytes only if special is set; else, and for ids outside the
// vocabulary, Piece returns nil.
func (t *Tokenizer) Piece(id int32, special bool) []byte { return t.appendPiece(nil, id, special) }

func (t *Tokenizer) appendPiece(dst []byte, id int32, special bool) []byte {
	if id < 0 || int(id) >= len(t.v.Tokens) {
		return dst
	}
	text := t.v.Tokens[id]
	switch t.v.typeOf(id) {
	case Control, Unknown, Unused:
		if !special {
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
