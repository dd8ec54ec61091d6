package sample

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hipengine/hipengine/internal/logits"
)

// Sampler draws the tokens of one sequence. It is not safe for use by several goroutines.
type Sampler struct {
	p      Params
	vocab  int
	source *rand.PCG // of rng
	rng    *rand.Rand
	plan   []Stage // the active stages
	greedy bool    // the token of highest rank is taken
	bans   bool    // a bias is never

	window *window // of the penalties; nil if they are off
	dry    *dry    // nil if it is off
	taken  int     // tokens that were generated
	said   []int32 // the last of them, as many as bad words look back on
	mu     float64 // of mirostat
	last   int32   // that was drawn greedily

	logits      []float32 // the row with bias and penalties applied; minus infinity is what must not come
	mask        []uint64  // of those that the constraint allows, a bit for each; nil allows all
	kept        []candidate
	scratch     []candidate
	temperature float64 // that the stages so far have divided the logits by

	proposed int32       // see Propose
	proposal []Prob      // nil if nothing is proposed
	rest     []candidate // what the distribution exceeds the proposal by
}

// samplerStream is the second half of the generator's seed.
const samplerStream = 0x68697065_6e67696e

// NewSampler returns a sampler with parameters p over a vocabulary of vocab ids. The error names the parameter that
// is out of range.
func NewSampler(p Params, vocab int) (*Sampler, error) {
	if vocab <= 0 || vocab > math.MaxInt32 {
		return nil, fmt.Errorf("sample: vocabulary of %d ids", vocab)
	}
	if err := p.Validate(vocab); err != nil {
		return nil, err
	}
	source := rand.NewPCG(p.Seed, samplerStream)
	s := &Sampler{p: p, vocab: vocab, source: source, rng: rand.New(source), mu: 2 * float64(p.MirostatTau)}
	s.plan = p.plan(nil)
	for _, b := range p.LogitBias {
		s.bans = s.bans || never(b)
	}
	s.greedy = p.greedy(s.plan)
	if p.Mirostat != 0 {
		s.plan, s.greedy = nil, p.Temperature == 0
		return s, nil
	}
	if p.active(Penalties) {
		s.window = newWindow(p.RepeatLastN)
	}
	if p.active(DRY) {
		if len(p.DRYBreakers) > 0 && p.Piece == nil {
			return nil, errors.New("sample: dry_sequence_breakers need the text of tokens")
		}
		s.dry = newDRY(&s.p)
	}
	return s, nil
}

// AcceptPrompt appends the tokens of a prompt to the history that penalties look back on.
func (s *Sampler) AcceptPrompt(ids ...int32) {
	if s.window == nil && s.dry == nil {
		return
	}
	for _, id := range ids {
		s.remember(id)
	}
}

// Accept appends a token that was really taken to the history. Next does not do it by itself, so that a drawn token
// may be discarded.
func (s *Sampler) Accept(id int32) {
	s.taken++
	s.remember(id)
	if n := s.lookBack(); n > 0 {
		if len(s.said) == n {
			copy(s.said, s.said[1:])
			s.said = s.said[:n-1]
		}
		s.said = append(s.said, id)
	}
}

func (s *Sampler) remember(id int32) {
	if s.window != nil {
		s.window.add(id)
	}
	if s.dry != nil {
		s.dry.add(id)
	}
}

// Next draws a token from a row of logits, whose length must be that of the vocabulary. It reads row and keeps no
// reference to it. Logits that are not finite give an error that names the first such id.
func (s *Sampler) Next(row []float32) (int32, error) {
	late, err := s.adjust(row)
	if err != nil {
		return 0, err
	}
	if s.greedy {
		s.proposal = nil // with no choice, there is nothing to weigh
		s.last = s.likeliest()
		return s.last, nil
	}
	if s.p.Mirostat != 0 {
		return s.mirostat(), nil
	}
	return s.pick(s.distribution(late)), nil
}

