package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
)

// loop runs steps until the engine is closed and empty.
func (e *Engine) loop() {
	defer close(e.done)
	defer e.loads.Wait()
	defer e.clearReuse()
	for e.awaitWork() {
		e.dropCancelled()
		e.startLoads()
		e.unpark()
		e.startChoices()
		seqs, work, err := e.schedule()
		if err != nil {
			e.failAll(err)
			continue
		}
		if len(work) == 0 {
			continue
		}
		n := embedded(seqs, work)
		if n > 0 && !e.embed(seqs[:n], work[:n]) {
			continue
		}
		if n < len(seqs) {
			e.write(seqs[n:], work[n:])
		}
	}
}

// write does the work of sequences that draw tokens.
func (e *Engine) write(seqs []*Sequence, work []runner.Work) {
	var rows []row
	round := e.draft(seqs, work)
	if !e.step(seqs, work, func() (err error) {
		rows, err = e.rows(seqs, work)
		if errors.Is(err, kv.ErrNoPages) && round.withdraw(work) { // drafts make nobody go
			rows, err = e.rows(seqs, work)
		}
		return err
	}) {
		return
	}
	defer e.end(round, seqs, work)
	for i, s := range seqs {
		r := rows[i]
		s.pending = s.pending[min(len(s.pending), len(work[i].Tokens)):]
		if !s.decode {
			s.observeRead()
			if s.req.PromptLogprobs {
				var err error
				if r, err = e.notePrompt(s, work[i].Tokens, r); err != nil {
					e.finish(s, FinishNone, err)
					continue
				}
			}
		}
		last := len(s.pending) == 0
		if !s.decode && (slices.Contains(s.marks, len(s.fed())) || last && e.limits.CutsAnywhere()) {
			e.keep(s)
		}
		if !last {
			continue
		}
		before := s.generated
		if d, at := round.drafted(i); at >= 0 {
			round.verified[at], round.taken[at] = e.verify(s, r, d)
			round.drawn += s.generated - before
			continue
		}
		others := e.branch(s, r)
		e.draw(s, r)
		if round != nil {
			round.drawn += s.generated - before
		}
		for _, o := range others {
			e.draw(o, r)
		}
	}
}

// awaitWork blocks until there is a sequence to run, or returns false if there will be none.
func (e *Engine) awaitWork() bool {
	for {
		e.mu.Lock()
		work, closing, loading := len(e.waiting)+len(e.running)+len(e.parked)+len(e.shared) > 0, e.closing,
			len(e.loading) > 0
		e.mu.Unlock()
		if work || closing && !loading {
			return work
		}
		<-e.wake
	}
}

// dropCancelled ends the sequences whose context is done, and all of them after a Close that ran out of patience.
func (e *Engine) dropCancelled() {
	for _, s := range e.all() {
		switch {
		case e.ctx.Err() != nil:
			e.finish(s, FinishNone, ErrClosed)
		case s.ctx.Err() != nil:
			if s.open {
				e.keep(s)
			}
			e.finish(s, FinishNone, context.Cause(s.ctx))
		}
	}
}

// queued returns a copy of the queue.
func (e *Engine) queued() []*Sequence {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.waiting)
}

// all returns all sequences.
func (e *Engine) all() []*Sequence {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append(e.queuing(), e.running...)
}

// queuing returns the sequences that are not running, in a new slice. e.mu is held.
func (e *Engine) queuing() []*Sequence {
	return slices.Concat(e.parked, e.waiting, e.loading, e.choosing())
}

