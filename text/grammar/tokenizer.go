package grammar

import "github.com/hipengine/hipengine/text/tokenizer"

// FromTokenizer returns the vocabulary of a tokenizer.
func FromTokenizer(t *tokenizer.Tokenizer) (*Vocabulary, error) {
	tokens := make([]Token, t.Len())
	for i := range tokens {
		id := int32(i)
		switch _, kind := t.Token(id); kind {
		case tokenizer.Unknown, tokenizer.Unused:
		case tokenizer.Control:
			tokens[i] = Token{Bytes: t.Piece(id, true), Control: true}
		default:
			tokens[i] = Token{Bytes: t.Piece(id, false)}
		}
	}
	o := VocabularyOptions{EOG: t.EOG(), Encode: func(text string) ([]int32, error) {
		return t.Encode(text, tokenizer.Options{})
	}}
	if id, ok := t.EOT(); ok && t.IsEOG(id) { // first, since it is the one that is forced
		for i, e := range o.EOG {
			if e == id {
				o.EOG[0], o.EOG[i] = id, o.EOG[0]
			}
		}
	}
	return NewVocabulary(tokens, o)
}
