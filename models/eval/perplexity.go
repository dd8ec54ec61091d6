package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/logits"
)

// Mean is a mean of independent values and how sure it is.
type Mean struct {
	sum, squares float64
	N            int
}

// Add takes one more value.
func (m *Mean) Add(x float64) {
	m.sum += x
	m.squares += x * x
	m.N++
}

// Value returns the mean, NaN of no values.
func (m Mean) Value() float64 { return m.sum / float64(m.N) }

// Err returns the standard error of the mean, NaN of fewer than two values.
func (m Mean) Err() float64 {
	if m.N < 2 {
		return math.NaN()
	}
	v := m.Value()
	return math.Sqrt(max(0, m.squares/float64(m.N)-v*v) / float64(m.N-1))
}

// Score is how well a model predicts a text.
type Score struct {
	// NLL is of the negative log-likelihoods of the tokens predicted, in nats.
	NLL Mean
}

// Perplexity returns e to the mean negative log-likelihood: between how many equally likely tokens the model wavers.
func (s Score) Perplexity() float64 { return math.Exp(s.NLL.Value()) }

// Err returns the standard error of Perplexity.
func (s Score) Err() float64 { return s.Perplexity() * s.NLL.Err() }

// Perplexity lets r read the chunks. r must have a free sequence and a context as long as a chunk. progress, which may
// be nil, is told after each chunk how many are read and the score so far.
func Perplexity(ctx context.Context, r *runner.Runner, chunks [][]int32, progress func(done int, s Score)) (Score,
	error) {
	var s Score
	vocab := r.Limits().Vocab
	for i, chunk := range chunks {
		err := read(ctx, []*runner.Runner{r}, chunk, func(at int, read [][]float32) error {
			rows := read[0]
			nll := make([]float64, len(rows)/vocab)
			parallel(len(nll), func(j int) {
				row := rows[j*vocab:][:vocab]
				nll[j] = logits.LogSumExp(row) - float64(row[chunk[at+j]])
			})
			for j, x := range nll {
				if math.IsNaN(x) {
					return fmt.Errorf("eval: chunk %d: the logits at position %d are not numbers", i, at+j-1)
				}
				s.NLL.Add(x)
			}
			return nil
		})
		if err != nil {
			return s, err
		}
		if progress != nil {
			progress(i+1, s)
		}
	}
	return s, nil
}