// schedule asks the policy for the next step, admits sequences, and returns those that take part with their work.
func (e *Engine) schedule() ([]*Sequence, []runner.Work, error) {
	queue := e.queued()
	if len(e.parked) > 0 {
		queue = nil // those that made room come first
	}
	snap := Snapshot{Limits: e.limits, Running: make([]Running, len(e.running)), Waiting: make([]int, len(queue))}
	rows := promptRows(e.running, queue)
	for i, s := range e.running {
		snap.Running[i] = Running{Pending: s.takes(rows), Decode: s.decode, Idle: s.idle}
	}
	for i, s := range queue {
		snap.Waiting[i] = len(s.pending)
		if i < e.limits.Seqs-len(e.running) { // those that could be admitted
			h := e.lookup(s)
			if snap.Waiting[i] = upTo(len(s.req.Prompt), h.n, e.marks(s, h)); s.req.PromptLogprobs {
				snap.Waiting[i] = min(snap.Waiting[i], rows)
			}
		}
	}
	if len(snap.Running)+len(snap.Waiting) == 0 {
		return nil, nil, nil
	}
	step := e.policy.Next(snap)
	if err := snap.Check(step); err != nil {
		return nil, nil, err
	}

	members := slices.Concat(e.running, queue[:step.Admit])
	var seqs []*Sequence
	var work []runner.Work
	for i, s := range members {
		if i >= len(snap.Running) && !e.admit(s) {
			continue
		}
		n := min(step.Feed[i], s.takes(rows)) // for a new one, what is kept may have changed since the snapshot
		if n == 0 {
			s.idle++
			continue
		}
		s.idle = 0
		w := runner.Work{Seq: s.slot, Tokens: s.pending[:n], Rows: s.rows(n)}
		if s.embedding != nil && s.embedding.types != nil {
			w.Types = s.embedding.types[len(s.embedding.types)-len(s.pending):][:n]
		}
		seqs, work = append(seqs, s), append(work, w)
	}
	return seqs, work, nil
}

// admit moves a sequence from the queue to a slot. It returns false if the runner has none, which ends the sequence.
func (e *Engine) admit(s *Sequence) bool {
	slot, err := e.open(s)
	if err != nil {
		e.finish(s, FinishNone, fmt.Errorf("engine: open sequence: %w", err))
		return false
	}
	s.slot, s.open = slot, true
	e.admitted++
	s.number = e.admitted
	s.req.Observer.Started()
	s.observeRead()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = remove(e.waiting, s)
	e.running = append(e.running, s)
	return true
}

// step runs work, which run does, and counts it. It returns false if that was not done: there is room for it in the
// next step, or its sequences have ended with an error.
func (e *Engine) step(seqs []*Sequence, work []runner.Work, run func() error) bool {
	err := e.guarded(run)
	if errors.Is(err, kv.ErrNoPages) && e.makeRoom() {
		return false // the step changed nothing; the next one has room
	}
	if err != nil {
		for _, s := range seqs {
			e.finish(s, FinishNone, err)
		}
		return false
	}
	e.count(seqs, work)
	return true
}

// guarded runs a step. A panic of the runner becomes an error, so that one bad step does not end the process.
func (e *Engine) guarded(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	err = e.retry(run) // without pages for it, a step changes nothing
	if err != nil {
		if e.ctx.Err() != nil {
			return ErrClosed
		}
		return fmt.Errorf("engine: step: %w", err)
	}
	return nil
}

// count adds a step that succeeded to the statistics.
func (e *Engine) count(seqs []*Sequence, work []runner.Work) {
	e.mu.Lock()
	defer e.mu.Unlock()
	total := 0
	for i, w := range work {
		total += len(w.Tokens)
		s := seqs[i]
		s.held = len(s.req.Prompt) + s.generated - max(0, len(s.pending)-len(w.Tokens)) // without drafts
		e.stats.Longest = max(e.stats.Longest, s.held)
		if !s.decode {
			e.stats.PromptTokens += uint64(len(w.Tokens))
		}
	}
	e.stats.Steps++
	e.stats.StepTokens += uint64(total)
	e.stats.StepSequences += uint64(len(work))
	e.stats.LastStepTokens = total
}

