package sample

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hipengine/hipengine/internal/logits"
)

// Sampler draws the tokens of one sequence. It is not safe for use by several goroutines.
type Sampler struct {
	p     Params
	vocab int
	rng   *rand.Rand

	window []int32       // the last tokens, oldest first from start when full; empty without penalties
	start  int           // index of the oldest token of a full window
	counts map[int32]int // occurrences in window

	logits  []float32 // the row with bias and penalties applied
	kept    []candidate
	scratch []candidate
}

// NewSampler returns a sampler with parameters p over a vocabulary of vocab ids. The error names the parameter that
// is out of range.
func NewSampler(p Params, vocab int) (*Sampler, error) {
	if vocab <= 0 || vocab > math.MaxInt32 {
		return nil, fmt.Errorf("sample: vocabulary of %d ids", vocab)
	}
	if err := p.Validate(vocab); err != nil {
		return nil, err
	}
	if p.RepeatLastN == 0 {
		p.RepeatLastN = DefaultRepeatLastN
	}
	s := &Sampler{p: p, vocab: vocab, rng: rand.New(rand.NewPCG(p.Seed, 0x68697065_6e67696e))}
	if p.penalises() {
		s.counts = make(map[int32]int)
	}
	return s, nil
}

// Accept appends tokens to the history that the penalties look back on: first the prompt, then every token that was
// really taken. Next does not do it by itself, so that a drawn token may be discarded.
func (s *Sampler) Accept(ids ...int32) {
	if s.counts == nil {
		return
	}
	for _, id := range ids {
		s.counts[id]++
		if s.p.RepeatLastN < 0 || len(s.window) < s.p.RepeatLastN {
			s.window = append(s.window, id)
			continue
		}
		old := s.window[s.start]
		if s.counts[old]--; s.counts[old] == 0 {
			delete(s.counts, old)
		}
		s.window[s.start] = id
		s.start = (s.start + 1) % len(s.window)
	}
}

// Next draws a token from a row of logits, whose length must be that of the vocabulary. It reads row and keeps no
// reference to it. Logits that are not finite give an error that names the first such id.
func (s *Sampler) Next(row []float32) (int32, error) {
	if err := s.adjust(row); err != nil {
		return 0, err
	}
	if s.p.Constraint != nil {
		if err := s.constrain(); err != nil {
			return 0, err
		}
	}
	if s.p.Temperature == 0 {
		return logits.Argmax(s.logits), nil
	}
	return draw(s.distribution(), s.rng.Float64()), nil
}

// constrain leaves only the tokens that the constraint allows. The others get a logit of minus infinity, with which no
// step that follows takes one.
func (s *Sampler) constrain() error {
	mask, err := s.p.Constraint.Mask()
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	some := false
	for at := 0; at < s.vocab; at += 64 {
		var word uint64
		if at/64 < len(mask) {
			word = mask[at/64]
		}
		part := s.logits[at:min(at+64, s.vocab)]
		switch word {
		case math.MaxUint64:
			some = true
			continue
		case 0:
			for i := range part {
				part[i] = float32(math.Inf(-1))
			}
			continue
		}
		for i := range part {
			if word>>i&1 == 0 {
				part[i] = float32(math.Inf(-1))
			} else {
				some = true
			}
		}
	}
	if !some {
		return fmt.Errorf("sample: the constraint allows no token of the %d that there are logits for", s.vocab)
	}
	return nil
}

// adjust fills s.logits with the row after bias and penalties.
func (s *Sampler) adjust(logits []float32) error {
	if err := checkRow(logits, s.vocab); err != nil {
		return err
	}
	s.logits = append(s.logits[:0], logits...)
	for id, b := range s.p.LogitBias {
		s.logits[id] += b
		if !finite(s.logits[id]) {
			return fmt.Errorf("sample: token %d: logit %v with bias %v is not finite", id, logits[id], b)
		}
	}
	for id, n := range s.counts {
		if id < 0 || int(id) >= s.vocab {
			continue // a prompt may hold ids that no logit stands for
		}
		l := s.logits[id]
		if r := s.p.RepeatPenalty; r != 0 {
			if l > 0 {
				l /= r
			} else {
				l *= r
			}
		}
		l -= float32(n)*s.p.FrequencyPenalty + s.p.PresencePenalty
		if !finite(l) {
			return fmt.Errorf("sample: token %d: logit %v is not finite after penalties", id, logits[id])
		}
		s.logits[id] = l
	}
	return nil
}

// checkRow reports a row of the wrong length or with a value that is not finite.
func checkRow(logits []float32, vocab int) error {
	if len(logits) != vocab {
		return fmt.Errorf("sample: row of %d logits for a vocabulary of %d", len(logits), vocab)
	}
	for i, l := range logits {
		if !finite(l) {
			return fmt.Errorf("sample: logit of token %d is %v", i, l)
		}
	}
	return nil
}

// distribution returns the candidates that survive the chain, by ascending id, with their weights at the temperature.
// The slice is valid until the next call.
func (s *Sampler) distribution() []candidate {
	s.kept = s.kept[:0]
	if k := s.p.TopK; k > 0 && k < s.vocab {
		s.scratch = topK(s.scratch, s.logits, k)
		cut := s.scratch[0]
		for i, l := range s.logits {
			if l > cut.logit || (l == cut.logit && int32(i) <= cut.id) {
				s.kept = append(s.kept, candidate{id: int32(i), logit: l})
			}
		}
	} else {
		for i, l := range s.logits {
			s.kept = append(s.kept, candidate{id: int32(i), logit: l})
		}
	}
	return s.weighted()
}

// weighted drops of the candidates kept, which are by ascending id, those that top-p and min-p do, and gives the others their
// weights at the temperature.
func (s *Sampler) weighted() []candidate {
	highest := s.kept[0].logit
	for _, c := range s.kept {
		highest = max(highest, c.logit)
	}
	if p := float64(s.p.TopP); p > 0 && p < 1 {
		total := weigh(s.kept, highest, 1)
		s.scratch = append(s.scratch[:0], s.kept...)
		cut := massCut(s.scratch, p*total)
		s.keep(func(c candidate) bool { return !cut.before(c) })
	}
	if s.p.MinP > 0 {
		lowest := float64(highest) + math.Log(float64(s.p.MinP))
		s.keep(func(c candidate) bool { return float64(c.logit) >= lowest })
	}
	weigh(s.kept, highest, float64(s.p.Temperature))
	return s.kept
}

// keep drops the candidates for which ok is false and leaves the others in order.
func (s *Sampler) keep(ok func(candidate) bool) {
	n := 0
	for _, c := range s.kept {
		if ok(c) {
			s.kept[n] = c
			n++
		}
	}
	s.kept = s.kept[:n]
}

// weigh sets the weights to exp((logit-highest)/temperature) and returns their sum.
func weigh(c []candidate, highest float32, temperature float64) float64 {
	var total float64
	for i := range c {
		c[i].weight = math.Exp((float64(c[i].logit) - float64(highest)) / temperature)
		total += c[i].weight
	}
	return total
}

// draw returns the id at quantile u, in [0, 1), of the candidates' weights.
func draw(c []candidate, u float64) int32 {
	var total float64
	for _, x := range c {
		total += x.weight
	}
	u *= total
	last := c[0].id
	var sum float64
	for _, x := range c {
		if x.weight == 0 {
			continue // underflow: never drawn, even when u is 0
		}
		last = x.id
		if sum += x.weight; sum > u {
			break
		}
	}
	return last
}
