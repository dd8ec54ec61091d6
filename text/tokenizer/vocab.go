package tokenizer

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// TokenType says what kind of token an id is. The values are those of the GGUF key tokenizer.ggml.token_type.
type TokenType int32

// Token types. Undefined tokens are treated as Normal.
const (
	Undefined   TokenType = 0
	Normal      TokenType = 1 // text that the model step may form
	Unknown     TokenType = 2 // stands for what the vocabulary cannot express
	Control     TokenType = 3 // markup, such as end of turn; never formed from plain text
	UserDefined TokenType = 4 // text that always matches as a whole, before the model step
	Unused      TokenType = 5 // a reserved id, often padding of the vocabulary
	Byte        TokenType = 6 // one raw byte, spelled <0xXX>
)

// String returns the lower-case name of the type.
func (t TokenType) String() string {
	names := [...]string{"undefined", "normal", "unknown", "control", "user_defined", "unused", "byte"}
	if t < 0 || int(t) >= len(names) {
		return fmt.Sprintf("TokenType(%d)", int32(t))
	}
	return names[t]
}

// Values of Vocab.Model.
const (
	ModelGPT2   = "gpt2"   // byte-level BPE; token texts are in the printable byte alphabet
	ModelLlama  = "llama"  // SentencePiece-style BPE by scores, byte fallback, U+2581 for space
	ModelGemma4 = "gemma4" // BPE by merges on raw UTF-8, byte fallback, U+2581 for space, newline runs split off
	// BPE by merges on raw UTF-8, byte fallback; what Hugging Face files of SentencePiece models hold
	ModelRawBPE = "bpe"
	// BERT's: longest tokens first. Tokens that begin a word begin with U+2581, as in GGUF; those that go on do not
	ModelWordPiece = "bert"
	ModelUnigram   = "t5" // SentencePiece's unigram model: the cut of the largest sum of scores, U+2581 for space
)

// models lists them.
const models = ModelGPT2 + ", " + ModelLlama + ", " + ModelGemma4 + ", " + ModelRawBPE + ", " + ModelWordPiece + ", " +
	ModelUnigram

// Limits on what New accepts.
const (
	MaxTokens      = 1 << 22 // tokens in a vocabulary
	MaxMerges      = 1 << 23 // entries of Merges
	MaxTokenLength = 1 << 16 // bytes of one token's text
)

// Vocab describes a tokenizer. New does not modify it and keeps references to its slices, so the caller must
// not change them afterwards.
//
// Ids that a model lacks are -1. The zero value of an id field is token 0: start from NewVocab.
type Vocab struct {
	Model string // one of the Model constants (tokenizer.ggml.model)
	Pre   string // name of a registered pre-tokenizer (tokenizer.ggml.pre); "" means "default". ModelGPT2 only

	Tokens []string    // text of each id
	Types  []TokenType // type of each id; nil means all Normal
	Scores []float32   // score of each id; needed by ModelLlama and ModelUnigram alone
	Merges []string    // "A B" in order of rank, cut at the first space at byte 1 or later; ModelLlama, ModelWordPiece and ModelUnigram need none

	BOS, EOS, EOT, EOM, UNK, PAD int32
	FIMPad, FIMRep, FIMSep       int32 // fill-in-the-middle ids that also end a generation
	// further ids that end a generation, such as generation_config.json's eos_token_id list
	ExtraEOG []int32

	// AddBOS and AddEOS say whether Options.AddSpecial adds these tokens; nil takes the model's default.
	// ModelGemma4 always adds BOS: published files carry a wrong false.
	AddBOS, AddEOS *bool
	// Prefix and Suffix, where not nil, are the ids that Options.AddSpecial puts round the text, in place of
	// what AddBOS and AddEOS say.
	Prefix, Suffix []int32
	// Pair are the ids round two texts that EncodePair puts together; nil: those round one text, once.
	Pair *PairAffixes

	AddSpacePrefix *bool // put a space before each fragment; nil: true for ModelLlama, else false
	StripSpace     *bool // drop one leading space of decoded text; nil: as AddSpacePrefix
	IgnoreMerges   *bool // a word that is a token is emitted whole, whatever the merges say; nil: by Pre
	FuseUnk        bool  // adjacent characters that the vocabulary cannot express give one UNK (models on raw UTF-8)
	NFC            bool  // normalise fragments to NFC first (Qwen models were trained so)

	// Normalizers and Splits replace what Model and Pre imply, where not nil.
	Normalizers []Normalizer
	Splits      []Split

	// Attrs holds matching rules of special tokens that differ from the default.
	Attrs map[int32]Attr
	// LeftmostSpecial cuts special tokens out leftmost first and longest at each place, as Hugging Face
	// tokenizers do, in place of longest first over the whole text, as llama.cpp does. They differ only
	// where special tokens overlap.
	LeftmostSpecial bool

	// Notes are for the user: what the files say that is wrong and was left out, since nothing depends on it.
	Notes []string

	steps keptSteps // of a tokenizer.json
}

// Attr holds the matching rules of one special token.
type Attr struct {
	LStrip     bool // swallow whitespace before the token
	RStrip     bool // swallow whitespace after the token
	SingleWord bool // match only where no word character is next to it
	Normalized bool // match the normalised text in place of the raw text
}

