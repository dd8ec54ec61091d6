package serve

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/openai"
)

// sampling returns the sampling parameters of a request: its own, else the server's, else the model's, else those of
// package sample. A seed that nobody names is drawn.
func (s *Server) sampling(m *Model, o *openai.Options, prompts [][]int32) (sample.Params, error) {
	err := errors.Join(m.checkIDs("logit_bias", slices.Sorted(maps.Keys(o.Sampling.LogitBias))),
		m.checkIDs("stop_token_ids", o.StopTokens), m.checkIDs("prompt", prompts...))
	if err != nil {
		return sample.Params{}, err
	}
	params := o.Sampling.Apply(s.c.Sampling.Apply(m.Defaults.Apply(sample.Defaults())))
	params.Piece = func(id int32) []byte { return m.Tokenizer.Piece(id, false) }
	if o.Sampling.Seed == nil && s.c.Sampling.Seed == nil && m.Defaults.Seed == nil {
		var b [8]byte
		rand.Read(b[:])
		params.Seed = binary.LittleEndian.Uint64(b[:])
	}
	if err := m.biasTexts(o.BiasTexts, &params); err != nil {
		return params, err
	}
	return params, m.badWords(o.BadWords, &params)
}

// checkIDs reports ids of a field that the vocabulary does not have.
func (m *Model) checkIDs(param string, lists ...[]int32) error {
	vocab := m.Engine.Limits().Vocab
	for _, ids := range lists {
		for _, id := range ids {
			if int(id) >= vocab {
				return &openai.Error{
					Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: param,
					Code:    openai.CodeValue,
					Message: fmt.Sprintf("token %d: the model's vocabulary has ids 0 to %d", id, vocab-1),
				}
			}
		}
	}
	return nil
}

// biasTexts adds the biases of the tokens of texts.
func (m *Model) biasTexts(texts []openai.TextBias, p *sample.Params) error {
	if len(texts) == 0 {
		return nil
	}
	p.LogitBias = maps.Clone(p.LogitBias)
	for _, t := range texts {
		ids, err := m.Tokenizer.EncodeText(t.Text, false, false)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p.LogitBias[id] += t.Bias
		}
	}
	return nil
}

// badWords makes tokens of words that must not be said, as they are and, if that is another token and no more of them,
// behind a space. That is vLLM's rule.
func (m *Model) badWords(words []string, p *sample.Params) error {
	for _, w := range words {
		bare := strings.TrimLeft(w, " ")
		if bare == "" {
			bare = w
		}
		ids, err := m.Tokenizer.EncodeText(bare, false, false)
		if err != nil {
			return err
		}
		spaced, err := m.Tokenizer.EncodeText(" "+bare, false, false)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			p.BadWords = append(p.BadWords, ids)
		}
		if len(ids) > 0 && len(spaced) == len(ids) && spaced[0] != ids[0] {
			p.BadWords = append(p.BadWords, spaced)
		}
	}
	return nil
}
