package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MaxTokenizerJSON is the largest tokenizer.json or tokenizer_config.json in bytes that FromHF reads.
const MaxTokenizerJSON = 256 << 20

// hfFile is what FromHF reads of a tokenizer.json.
type hfFile struct {
	AddedTokens   []hfAdded `json:"added_tokens"`
	Normalizer    *hfStep   `json:"normalizer"`
	PreTokenizer  *hfStep   `json:"pre_tokenizer"`
	PostProcessor *hfStep   `json:"post_processor"`
	Decoder       *hfStep   `json:"decoder"`
	Model         struct {
		Type         string          `json:"type"`
		UnkToken     *string         `json:"unk_token"`
		WordPrefix   string          `json:"continuing_subword_prefix"`
		WordSuffix   string          `json:"end_of_word_suffix"`
		FuseUnk      bool            `json:"fuse_unk"`
		ByteFallback bool            `json:"byte_fallback"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
		UnkID        *int64          `json:"unk_id"`                   // Unigram
		MaxChars     *int            `json:"max_input_chars_per_word"` // WordPiece
	} `json:"model"`
}

// hfAdded is an entry of added_tokens, or of added_tokens_decoder in tokenizer_config.json.
type hfAdded struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// hfConfig is what FromHF reads of a tokenizer_config.json.
type hfConfig struct {
	BOS         hfToken            `json:"bos_token"`
	EOS         hfToken            `json:"eos_token"`
	UNK         hfToken            `json:"unk_token"`
	PAD         hfToken            `json:"pad_token"`
	AddBOS      *bool              `json:"add_bos_token"`
	AddEOS      *bool              `json:"add_eos_token"`
	AddedTokens map[string]hfAdded `json:"added_tokens_decoder"`
}

// hfToken is a token given by its text, or by an object with the text as "content".
type hfToken string

// UnmarshalJSON implements json.Unmarshaler. Anything but a string or an object with one counts as absent.
func (t *hfToken) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = hfToken(s)
		return nil
	}
	var o struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(b, &o) == nil {
		*t = hfToken(o.Content)
	}
	return nil
}

// FromHF reads a Hugging Face tokenizer.json with a model of type BPE, WordPiece or Unigram, and the tokenizer_config.json that goes
// with it (nil if there is none), into a Vocab for New. What the result could not reproduce exactly is an
// error that names it: other models, unknown steps, and split patterns whose syntax the engine for unknown patterns
// does not share with Oniguruma.
//
// Special added tokens become Control tokens, others UserDefined ones. BOS and EOS come from the config, else
// from the post-processor.
func FromHF(tokenizerJSON, configJSON []byte) (Vocab, error) {
	if len(tokenizerJSON) > MaxTokenizerJSON || len(configJSON) > MaxTokenizerJSON {
		return Vocab{}, fmt.Errorf(
			"tokenizer: tokenizer.json of %d bytes and tokenizer_config.json of %d bytes, the limit is %d",
			len(tokenizerJSON), len(configJSON), MaxTokenizerJSON)
	}
	var f hfFile
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		return Vocab{}, fmt.Errorf("tokenizer: tokenizer.json: %w", err)
	}
	var c hfConfig
	if len(configJSON) > 0 {
		if err := json.Unmarshal(configJSON, &c); err != nil {
			return Vocab{}, fmt.Errorf("tokenizer: tokenizer_config.json: %w", err)
		}
	}
	l := &hfLoader{file: &f, config: &c, v: NewVocab(ModelRawBPE), byText: map[string]int32{}}
	for _, step := range []func() error{l.model, l.addedTokens, l.merges, l.normalizer, l.preTokenizer, l.decoder,
		l.postProcessor, l.configTokens, l.encoderTokens} {
		if err := step(); err != nil {
			return Vocab{}, fmt.Errorf("tokenizer: tokenizer.json: %w", err)
		}
	}
	l.v.steps = keptSteps{Normalizer: f.Normalizer, PreTokenizer: f.PreTokenizer, Decoder: f.Decoder}
	return l.v, nil
}

// hfLoader fills v from the files step by step.
type hfLoader struct {
	file   *hfFile
	config *hfConfig
	v      Vocab
	byText map[string]int32
}

// model reads the vocabulary.
func (l *hfLoader) model() error {
	m := &l.file.Model
	var vocab map[string]int64
	switch m.Type {
	case "BPE", "":
	case "WordPiece":
		l.v.Model = ModelWordPiece
		if m.WordPrefix != wordPiecePrefix || m.MaxChars != nil && *m.MaxChars != maxWordPiece {
			return fmt.Errorf("model has continuing_subword_prefix %q and max_input_chars_per_word %d, which must be %q and %d",
				clip(m.WordPrefix), deref(m.MaxChars), wordPiecePrefix, maxWordPiece)
		}
		m.WordPrefix = ""
	case "Unigram":
		l.v.Model = ModelUnigram
		var err error
		if vocab, err = l.unigram(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("model type %q is not BPE, WordPiece or Unigram", clip(m.Type))
	}
	if m.WordPrefix != "" || m.WordSuffix != "" {
		return fmt.Errorf("model has continuing_subword_prefix %q and end_of_word_suffix %q, which must be empty",
			clip(m.WordPrefix), clip(m.WordSuffix))
	}
	if len(m.Vocab) == 0 {
		return fmt.Errorf("model has no vocab")
	}
	if vocab == nil {
		if err := json.Unmarshal(m.Vocab, &vocab); err != nil {
			return fmt.Errorf("model vocab: %w", err)
		}
	}
	added := slices.Clone(l.file.AddedTokens)
	known := map[int64]bool{}
	for _, a := range added {
		known[a.ID] = true
	}
	for key, a := range l.config.AddedTokens {
		id, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return fmt.Errorf("added_tokens_decoder has key %q, not an id", clip(key))
		}
		if a.ID = id; !known[id] {
			added = append(added, a)
		}
	}
	l.file.AddedTokens = added

	// Ids may have gaps, but not so many that a small file makes a large table.
	limit := min(4*int64(len(vocab)+len(added))+1<<16, MaxTokens)
	size := int64(0)
	grow := func(text string, id int64) error {
		if id < 0 || id >= limit {
			return fmt.Errorf("token %q has id %d, the limit for %d tokens is %d", clip(text), id,
				len(vocab)+len(added), limit)
		}
		size = max(size, id+1)
		return nil
	}
	for text, id := range vocab {
		if err := grow(text, id); err != nil {
			return err
		}
	}
	for _, a := range added {
		if err := grow(a.Content, a.ID); err != nil {
			return err
		}
	}
	v := &l.v
	v.Tokens = make([]string, size)
	v.Types = make([]TokenType, size)
	for i := range v.Types {
		v.Types[i] = Unused
	}
	for text, id := range vocab {
		if v.Types[id] != Unused {
			return fmt.Errorf("tokens %q and %q have the same id %d", clip(v.Tokens[id]), clip(text), id)
		}
		v.Tokens[id], v.Types[id] = text, Normal
		if _, ok := parseByteToken(text); ok && m.ByteFallback {
			v.Types[id] = Byte
		}
		l.byText[text] = int32(id)
	}
	if m.UnkID != nil && *m.UnkID >= 0 && *m.UnkID < int64(len(vocab)) {
		v.UNK, v.Types[*m.UnkID] = int32(*m.UnkID), Unknown
	}
	v.IgnoreMerges = &m.IgnoreMerges
	v.FuseUnk = m.FuseUnk
	v.LeftmostSpecial = true
	if m.UnkToken != nil {
		if id, ok := l.byText[*m.UnkToken]; ok {
			v.UNK, v.Types[id] = id, Unknown
		}
	}
	return nil
}

// addedTokens reads the special tokens.
func (l *hfLoader) addedTokens() error {
	v := &l.v
	v.Attrs = map[int32]Attr{}
	for _, a := range l.file.AddedTokens {
		id := int32(a.ID)
		if v.Types[id] != Unused && v.Tokens[id] != a.Content {
			return fmt.Errorf("added token %q has the id %d of token %q", clip(a.Content), id, clip(v.Tokens[id]))
		}
		v.Tokens[id], v.Types[id] = a.Content, UserDefined
		if a.Special {
			v.Types[id] = Control
		}
		if at := (Attr{a.LStrip, a.RStrip, a.SingleWord, a.Normalized}); at != (Attr{}) {
			v.Attrs[id] = at
		}
		l.byText[a.Content] = id
	}
	return nil
}

// merges reads the merges, which are strings "A B" or pairs of strings.
func (l *hfLoader) merges() error {
	raw := bytes.TrimSpace(l.file.Model.Merges)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if inner := bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("["))); len(inner) == 0 || inner[0] != '[' {
		if err := json.Unmarshal(raw, &l.v.Merges); err != nil {
			return fmt.Errorf("model merges: %w", err)
		}
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return fmt.Errorf("model merges: %w", err)
	}
	l.v.Merges = make([]string, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("model merge %d has %d parts, not 2", i, len(p))
		}
		line := p[0] + " " + p[1]
		if a, b, ok := splitMerge(line); !ok || a != p[0] || b != p[1] {
			return fmt.Errorf("model merge %d of %q and %q has an empty part or a space", i, clip(p[0]), clip(p[1]))
		}
		l.v.Merges[i] = line
	}
	return nil
}

// configTokens reads the config's named tokens, and corrects what surrounds a text by its flags.
func (l *hfLoader) configTokens() error {
	v, c := &l.v, l.config
	for _, t := range []struct {
		name string
		text hfToken
		id   *int32
	}{{"bos_token", c.BOS, &v.BOS}, {"eos_token", c.EOS, &v.EOS}, {"unk_token", c.UNK, &v.UNK},
		{"pad_token", c.PAD, &v.PAD}} {
		if t.text == "" {
			continue
		}
		id, ok := l.byText[string(t.text)]
		if ok {
			*t.id = id
			continue
		}
		wrong := fmt.Sprintf("%s %q of tokenizer_config.json is no token", t.name, clip(string(t.text)))
		if needed := t.id == &v.BOS && c.AddBOS != nil && *c.AddBOS || t.id == &v.EOS && c.AddEOS != nil &&
			*c.AddEOS; needed {
			return errors.New(wrong)
		}
		v.Notes = append(v.Notes, wrong+"; it is left out")
	}
	if c.UNK != "" && l.file.Model.UnkToken == nil {
		v.UNK = -1 // the model step does not use it
	}
	if c.AddBOS != nil && v.BOS >= 0 {
		v.Prefix = slices.DeleteFunc(v.Prefix, func(id int32) bool { return id == v.BOS })
		if *c.AddBOS {
			v.Prefix = slices.Insert(v.Prefix, 0, v.BOS)
		}
	}
	if c.AddEOS != nil && v.EOS >= 0 {
		v.Suffix = slices.DeleteFunc(v.Suffix, func(id int32) bool { return id == v.EOS })
		if *c.AddEOS {
			v.Suffix = append(v.Suffix, v.EOS)
		}
	}
	for i, s := range v.Tokens {
		if !utf8.ValidString(s) {
			return fmt.Errorf("token %d %q is not UTF-8", i, clip(s))
		}
	}
	return nil
}
