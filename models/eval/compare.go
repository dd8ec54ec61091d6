package eval

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/logits"
)

// Token is how two models differ in the prediction of one token.
type Token struct {
	Chunk, At int     // the token is Chunks[Chunk][At]
	KL        float64 // of the model's distribution from the base's, in nats
	Base      float64 // log-probability that the base gives the token
	Model     float64 // log-probability that the model gives it
	BaseTop   int32   // the base's most likely token, the lowest of equals
	ModelTop  int32   // the model's
}

// Comparison is how far a model is from a base over a text.
type Comparison struct {
	Tokens []Token // in the order of the text
}

// Compare lets both models read the chunks and compares their predictions. They must have the same vocabulary, a free
// sequence each and a context as long as a chunk. progress, which may be nil, is told after each chunk how many are
// read and the comparison so far.
func Compare(ctx context.Context, base, model *runner.Runner, chunks [][]int32,
	progress func(done int, c *Comparison)) (*Comparison, error) {
	vocab := base.Limits().Vocab
	if n := model.Limits().Vocab; n != vocab {
		return nil, fmt.Errorf("eval: vocabularies of %d and %d tokens: the models cannot be compared", vocab, n)
	}
	c := &Comparison{}
	for i, chunk := range chunks {
		err := read(ctx, []*runner.Runner{base, model}, chunk, func(at int, read [][]float32) error {
			n := len(read[0]) / vocab
			part := make([]Token, n)
			parallel(n, func(j int) {
				part[j] = compareRow(read[0][j*vocab:][:vocab], read[1][j*vocab:][:vocab], chunk[at+j])
				part[j].Chunk, part[j].At = i, at+j
			})
			for _, t := range part {
				if math.IsNaN(t.KL) || math.IsNaN(t.Base) || math.IsNaN(t.Model) {
					return fmt.Errorf("eval: chunk %d: logits at position %d are not numbers", i, t.At-1)
				}
			}
			c.Tokens = append(c.Tokens, part...)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(i+1, c)
		}
	}
	return c, nil
}

// compareRow compares two predictions of the token next.
func compareRow(base, model []float32, next int32) Token {
	lb, lm := logits.LogSumExp(base), logits.LogSumExp(model)
	return Token{
		KL:   logits.KLNormalized(base, model, lb, lm),
		Base: float64(base[next]) - lb, Model: float64(model[next]) - lm,
		BaseTop: logits.Argmax(base), ModelTop: logits.Argmax(model),
	}
}

// KL returns the mean divergence in nats.
func (c *Comparison) KL() Mean { return c.mean(func(t Token) float64 { return t.KL }) }

// Top1 returns the share of tokens at which both models have the same most likely token.
func (c *Comparison) Top1() Mean {
	return c.mean(func(t Token) float64 {
		if t.BaseTop == t.ModelTop {
			return 1
		}
		return 0
	})
}

// DeltaP returns the mean change of the probability of the text's own tokens: below zero if the model knows the text
// less well than the base.
func (c *Comparison) DeltaP() Mean {
	return c.mean(func(t Token) float64 { return math.Exp(t.Model) - math.Exp(t.Base) })
}

// RMSDeltaP returns the root of the mean square of that change.
func (c *Comparison) RMSDeltaP() float64 {
	m := c.mean(func(t Token) float64 { d := math.Exp(t.Model) - math.Exp(t.Base); return d * d })
	return math.Sqrt(m.Value())
}

// Scores returns how well the base and the model predict the text.
func (c *Comparison) Scores() (base, model Score) {
	return Score{c.mean(func(t Token) float64 { return -t.Base })},
		Score{c.mean(func(t Token) float64 { return -t.Model })}
}

func (c *Comparison) mean(f func(Token) float64) Mean {
	var m Mean
	for _, t := range c.Tokens {
		m.Add(f(t))
	}
	return m
}

// Quantiles returns the divergences that the given shares of tokens do not exceed, 0 for the least and 1 for the
// largest.
func (c *Comparison) Quantiles(q ...float64) []float64 {
	out := make([]float64, len(q))
	if len(c.Tokens) == 0 {
		return out
	}
	kl := make([]float64, len(c.Tokens))
	for i, t := range c.Tokens {
		kl[i] = t.KL
	}
	slices.Sort(kl)
	for i, x := range q {
		out[i] = kl[min(max(int(x*float64(len(kl)-1)+0.5), 0), len(kl)-1)]
	}
	return out
}

// Worst returns the n tokens with the largest divergences, the largest first.
func (c *Comparison) Worst(n int) []Token {
	ts := slices.Clone(c.Tokens)
	slices.SortStableFunc(ts, func(a, b Token) int { return cmp.Compare(b.KL, a.KL) })
	return ts[:min(n, len(ts))]
}
