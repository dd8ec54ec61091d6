package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
)

// makeRoom gives pages back when a step lacks them and no kept state is left to go. It moves the prompts that choices
// wait for to the host, or else the state of the sequence that came last, which goes on when another has ended: from
// the same bits, so that its tokens are those that it would have got. It returns false if nothing can make room: the
// only sequence that runs has all pages, and all of a context are never more than there are.
func (e *Engine) makeRoom() bool {
	moved := false
	e.mu.Lock()
	shared := e.shared
	e.mu.Unlock()
	for _, c := range shared {
		if !c.read || c.snapshot != nil {
			continue
		}
		snap, err := e.runner.SaveCheckpoint(e.ctx, c.checkpoint)
		if err == nil {
			e.runner.Drop(c.checkpoint)
			c.snapshot, moved = snap, true
		}
	}
	if moved || len(e.running) < 2 {
		return moved
	}
	s := e.running[len(e.running)-1]
	snap, err := e.runner.Save(e.ctx, s.slot)
	if err != nil {
		e.finish(s, FinishNone, fmt.Errorf("engine: making room for other sequences: %w", err))
		return true
	}
	e.runner.Release(s.slot)
	s.open, s.parked = false, snap
	e.freed = false
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = remove(e.running, s)
	e.parked = append([]*Sequence{s}, e.parked...) // it came before those that are parked
	e.stats.Preempted++
	return true
}

// unpark lets sequences that made room go on, the oldest first, when one has ended since the last attempt or none
// runs.
func (e *Engine) unpark() {
	for len(e.parked) > 0 && len(e.running) < e.limits.Seqs && (e.freed || len(e.running) == 0) {
		s := e.parked[0]
		var slot runner.SeqID
		err := e.retry(func() (err error) {
			slot, err = e.runner.Restore(e.ctx, s.parked)
			return err
		})
		if errors.Is(err, kv.ErrNoPages) && len(e.running) > 0 {
			e.freed = false
			return
		}
		if err != nil {
			e.finish(s, FinishNone, fmt.Errorf("engine: going on after making room: %w", err))
			continue
		}
		s.slot, s.open, s.parked = slot, true, nil
		e.mu.Lock()
		e.parked = slices.Clone(e.parked[1:])
		at, _ := slices.BinarySearchFunc(e.running, s.number,
			func(r *Sequence, n uint64) int { return cmp.Compare(r.number, n) })
		e.running = slices.Insert(slices.Clone(e.running), at, s)
		e.mu.Unlock()
	}
}
