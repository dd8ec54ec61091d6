package sample

import (
	"fmt"
	"math"
	"slices"
)

// Logprob is a token and the natural logarithm of its probability.
type Logprob struct {
	ID      int32
	Logprob float32
}

// Logprobs returns the log-softmax of a row of raw logits, before bias, penalties and temperature, at id, and the n
// highest of the row in rank order. n is cut to the length of the row. Sums are in float64. Logits that are not
// finite and an id that the row does not hold are errors.
func Logprobs(logits []float32, id int32, n int) (chosen Logprob, top []Logprob, err error) {
	if err := checkRow(logits, len(logits)); err != nil {
		return Logprob{}, nil, err
	}
	if id < 0 || int(id) >= len(logits) {
		return Logprob{}, nil, fmt.Errorf("sample: logprob of token %d: the row has %d logits", id, len(logits))
	}
	highest := slices.Max(logits)
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l) - float64(highest))
	}
	norm := float64(highest) + math.Log(sum)
	at := func(id int32, l float32) Logprob {
		return Logprob{ID: id, Logprob: float32(float64(l) - norm)}
	}
	if n = min(n, len(logits)); n > 0 {
		best := topK(make([]candidate, 0, n), logits, n)
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
	return at(id, logits[id]), top, nil
}
