package spec

import (
	"context"
	"errors"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
)

// NameMTP is the name of drafters that [NewMTP] returns.
const NameMTP = "mtp"

// ChainRunner is the runner of a model whose draft layer is in use: *runner.Runner with a models.Drafting.
type ChainRunner interface {
	Draft(ctx context.Context, work []runner.DraftWork, vocab int) error
	Fresh() bool
	Limits() runner.Limits
}

// NewMTP returns a drafter that lets the model's own layer for multi-token prediction propose what it holds most
// likely. What the layer keeps lies in the pages of r, the target's runner, which remains the caller's.
//
// Where r makes cheaper guesses of frequent tokens, they are made of those alone as long as the sequences that are
// asked for consist of them nearly alone.
func NewMTP(r ChainRunner) Drafter {
	return &mtp{runner: r, frequent: r.Limits().FrequentTokens, seqs: map[uint64]*share{},
		all: share{n: priorTokens, frequent: priorTokens}}
}

type mtp struct {
	runner   ChainRunner
	work     []runner.DraftWork
	of       []int // the ask of each
	frequent int   // Limits.FrequentTokens

	seqs map[uint64]*share
	all  share // over all sequences
}

// share counts the tokens of answers, and of these the frequent ones.
type share struct {
	seen        int // tokens of the sequence, those of its prompt included
	n, frequent float64
}

const (
	// leastFrequent is the share of frequent tokens from which on it pays to guess these alone. Where the output matrix
	// is a sixteenth of what a step reads, three guesses at once of which four of five come true break even at it;
	// where it is more, at less.
	leastFrequent = 15.0 / 16
	priorTokens   = 64          // so many frequent ones are taken to have been seen before any
	trustAll      = 16          // what other sequences had counts as so many tokens
	keepAll       = 1 - 1./1024 // of what was counted with each token
	keepOwn       = 1 - 1./64
)

func (s *share) add(frequent bool, keep float64) {
	s.n, s.frequent = s.n*keep+1, s.frequent*keep
	if frequent {
		s.frequent++
	}
}

// count adds what is new of the answer of a, and returns the share of frequent tokens that is expected behind it.
func (m *mtp) count(a Ask) float64 {
	s := m.seqs[a.Key]
	if s == nil {
		s = &share{seen: len(a.Tokens) - 1} // the last one is the first of the answer
		m.seqs[a.Key] = s
	}
	for ; s.seen < len(a.Tokens); s.seen++ {
		frequent := int(a.Tokens[s.seen]) < m.frequent
		s.add(frequent, keepOwn)
		m.all.add(frequent, keepAll)
	}
	return (s.frequent + trustAll*m.all.frequent/m.all.n) / (s.n + trustAll)
}

// vocab returns the tokens that guesses for asks are to be among, the first of all; 0 is any.
func (m *mtp) vocab(asks []Ask) int {
	if m.frequent == 0 {
		return 0
	}
	sum := 0.0
	for _, a := range asks {
		if a.NoText {
			sum++
		} else {
			sum += m.count(a)
		}
	}
	if sum < leastFrequent*float64(len(asks)) {
		return 0
	}
	return m.frequent
}

// Info implements Drafter.
func (*mtp) Info() Info { return Info{Name: NameMTP, Classes: 1, Most: runner.MaxDrafts} }

// Draft implements Drafter. Drafts go on from a hidden state of the target, that of the token before the last: there
// are none where the target still has to read more than the last token, or has read nothing.
func (m *mtp) Draft(ctx context.Context, asks []Ask) ([]Draft, error) {
	drafts := make([]Draft, len(asks))
	m.work, m.of = m.work[:0], m.of[:0]
	for i, a := range asks {
		if a.Seen == 0 || len(a.Tokens)-a.Seen != 1 {
			continue
		}
		m.work = append(m.work, runner.DraftWork{Seq: a.Slot, Token: a.Tokens[a.Seen], Depth: min(a.Max, runner.MaxDrafts)})
		m.of = append(m.of, i)
	}
	if len(m.work) == 0 {
		return drafts, nil
	}
	err := m.runner.Draft(ctx, m.work, m.vocab(asks))
	if errors.Is(err, kv.ErrNoPages) {
		return drafts, nil // there may be some again
	}
	if err != nil {
		return nil, err
	}
	for i, at := range m.of {
		drafts[at] = Draft{Tokens: m.work[i].Tokens, Fresh: m.runner.Fresh()}
	}
	return drafts, nil
}

// Drafted implements Drafter.
func (*mtp) Drafted(uint64, int, int) {}

// Forget implements Drafter.
func (m *mtp) Forget(key uint64) { delete(m.seqs, key) }

// Close implements Drafter.
func (*mtp) Close() error { return nil }
