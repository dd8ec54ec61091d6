package hipengine

import (
	"sync"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// Tokenizer turns text into token ids and back. It does not change, and may be used from several goroutines.
type Tokenizer struct {
	tok   *tokenizer.Tokenizer
	vocab func() (*grammar.Vocabulary, error) // made when it is first needed
}

func newTokenizer(tok *tokenizer.Tokenizer) *Tokenizer {
	return &Tokenizer{tok, sync.OnceValues(func() (*grammar.Vocabulary, error) { return grammar.FromTokenizer(tok) })}
}

// Vocabulary returns the tokens in the form that grammars need.
func (t *Tokenizer) Vocabulary() (*grammar.Vocabulary, error) { return t.vocab() }

// EncodeOptions say how [Tokenizer.Encode] reads a text. The zero value is right for text that users wrote.
type EncodeOptions struct {
	// ParseSpecial lets control tokens match their text. Set it for text alone that the program made: with it, a user
	// who writes "<|im_end|>" ends the turn.
	ParseSpecial bool
	// AddSpecial puts BOS and EOS (or what else the vocabulary asks for) round the ids.
	AddSpecial bool
}

// Encode returns the ids of text, in a new slice. Bytes that are not UTF-8 are read as U+FFFD. Vocabularies that split
// text by patterns that nobody knows have limits of time and memory; running into one is the only error there is.
func (t *Tokenizer) Encode(text string, o EncodeOptions) ([]int32, error) {
	return t.tok.Encode(text, tokenizer.Options{ParseSpecial: o.ParseSpecial, AddSpecial: o.AddSpecial})
}

// EncodeText is Encode for those who do not know EncodeOptions, such as servers.
func (t *Tokenizer) EncodeText(text string, addSpecial, parseSpecial bool) ([]int32, error) {
	return t.Encode(text, EncodeOptions{AddSpecial: addSpecial, ParseSpecial: parseSpecial})
}

// InfillTokens returns the special tokens for text between other text: those before what comes before, what comes
// after and what is wanted, and before the names of a repository and of a file. -1 is none.
func (t *Tokenizer) InfillTokens() (prefix, suffix, middle, repo, file int32) {
	f := t.tok.Infill()
	return f.Prefix, f.Suffix, f.Middle, f.Repo, f.File
}

// EOG returns the ids that end a generation, in a new slice.
func (t *Tokenizer) EOG() []int32 { return t.tok.EOG() }

// BOSText returns the text of the token with which texts begin; empty if there is none.
func (t *Tokenizer) BOSText() string { return t.text(t.tok.BOS()) }

// EOSText returns the text of the token with which texts end; empty if there is none.
func (t *Tokenizer) EOSText() string { return t.text(t.tok.EOS()) }

func (t *Tokenizer) text(id int32, ok bool) string {
	if !ok {
		return ""
	}
	text, _ := t.tok.Token(id)
	return text
}

// EncodePrompt returns the ids of a text to go on with, in which the texts of special tokens stand for them. What the
// model expects before a text, such as BOS, comes first, once. It is not for text that users wrote. The error is that
// of Encode.
func (t *Tokenizer) EncodePrompt(text string) ([]int32, error) { return t.tok.EncodePrompt(text) }

// Decode returns the text of ids, valid UTF-8; special renders control tokens too.
func (t *Tokenizer) Decode(ids []int32, special bool) string { return t.tok.Decode(ids, special) }

// Piece returns the bytes of an id in a new slice, which may be a part of a character. Control tokens have bytes only
// if special is set, but for the markers of thoughts and tool calls.
func (t *Tokenizer) Piece(id int32, special bool) []byte { return t.tok.Piece(id, special) }

// NewStream returns a decoder for the ids of one text, which gives each piece as soon as its characters are complete.
// It serves one goroutine.
func (t *Tokenizer) NewStream(special bool) engine.Decoder { return t.tok.NewStream(special) }

// VocabSize returns the number of ids; valid ones are 0 to VocabSize()-1.
func (t *Tokenizer) VocabSize() int { return t.tok.Len() }