// draw takes the next token of a sequence from its row. A panic below it, such as one of the decoder, ends this
// sequence alone.
func (e *Engine) draw(s *Sequence, r row) {
	defer func() {
		if p := recover(); p != nil {
			e.finish(s, FinishNone, &PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	s.decode = true
	s.pending = s.last[:0]
	if s.generated == 0 {
		s.force()
	}
	// With log-probabilities, every token needs a row of logits, also those that are not drawn.
	if len(s.script) == 0 || s.req.Logprobs {
		t, err := s.draw(r)
		if err != nil {
			e.finish(s, FinishNone, fmt.Errorf("engine: %w", err))
			return
		}
		if !e.accept(s, t) {
			return
		}
		if len(s.script) == 0 {
			s.force()
		}
		if s.req.Logprobs {
			return
		}
	}
	for {
		id, ok := s.scripted()
		if !ok || !e.accept(s, Token{ID: id}) {
			return
		}
		if len(s.script) == 0 {
			s.force()
		}
	}
}

// accept takes a token into a sequence, to be fed to the runner next, and hands it to the consumer. It returns false
// if the sequence has ended.
func (e *Engine) accept(s *Sequence, t Token) bool {
	if c := s.req.Sampling.Constraint; c != nil {
		if err := c.Accept(t.ID); err != nil {
			e.finish(s, FinishNone, fmt.Errorf("engine: constraint: %w", err))
			return false
		}
	}
	t = s.accept(t, e.eog(t.ID))
	s.req.Observer.Drew()
	e.mu.Lock()
	e.stats.GeneratedTokens++
	e.mu.Unlock()
	if t.Finish == FinishNone {
		s.pending = append(s.pending, t.ID)
		s.ids = append(s.ids, t.ID)
		s.emit(t)
		return true
	}
	if e.verbatim != nil {
		if !t.EOG {
			s.ids = append(s.ids, t.ID)
			// the runner has not seen it, nor what was forced before it
			s.pending = s.ids[len(s.ids)-len(s.pending)-1:]
		}
		e.verbatim.add(s.req.Space, s.ids, len(s.req.Prompt))
	}
	// The slot is freed before the consumer learns of the end, so that what it does next finds it free.
	if err := e.cutBack(s); err == nil {
		e.keep(s)
	}
	e.release(s, t.Finish, nil)
	s.emit(t)
	s.end(nil)
	return false
}

// finish ends a sequence in any state, running or queued.
func (e *Engine) finish(s *Sequence, reason FinishReason, err error) {
	e.release(s, reason, err)
	s.end(err)
}

// release takes a sequence out of the engine and counts how it ended.
func (e *Engine) release(s *Sequence, reason FinishReason, err error) {
	if s.open {
		e.runner.Release(s.slot)
		s.open = false
	}
	e.leave(s)
	e.spec.forget(s)
	s.req.Observer.Ended()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = remove(e.running, s)
	e.waiting, e.loading, e.parked = remove(e.waiting, s), remove(e.loading, s), remove(e.parked, s)
	e.freed = true
	switch {
	case s.embedding != nil && reason == FinishStop:
		e.stats.Embedded++
	case reason == FinishStop:
		e.stats.Stopped++
	case reason == FinishLength:
		e.stats.Length++
	case s.ctx.Err() != nil || errors.Is(err, ErrClosed):
		e.stats.Cancelled++
	default:
		e.stats.Failed++
	}
}

// failAll ends every sequence, for errors that concern them all.
func (e *Engine) failAll(err error) {
	for _, s := range e.all() {
		e.finish(s, FinishNone, err)
	}
}

// remove returns a slice without s, and leaves the given one as it is, because a caller may be ranging over it.
func remove(seqs []*Sequence, s *Sequence) []*Sequence {
	i := slices.Index(seqs, s)
	if i < 0 {
		return seqs
	}
	return slices.Concat(seqs[:i], seqs[i+1:])
}
