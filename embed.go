package hipengine

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/models"
)

// poolingRank is the value of Options.Pooling for models that rank, beside the names of [engine.Pooling].
const poolingRank = "rank"

// EmbedOptions say what [Model.Embed] returns. The zero value takes what the model was made for.
type EmbedOptions struct {
	// Pooling makes one vector of the hidden states of a text's tokens: last, mean or cls. Empty is [Model.Pooling].
	Pooling string

	// Dimensions cuts vectors to their first numbers, before they get length 1: models that were trained for it
	// (Matryoshka) put what matters most there. 0 keeps all.
	Dimensions int
}

// Embed returns a vector of length 1 for each text. Texts of special tokens in them are plain text. Every model that
// writes can embed, though those that were made for it do it better. The texts are read in common steps beside answers
// that are being made, as many at a time as Options.Sequences allows. Errors are those of [Model.Chat], and
// *[OptionError].
func (m *Model) Embed(ctx context.Context, texts []string, o EmbedOptions) ([][]float32, error) {
	pooling := m.pooling
	if o.Pooling != "" {
		var err error
		if pooling, err = engine.ParsePooling(o.Pooling); err != nil {
			return nil, &OptionError{Option: "Pooling", Err: err}
		}
	}
	if pooling == engine.PoolNone {
		return nil, &OptionError{Option: "Pooling",
			Reason: "none gives no single vector of a text: want last, mean or cls"}
	}
	if most := m.runner.Limits().Embd; o.Dimensions < 0 || o.Dimensions > most {
		return nil, &OptionError{Option: "Dimensions",
			Reason: fmt.Sprintf("%d is outside 0..%d, the model's", o.Dimensions, most)}
	}
	prompts := make([][]int32, len(texts))
	for i, text := range texts {
		var err error
		if prompts[i], err = m.EncodeEmbed(text); err != nil {
			return nil, err
		}
	}
	vectors, err := m.hidden(ctx, prompts, pooling)
	if err != nil {
		return nil, err
	}
	for i := range vectors {
		if o.Dimensions > 0 {
			vectors[i] = vectors[i][:o.Dimensions]
		}
		engine.Normalize(vectors[i])
	}
	return vectors, nil
}

// EncodeEmbed returns the ids that stand for a text to be embedded: between the tokens, such as BOS and EOS, that the
// model was made to see round a text. The error is that of [Tokenizer.Encode].
func (m *Model) EncodeEmbed(text string) ([]int32, error) {
	return m.Encode(text, EncodeOptions{AddSpecial: true})
}

// Pooling is how the model makes one vector of a text, where nobody asks for another way: Options.Pooling, or what its
// file says, or else the last token's state, which has seen the whole text, and of an encoder the mean.
func (m *Model) Pooling() engine.Pooling { return m.pooling }

// hidden returns the pooled hidden states of prompts.
func (m *Model) hidden(ctx context.Context, prompts [][]int32, p engine.Pooling) ([][]float32, error) {
	requests := make([]engine.EmbedRequest, len(prompts))
	for i, ids := range prompts {
		requests[i] = engine.EmbedRequest{Prompt: ids, Pooling: p}
	}
	return m.embedAll(ctx, requests)
}

// embedAll returns what requests ask for.
func (m *Model) embedAll(ctx context.Context, requests []engine.EmbedRequest) ([][]float32, error) {
	e, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer m.leave()
	vectors, err := e.EmbedAll(ctx, requests)
	if errors.Is(err, engine.ErrClosed) {
		err = ErrClosed
	}
	return vectors, err
}

// openPooling sets how the model embeds, and makes its ranker if it is one.
func (m *Model) openPooling(f *File, name string, encoder bool) error {
	typ, err := models.Pooling(f.meta)
	if err != nil {
		return err
	}
	if encoder && typ == models.PoolingUnspecified {
		typ = models.PoolingMean
	}
	m.embeds = (encoder || typ > models.PoolingNone) && typ < models.PoolingRank
	if name == poolingRank {
		typ = models.PoolingRank
	}
	m.pooling = map[models.PoolingType]engine.Pooling{
		models.PoolingNone: engine.PoolNone, models.PoolingMean: engine.PoolMean, models.PoolingCLS: engine.PoolCLS,
	}[typ] // or else engine.PoolLast
	if name != "" && name != poolingRank {
		m.pooling, err = engine.ParsePooling(name)
		if err != nil {
			return &OptionError{Option: "Pooling", Reason: fmt.Sprintf("%q: want last, mean, cls, none or rank", name)}
		}
		return nil
	}
	if typ != models.PoolingRank {
		return nil
	}
	m.ranker, err = newRanker(f, m.tok, encoder)
	if err != nil && name == poolingRank {
		return &OptionError{Option: "Pooling", Err: fmt.Errorf("rank: %w", err)}
	} else if err != nil {
		return fmt.Errorf("hipengine: a model that ranks: %w", err)
	}
	return nil
}
