package runner

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/hipengine/hipengine/models"
)

// MaxDrafts is the most tokens that Draft guesses for a sequence: the most that state of the newest tokens allows to be
// taken back is several times that.
const MaxDrafts = 8

// DraftWork is a sequence for which the model's draft layer is to guess tokens.
type DraftWork struct {
	Seq    SeqID
	Token  int32 // the newest of its tokens, the only one that no step has had; one token at least is before it
	Depth  int   // guesses, from 1 to Limits.Drafts; they must fit into the context behind Token
	Tokens []int32
}

// Draft guesses for each work item the Depth tokens behind its Token, and appends them to the item's Tokens: each is
// the one that the draft layer holds most likely behind the guess before it. All are one plan run. It changes nothing
// that steps see. The runner's model is a [models.Drafting].
//
// With vocab above 0, guesses are among the first vocab tokens alone: Limits.FrequentTokens costs least.
//
// An error that wraps kv.ErrNoPages says that there is no room for keys and values of guesses now.
func (r *Runner) Draft(ctx context.Context, work []DraftWork, vocab int) error {
	switch {
	case r.closed:
		return ErrClosed
	case r.drafts == nil:
		return fmt.Errorf("runner: %w", models.ErrNoDrafts)
	case vocab < 0 || vocab > r.limits.Vocab:
		return fmt.Errorf("runner: drafts of the first %d tokens are outside 0..%d", vocab, r.limits.Vocab)
	}
	r.last = nil
	depth, err := r.chainBatch(work)
	if err != nil {
		return err
	}
	p, err := r.plan(planKey{Sizes: r.chain.Sizes(), drafts: depth, vocab: vocab})
	if err != nil {
		return err
	}
	if err = r.chain.Upload(r.stream, p, depth); err == nil {
		err = r.stream.Run(p)
	}
	if err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	n := 4 * len(work)
	raw, err := r.download(ctx, p, depth, n)
	if err != nil {
		return err
	}
	for i := range work {
		w := &work[i]
		for d := range w.Depth {
			id := int32(binary.LittleEndian.Uint32(raw[d*n+4*i:]))
			if id < 0 {
				return fmt.Errorf("runner: logit %d of draft %d of sequence %d is not finite: the draft layer or a kernel is "+
					"broken", -1-id, d+1, w.Seq)
			}
			w.Tokens = append(w.Tokens, id)
		}
	}
	return nil
}

// chainBatch checks the work, takes the pages that it needs, lays out the index data and returns the largest depth.
func (r *Runner) chainBatch(work []DraftWork) (depth int, err error) {
	if len(work) == 0 {
		return 0, fmt.Errorf("runner: no sequence to draft for")
	}
	r.steps++
	need, width := r.need, 0
	clear(need)
	for _, w := range work {
		s, err := r.sequence(w.Seq)
		if err != nil {
			return 0, err
		}
		switch {
		case s.step == r.steps:
			return 0, fmt.Errorf("runner: sequence %d is twice in the step", w.Seq)
		case s.len == 0:
			return 0, fmt.Errorf("runner: sequence %d has no token before the one to draft behind", w.Seq)
		case w.Depth < 1 || w.Depth > MaxDrafts:
			return 0, fmt.Errorf("runner: sequence %d: %d drafts are outside 1..%d", w.Seq, w.Depth, MaxDrafts)
		case w.Token < 0 || int(w.Token) >= r.limits.Vocab:
			return 0, fmt.Errorf("runner: sequence %d: token %d is outside 0..%d", w.Seq, w.Token, r.limits.Vocab-1)
		case s.len+1+w.Depth > r.limits.Context:
			return 0, &ContextError{s.len, 1 + w.Depth, r.limits.Context}
		}
		s.step = r.steps
		depth = max(depth, w.Depth)
		pages := pagesFor(s.len + w.Depth - 1)
		for i, t := range s.tables {
			need[i] += max(0, pages-len(t.pages))
		}
		width = max(width, pages)
	}
	if err := r.enough(need); err != nil {
		return 0, err
	}
	r.chain.Reset(r.windows, tableWidth(width, r.limits.Context))
	for _, w := range work {
		s := &r.seqs[w.Seq]
		pages := pagesFor(s.len + w.Depth - 1)
		if err := r.grow(s, pages); err != nil {
			return 0, err
		}
		r.tables = r.tables[:0]
		for _, t := range s.tables {
			r.tables = append(r.tables, t.pages[:pages])
		}
		r.chain.Add(models.DraftSpan{Token: w.Token, Len: s.len, Recent: int(w.Seq), Depth: w.Depth, Tables: r.tables})
	}
	if r.buckets {
		r.chain.Pad()
	}
	return depth, nil
}
