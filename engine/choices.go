package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
)

// choices are sequences that share a prompt. One of them reads it; the others then go on from the state that it left.
// Of the engine's goroutine, but that rest changes under its mutex.
type choices struct {
	reader *Sequence   // nil once the prompt is read
	rest   []*Sequence // that wait for the prompt to be read, or for a slot after that

	// The end of the prompt, for those that found no slot when it was read.
	read       bool // what follows is set
	row        row
	checkpoint runner.CheckpointID
	snapshot   *runner.Snapshot // where the runner had no checkpoint left
}

// branch lets the sequences that share the prompt of s, which has just read it, go on from there as far as there are
// slots, and keeps the state for the others. It returns the sequences that now run.
func (e *Engine) branch(s *Sequence, r row) []*Sequence {
	c := s.choices
	if c == nil || c.reader != s {
		return nil
	}
	c.reader = nil
	var started []*Sequence
	for len(c.rest) > 0 && len(e.running) < e.limits.Seqs {
		next := c.rest[0]
		var slot runner.SeqID
		err := e.retry(func() (err error) {
			slot, err = e.runner.Fork(s.slot)
			return err
		})
		if errors.Is(err, kv.ErrNoPages) {
			break // it goes on when others have ended
		}
		if err != nil {
			e.finish(next, FinishNone, fmt.Errorf("engine: fork sequence: %w", err))
			continue
		}
		e.start(next, slot)
		started = append(started, next)
	}
	if len(c.rest) == 0 {
		return started
	}
	var err error
	c.read = true
	if c.row, err = r.clone(); err == nil {
		c.checkpoint, err = e.checkpoint(s.slot)
	}
	if errors.Is(err, runner.ErrNoCheckpoint) || errors.Is(err, kv.ErrNoPages) {
		c.snapshot, err = e.runner.Save(e.ctx, s.slot)
	}
	if err != nil {
		c.read = false // there is nothing to drop
		for _, next := range slices.Clone(c.rest) {
			e.finish(next, FinishNone, fmt.Errorf("engine: keep prompt: %w", err))
		}
	}
	return started
}

// startChoices lets sequences whose prompt is read go on from there, as far as there are slots. They are older than
// all that wait in the queue.
func (e *Engine) startChoices() {
	for len(e.running) < e.limits.Seqs && len(e.parked) == 0 {
		c := e.nextChoices()
		if c == nil {
			return
		}
		next, row := c.rest[0], c.row
		var slot runner.SeqID
		err := e.retry(func() (err error) {
			if c.snapshot != nil {
				slot, err = e.runner.Restore(e.ctx, c.snapshot)
			} else {
				slot, err = e.runner.Resume(c.checkpoint)
			}
			return err
		})
		if errors.Is(err, kv.ErrNoPages) && len(e.running) > 0 {
			return // until one of those has ended
		}
		if err != nil {
			e.finish(next, FinishNone, fmt.Errorf("engine: resume prompt: %w", err))
			continue
		}
		e.start(next, slot)
		e.draw(next, row)
	}
}

// nextChoices returns the oldest choices that could start a sequence, those first of which none runs: the pages of
// their prompt are in no running sequence's share of the cache.
func (e *Engine) nextChoices() *choices {
	e.mu.Lock()
	shared := e.shared // submitting appends behind it, and leaving replaces it
	e.mu.Unlock()
	var oldest *choices
	for _, c := range shared {
		if !c.read {
			continue
		}
		if !slices.ContainsFunc(e.running, func(s *Sequence) bool { return s.choices == c }) {
			return c
		}
		if oldest == nil {
			oldest = c
		}
	}
	return oldest
}

// start lets a sequence run in a slot that holds its prompt.
func (e *Engine) start(s *Sequence, slot runner.SeqID) {
	s.slot, s.open, s.pending = slot, true, nil
	e.admitted++
	s.number = e.admitted
	s.req.Observer.Started()
	e.mu.Lock()
	e.running = append(e.running, s)
	e.mu.Unlock()
	e.leave(s)
}

// leave takes a sequence out of those that share its prompt and wait. If it was the one that reads, another takes its
// place, and that in the queue.
func (e *Engine) leave(s *Sequence) {
	c := s.choices
	if c == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c.rest = remove(c.rest, s)
	if c.reader == s {
		c.reader = nil
		if len(c.rest) > 0 {
			c.reader = c.rest[0]
			c.rest = c.rest[1:]
			e.waiting = slices.Insert(slices.Clone(e.waiting), 0, c.reader)
		}
	}
	if len(c.rest) > 0 {
		return
	}
	if c.read && c.snapshot == nil {
		e.runner.Drop(c.checkpoint)
	}
	c.row, c.read, c.snapshot = row{}, false, nil
	if i := slices.Index(e.shared, c); i >= 0 {
		e.shared = slices.Concat(e.shared[:i], e.shared[i+1:])
	}
}

// choosing returns the sequences that wait for their prompt to be read or for a slot after that. e.mu is held.
func (e *Engine) choosing() []*Sequence {
	var all []*Sequence
	for _, c := range e.shared {
		all = append(all, c.rest...)
	}
	return all
}
