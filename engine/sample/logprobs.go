package sample

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/internal/logits"
)

// Logprob is a token and the natural logarithm of its probability.
type Logprob struct {
	ID      int32
	Logprob float32
}

// Logprobs returns the log-softmax of a row of raw logits, before bias, penalties and temperature, at id, and the n
// highest of the row in rank order. n is cut to the length of the row. Sums are in float64. Logits that are not
// finite and an id that the row does not hold are errors.
func Logprobs(row []float32, id int32, n int) (chosen Logprob, top []Logprob, err error) {
	if err := checkRow(row, len(row)); err != nil {
		return Logprob{}, nil, err
	}
	if id < 0 || int(id) >= len(row) {
		return Logprob{}, nil, fmt.Errorf("sample: logprob of token %d: the row has %d logits", id, len(row))
	}
	norm := logits.LogSumExp(row)
	at := func(id int32, l float32) Logprob {
		return Logprob{ID: id, Logprob: float32(float64(l) - norm)}
	}
	if n = min(n, len(row)); n > 0 {
		best := topK(make([]candidate, 0, n), row, nil, n)
		slices.SortFunc(best, func(a, b candidate) int {
			if a.before(b) {
				return -1
			}
			return 1
		})
		top = make([]Logprob, n)
		for i, c := range best {
			top[i] = at(c.id, c.logit)
		}
	}
	return at(id, row[id]), top, nil
}