// pick draws one of the candidates. Where there is no choice it takes no random value, so that what follows does not
// depend on whether somebody asked.
func (s *Sampler) pick(c []candidate) int32 {
	defer func() { s.proposal = nil }()
	switch {
	case len(c) == 1:
		return c[0].id
	case s.proposal != nil:
		return s.verify(c)
	}
	return draw(c, s.rng.Float64())
}

// adjust fills s.logits with the row after bias, the penalties that lead the chain and what must not come, and s.mask
// by the constraint. It returns the rest of the chain.
func (s *Sampler) adjust(row []float32) (late []Stage, err error) {
	if err := checkRow(row, s.vocab); err != nil {
		return nil, err
	}
	s.logits = append(s.logits[:0], row...)
	for id, b := range s.p.LogitBias {
		s.logits[id] += b
		if !finite(s.logits[id]) && !never(b) {
			return nil, fmt.Errorf("sample: token %d: logit %v with bias %v is not finite", id, row[id], b)
		}
	}
	late = s.plan
	for len(late) > 0 && (late[0] == Penalties || late[0] == DRY) {
		if late[0] == DRY {
			s.dry.apply(s.logits)
		} else if err := s.window.apply(&s.p, s.logits); err != nil {
			return nil, err
		}
		late = late[1:]
	}
	if s.p.Constraint != nil {
		if err := s.constrain(); err != nil {
			return nil, err
		}
	}
	return late, s.forbid()
}

// constrain asks the constraint which tokens may come. Every step that follows looks at those alone, by whole words of
// the mask where it can, so that a mask of few tokens makes a draw quicker.
func (s *Sampler) constrain() error {
	mask, err := s.p.Constraint.Mask()
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	s.mask = mask
	for at := 0; at < s.vocab; at += 64 {
		if word := wordOf(mask, at); word<<max(0, 64-(s.vocab-at)) != 0 {
			return nil
		}
	}
	return fmt.Errorf("sample: the constraint allows no token of the %d that there are logits for", s.vocab)
}

// wordOf returns the word of a mask for the ids from at on, a multiple of 64. Nil allows all.
func wordOf(mask []uint64, at int) uint64 {
	switch {
	case mask == nil:
		return math.MaxUint64
	case at/64 < len(mask):
		return mask[at/64]
	}
	return 0
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

// distribution returns the candidates that survive the stages, by ascending id, with their weights. The slice is valid
// until the next call.
func (s *Sampler) distribution(stages []Stage) []candidate {
	if len(stages) > 0 && stages[0] == TopK && s.p.TopK < s.vocab {
		s.keepTopK()
		stages = stages[1:]
	} else {
		s.keepAll()
	}
	return s.filter(stages)
}

// likeliest returns the token of highest rank that may come.
func (s *Sampler) likeliest() int32 {
	if s.mask == nil {
		return logits.Argmax(s.logits)
	}
	best := candidate{logit: float32(math.Inf(-1))}
	for at := 0; at < s.vocab; at += 64 {
		word := wordOf(s.mask, at)
		if word == 0 {
			continue
		}
		for i, l := range s.logits[at:min(at+64, s.vocab)] {
			if l > best.logit && word>>i&1 != 0 {
				best = candidate{id: int32(at + i), logit: l}
			}
		}
	}
	return best.id
}

// keepAll makes candidates of all tokens that may come.
func (s *Sampler) keepAll() {
	s.kept = s.kept[:0]
	for at := 0; at < s.vocab; at += 64 {
		word := wordOf(s.mask, at)
		if word == 0 {
			continue
		}
		for i, l := range s.logits[at:min(at+64, s.vocab)] {
			if word>>i&1 != 0 && !never(l) {
				s.kept = append(s.kept, candidate{id: int32(at + i), logit: l})
			}
		}
	}
}

// keepTopK makes candidates of the tokens of highest rank that may come.
func (s *Sampler) keepTopK() {
	s.kept = topK(s.kept, s.logits, s.mask, s.p.TopK)
	slices.SortFunc(s.kept, func(a, b candidate) int { return int(a.id) - int(b.id) })
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
