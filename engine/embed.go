package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hipengine/hipengine/engine/runner"
)

// EmbedRequest is a prompt that is read for its hidden states: what the output matrix would multiply.
type EmbedRequest struct {
	Prompt   []int32 // at least one token, and no more than the context has; it must not change
	Types    []int32 // of Prompt, from 0 to Limits.TokenTypes-1; nil: all 0; it must not change
	Pooling  Pooling
	Observer Observer // is not told of tokens, since none are drawn; nil is nobody
}

// Embed reads a prompt and returns its hidden state of Limits.Embd numbers, pooled and not normalized; with
// [PoolNone], those of all tokens, one behind the other. The prompt takes part in the steps beside other sequences,
// leaves nothing behind, and uses nothing that is kept. Errors are those of [Engine.Submit] and [Sequence.Tokens].
func (e *Engine) Embed(ctx context.Context, r EmbedRequest) ([]float32, error) {
	s, err := e.embedSequence(r)
	if err != nil {
		return nil, err
	}
	if err := e.enqueue(ctx, []*Sequence{s}); err != nil {
		return nil, err
	}
	for _, err := range s.Tokens() { // none come: it waits for the end
		if err != nil {
			return nil, err
		}
	}
	return s.embedding.states, nil
}

// EmbedAll is Embed for several prompts, of which as many as there are slots run or wait at a time. The first error
// ends the others.
func (e *Engine) EmbedAll(ctx context.Context, rs []EmbedRequest) ([][]float32, error) {
	for _, r := range rs { // what is wrong with one is known before any is read
		if _, err := e.embedSequence(r); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([][]float32, len(rs))
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(e.limits.Seqs, len(rs)) {
		wait.Go(func() {
			for i := range next {
				var err error
				if out[i], err = e.Embed(ctx, rs[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range rs {
		next <- i
	}
	close(next)
	wait.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return out, nil
}

// embedSequence checks a request and makes a sequence of it.
func (e *Engine) embedSequence(r EmbedRequest) (*Sequence, error) {
	if len(r.Prompt) == 0 {
		return nil, fmt.Errorf("%w: the prompt is empty", ErrBadRequest)
	}
	if poolings[r.Pooling] == "" {
		return nil, fmt.Errorf("%w: pooling %d is not known", ErrBadRequest, r.Pooling)
	}
	if len(r.Prompt) > e.limits.Context {
		return nil, &ContextLengthError{Prompt: len(r.Prompt), Limit: e.limits.Context}
	}
	if err := e.checkIDs(r.Prompt); err != nil {
		return nil, err
	}
	if r.Types != nil && len(r.Types) != len(r.Prompt) {
		return nil, fmt.Errorf("%w: %d types of %d tokens", ErrBadRequest, len(r.Types), len(r.Prompt))
	}
	for i, typ := range r.Types {
		if n := max(e.limits.TokenTypes, 1); typ < 0 || int(typ) >= n {
			return nil, fmt.Errorf("%w: token %d is of type %d, of which the model has %d", ErrBadRequest, i, typ, n)
		}
	}
	if r.Observer == nil {
		r.Observer = nobody{}
	}
	return &Sequence{
		req: Request{Prompt: r.Prompt, Observer: r.Observer}, embedding: &embedding{pooling: r.Pooling, types: r.Types},
		pending: r.Prompt, ids: r.Prompt[:len(r.Prompt):len(r.Prompt)],
		stored: &stored{}, // the disk is not asked
		ready:  make(chan struct{}, 1),
	}, nil
}

// embedded moves the sequences of a step that draw nothing to its front, with their work, and returns their number.
func embedded(seqs []*Sequence, work []runner.Work) int {
	n := 0
	for i, s := range seqs {
		if s.embedding == nil {
			continue
		}
		if i > n {
			w := work[i]
			copy(seqs[n+1:i+1], seqs[n:i])
			copy(work[n+1:i+1], work[n:i])
			seqs[n], work[n] = s, w
		}
		n++
	}
	return n
}

// embed does the work of sequences that are read for their hidden states. It returns false if it was not done.
func (e *Engine) embed(seqs []*Sequence, work []runner.Work) bool {
	width := e.limits.Embd
	if !e.step(seqs, work, func() error {
		rows, err := e.runner.StepHidden(e.ctx, work)
		if err != nil {
			return err
		}
		for i, w := range work {
			if n := w.Rows * width; i >= len(rows) || len(rows[i]) != n {
				return errors.New("the runner returned hidden states of another size")
			}
			seqs[i].embedding.add(len(w.Tokens), rows[i], width)
		}
		return nil
	}) {
		return false
	}
	for i, s := range seqs {
		s.pending = s.pending[len(work[i].Tokens):]
		if len(s.pending) == 0 {
			s.embedding.end()
			e.release(s, FinishStop, nil)
			s.end(nil)
		}
	}
	return true
}
