package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// wordPiecePrefix begins tokens that go on with a word, in tokenizer.json.
const wordPiecePrefix = "##"

// unigram reads the vocabulary of a model of type Unigram: pairs of a text and its score.
func (l *hfLoader) unigram() (map[string]int64, error) {
	var list [][2]any
	if err := json.Unmarshal(l.file.Model.Vocab, &list); err != nil {
		return nil, fmt.Errorf("model vocab: %w", err)
	}
	if l.file.Model.ByteFallback {
		return nil, fmt.Errorf("model of type Unigram has byte_fallback, which is not read")
	}
	vocab := make(map[string]int64, len(list))
	for i, pair := range list {
		text, ok1 := pair[0].(string)
		score, ok2 := pair[1].(float64)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("model vocab: entry %d is no text with its score", i)
		}
		if _, dup := vocab[text]; dup {
			return nil, fmt.Errorf("model vocab: %q is there twice", clip(text))
		}
		vocab[text] = int64(i)
		l.v.Scores = append(l.v.Scores, float32(score))
	}
	return vocab, nil
}

// encoderTokens brings tokens into the form of a Vocab: those of WordPiece as in GGUF, with a mark where a word begins;
// and gives added tokens of Unigram, which the model step does not form, a score.
func (l *hfLoader) encoderTokens() error {
	v := &l.v
	if v.Model == ModelUnigram {
		for len(v.Scores) < len(v.Tokens) {
			v.Scores = append(v.Scores, 0)
		}
	}
	if v.Model != ModelWordPiece {
		return nil
	}
	if v.UNK < 0 {
		return fmt.Errorf("model of type WordPiece has no unk_token")
	}
	for i, text := range v.Tokens {
		if v.Types[i] != Normal {
			continue
		}
		if rest, ok := strings.CutPrefix(text, wordPiecePrefix); ok && rest != "" {
			v.Tokens[i] = rest
		} else {
			v.Tokens[i] = spaceMark + text
		}
	}
	return nil
}

// namedID returns the id of a text and its id.
func (l *hfLoader) namedID(pair []any) (int32, error) {
	if len(pair) == 2 {
		text, _ := pair[0].(string)
		id, ok := pair[1].(float64)
		if ok && id >= 0 && id < float64(len(l.v.Tokens)) && l.v.Tokens[int(id)] == text {
			return int32(id), nil
		}
	}
	return 0, fmt.Errorf("post_processor names %v, which is no token with its id", pair)
}