// NewVocab returns a Vocab of the given model with the ids that a GGUF file means when it names none: for
// ModelLlama 0 (unknown), 1 (BOS) and 2 (EOS); else all are absent. (For ModelGPT2 llama.cpp assumes id 11 for
// both BOS and EOS, which is right for Falcon alone and an ordinary token elsewhere.)
func NewVocab(model string) Vocab {
	v := Vocab{Model: model, BOS: -1, EOS: -1, EOT: -1, EOM: -1, UNK: -1, PAD: -1, FIMPad: -1, FIMRep: -1, FIMSep: -1}
	if model == ModelLlama {
		v.UNK, v.BOS, v.EOS = 0, 1, 2
	}
	return v
}

// typeOf returns the type of id, with Undefined read as Normal.
func (v *Vocab) typeOf(id int32) TokenType {
	if v.Types == nil || v.Types[id] == Undefined {
		return Normal
	}
	return v.Types[id]
}

// check reports the first thing in v that New cannot build a tokenizer from.
func (v *Vocab) check() error {
	n := len(v.Tokens)
	switch {
	case n == 0:
		return fmt.Errorf("tokenizer: vocabulary has no tokens")
	case n > MaxTokens:
		return fmt.Errorf("tokenizer: vocabulary has %d tokens, the limit is %d", n, MaxTokens)
	case v.Types != nil && len(v.Types) != n:
		return fmt.Errorf("tokenizer: %d token types for %d tokens", len(v.Types), n)
	case v.Scores != nil && len(v.Scores) != n:
		return fmt.Errorf("tokenizer: %d scores for %d tokens", len(v.Scores), n)
	case len(v.Merges) > MaxMerges:
		return fmt.Errorf("tokenizer: %d merges, the limit is %d", len(v.Merges), MaxMerges)
	}
	switch v.Model {
	case ModelGPT2, ModelGemma4, ModelRawBPE, ModelWordPiece:
	case ModelLlama, ModelUnigram:
		if v.Scores == nil {
			return fmt.Errorf("tokenizer: model %q needs scores", v.Model)
		}
	default:
		return fmt.Errorf("tokenizer: unknown model %q (known: %s)", v.Model, models)
	}
	for i, s := range v.Tokens {
		if len(s) > MaxTokenLength {
			return fmt.Errorf("tokenizer: token %d has %d bytes, the limit is %d", i, len(s), MaxTokenLength)
		}
	}
	for i, t := range v.Types {
		if t < Undefined || t > Byte {
			return fmt.Errorf("tokenizer: token %d %q has unknown type %d", i, v.Tokens[i], int32(t))
		}
		if t == Byte {
			if _, ok := parseByteToken(v.Tokens[i]); !ok {
				return fmt.Errorf("tokenizer: byte token %d is spelled %q, not <0xXX>", i, v.Tokens[i])
			}
		}
	}
	for i, s := range v.Scores {
		if math.IsNaN(float64(s)) {
			return fmt.Errorf("tokenizer: token %d %q has score NaN", i, v.Tokens[i])
		}
	}
	return v.checkIDs()
}

// checkIDs reports the first id in v that is no index of Tokens.
func (v *Vocab) checkIDs() error {
	n := int32(len(v.Tokens))
	single := []struct {
		name string
		id   int32
	}{
		{"bos", v.BOS}, {"eos", v.EOS}, {"eot", v.EOT}, {"eom", v.EOM}, {"unk", v.UNK}, {"pad", v.PAD},
		{"fim_pad", v.FIMPad}, {"fim_rep", v.FIMRep}, {"fim_sep", v.FIMSep},
	}
	for _, s := range single {
		if s.id < -1 || s.id >= n {
			return fmt.Errorf("tokenizer: %s id %d is outside the vocabulary of %d tokens", s.name, s.id, n)
		}
	}
	lists := []struct {
		name string
		ids  []int32
	}{{"end-of-generation", v.ExtraEOG}, {"prefix", v.Prefix}, {"suffix", v.Suffix}}
	for _, l := range lists {
		for _, id := range l.ids {
			if id < 0 || id >= n {
				return fmt.Errorf("tokenizer: %s id %d is outside the vocabulary of %d tokens", l.name, id, n)
			}
		}
	}
	for id := range v.Attrs {
		if id < 0 || id >= n {
			return fmt.Errorf("tokenizer: attribute of id %d, which is outside the vocabulary of %d tokens", id, n)
		}
	}
	return nil
}

// splitMerge cuts a merges entry "A B" at its first space at byte 1 or later.
func splitMerge(m string) (a, b string, ok bool) {
	for i := 1; i < len(m); i++ {
		if m[i] == ' ' {
			return m[:i], m[i+1:], i+1 < len(m)
		}
	}
	return "", "", false
}

// parseByteToken returns the byte that a token text such as <0x0A> stands for.
func parseByteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	hi, ok1 := hexDigit(s[3])
	lo, ok2 := hexDigit(s[4])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// validUTF8 returns s with each maximal invalid subpart replaced by U+FFFD.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	out, _ := appendLossy(nil, []byte(s), true)
	return string(out)
}
