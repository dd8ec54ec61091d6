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
	Draft(ctx context.Context, work []runner.DraftWork) error
}

// NewMTP returns a drafter that lets the model's own layer for multi-token prediction propose what it holds most
// likely. What the layer keeps lies in the pages of r, the target's runner, which remains the caller's.
func NewMTP(r ChainRunner) Drafter { return &mtp{runner: r} }

type mtp struct {
	runner ChainRunner
	work   []runner.DraftWork
	of     []int // the ask of each
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
	err := m.runner.Draft(ctx, m.work)
	if errors.Is(err, kv.ErrNoPages) {
		return drafts, nil // there may be some again
	}
	if err != nil {
		return nil, err
	}
	for i, at := range m.of {
		drafts[at].Tokens = m.work[i].Tokens
	}
	return drafts, nil
}

// Drafted implements Drafter.
func (*mtp) Drafted(uint64, int, int) {}

// Forget implements Drafter.
func (*mtp) Forget(uint64) {}

// Close implements Drafter.
func (*mtp) Close() error { return nil }
