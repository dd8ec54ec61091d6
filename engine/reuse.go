package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/hipengine/hipengine/engine/disk"
	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/prefix"
	"github.com/hipengine/hipengine/engine/runner"
)

// Where states are kept and from how many tokens on they are used.
const (
	// leastReuse is the smallest number of tokens for which a kept state is used: fewer are read as fast.
	leastReuse = 16
	// promptTail is how far before the end of a prompt the state of a model that cannot be cut back is kept at least.
	// The next turn of a conversation repeats the prompt, but often not what a template puts at its end to begin the
	// answer.
	promptTail = 16
)

// reuse keeps states of sequences for prompts that begin with the same tokens: on the device as checkpoints, and those
// that must make room there in host memory. Of the engine's goroutine.
type reuse struct {
	room   int // checkpoints
	device *prefix.Cache[runner.CheckpointID]
	host   *prefix.Cache[*runner.Snapshot] // nil if there is no budget
	disk   *disk.Store                     // nil if there is none
	pinned *prefix.Entry[runner.CheckpointID]

	turnStart int32 // see Config
}

// newReuse returns nil if nothing is to be kept.
func newReuse(c Config, l runner.Limits) *reuse {
	room := min(c.Checkpoints, l.Checkpoints)
	if room <= 0 {
		return nil
	}
	r := &reuse{room: room, device: prefix.New(int64(room), c.Runner.Drop), turnStart: c.TurnStart, disk: c.Disk}
	if c.HostBytes > 0 {
		r.host = prefix.New(c.HostBytes, func(*runner.Snapshot) {})
	}
	return r
}

// hit is what is kept of the beginning of a prompt.
type hit struct {
	device *prefix.Entry[runner.CheckpointID]
	host   *prefix.Entry[*runner.Snapshot]
	stored *runner.Snapshot
	n      int // tokens that need not be read
	known  int // tokens that some kept sequence began with; at least n
}

// lookup returns what is kept for a sequence that waits. The last token of a prompt is always read, for its logits.
func (e *Engine) lookup(s *Sequence) (h hit) {
	if e.reuse == nil || s.embedding != nil || s.req.PromptLogprobs {
		return h
	}
	ids := s.req.Prompt[:len(s.req.Prompt)-1]
	h.device, h.n, h.known = e.reuse.device.Find(s.req.Space, ids)
	if e.reuse.host != nil {
		if entry, n, known := e.reuse.host.Find(s.req.Space, ids); n > h.n {
			h = hit{host: entry, n: n, known: max(known, h.known)}
		}
	}
	if s.stored != nil && s.stored.n > h.n {
		h = hit{stored: s.stored.state, n: s.stored.n, known: max(s.stored.n, h.known)}
	}
	if h.n < leastReuse {
		h.device, h.host, h.stored, h.n = nil, nil, nil, 0
	}
	return h
}

// marks returns the lengths, in ascending order, at which the state of a prompt is kept while it is read from h.n on,
// so that no step passes them. Models that can be cut back need none.
func (e *Engine) marks(s *Sequence, h hit) []int {
	if e.reuse == nil || e.limits.CutsAnywhere() || s.embedding != nil {
		return nil
	}
	prompt := s.req.Prompt
	down := func(at int) int { return at - at%runner.PageSize }
	// Where prompts part once, others will part: after a system prompt, for example.
	marks := append([]int{down(h.known)}, e.reuse.turns(prompt)...)
	if len(marks) == 1 {
		marks = append(marks, down(len(prompt)-promptTail))
	}
	slices.Sort(marks)
	return slices.DeleteFunc(slices.Compact(marks), func(at int) bool { return at <= h.n || at >= len(prompt) })
}

// turns returns where the second turn of a conversation begins, and the last; nil if prompt is none.
func (r *reuse) turns(prompt []int32) []int {
	if r.turnStart == 0 {
		return nil
	}
	first := slices.Index(prompt, r.turnStart)
	if first < 0 {
		return nil
	}
	last := len(prompt) - 1
	for prompt[last] != r.turnStart {
		last--
	}
	if second := slices.Index(prompt[first+1:], r.turnStart); second >= 0 {
		return []int{first + 1 + second, last}
	}
	return []int{last}
}

// upTo returns how many tokens a sequence that has read n of a prompt may take at once.
func upTo(prompt, n int, marks []int) int {
	for _, m := range marks {
		if m > n {
			return m - n
		}
	}
	return prompt - n
}

// open gives a sequence a slot, with as much of its prompt in it as is kept.
func (e *Engine) open(s *Sequence) (runner.SeqID, error) {
	h := e.lookup(s)
	s.stored = &stored{} // it has served
	if h.n > 0 {
		if slot, err := e.resume(h); err == nil {
			s.pending = s.req.Prompt[h.n:]
			s.setCached(h.n)
			s.marks = e.marks(s, h)
			e.mu.Lock()
			e.stats.CachedTokens += uint64(h.n)
			e.mu.Unlock()
			return slot, nil
		}
		h.n = 0 // the prompt is read instead; what is wrong with the device shows there
	}
	s.marks = e.marks(s, h)
	return e.runner.Open()
}

// resume opens a sequence that holds the tokens of a hit.
func (e *Engine) resume(h hit) (slot runner.SeqID, err error) {
	r := e.reuse
	if h.device == nil {
		snap := h.stored
		if h.host != nil {
			r.host.Use(h.host)
			snap = h.host.State
		}
		err = e.retry(func() (err error) {
			slot, err = e.runner.Restore(e.ctx, snap)
			return err
		})
	} else {
		r.device.Use(h.device)
		r.pinned = h.device
		defer func() { r.pinned = nil }()
		err = e.retry(func() (err error) {
			slot, err = e.runner.Resume(h.device.State)
			return err
		})
	}
	if err != nil {
		return 0, err
	}
	if err := e.retry(func() error { return e.runner.Truncate(slot, h.n) }); err != nil {
		e.runner.Release(slot)
		return 0, err
	}
	return slot, nil
}

// keep remembers the state that a sequence is in.
func (e *Engine) keep(s *Sequence) {
	r := e.reuse
	ids := s.fed()
	if r == nil || s.embedding != nil || len(ids) < leastReuse {
		return
	}
	floor := e.runner.Floor(s.slot)
	if r.device.Covers(s.req.Space, ids, floor) {
		return
	}
	for r.device.Len() >= r.room {
		e.evict()
	}
	cp, err := e.checkpoint(s.slot)
	if err != nil {
		return // then the next prompt is read in full; what is wrong with the device shows in its next step
	}
	if !r.device.Add(s.req.Space, ids, floor, 1, cp) {
		e.runner.Drop(cp)
	}
}

// checkpoint makes a checkpoint, for which kept states make room.
func (e *Engine) checkpoint(slot runner.SeqID) (cp runner.CheckpointID, err error) {
	err = e.retry(func() (err error) {
		cp, err = e.runner.Checkpoint(slot)
		return err
	})
	return cp, err
}

// retry calls f until it does not lack pages or checkpoints, or nothing is left that could make room.
func (e *Engine) retry(f func() error) error {
	for {
		err := f()
		if !errors.Is(err, kv.ErrNoPages) && !errors.Is(err, runner.ErrNoCheckpoint) || !e.evict() {
			return err
		}
	}
}

// evict drops the state on the device that was used least recently, which moves to the host if it fits there. It
// returns false if there is none.
func (e *Engine) evict() bool {
	if e.reuse == nil {
		return false
	}
	r := e.reuse
	entry := r.device.Oldest()
	if entry == nil || entry == r.pinned {
		return false
	}
	e.moveOut(e.ctx, entry, false)
	r.device.Remove(entry)
	return true
}

// moveOut copies a state of the device to where there is room: to the host, the disk, or both. For the disk, it waits
// until ctx ends, or not at all.
func (e *Engine) moveOut(ctx context.Context, entry *prefix.Entry[runner.CheckpointID], wait bool) {
	r := e.reuse
	space, ids := entry.Path()
	toHost := r.host != nil && !r.host.Covers(space, ids, entry.Floor)
	toDisk := r.disk != nil && !r.disk.Covers(space, ids, entry.Floor)
	if !toHost && !toDisk {
		return
	}
	snap, err := e.runner.SaveCheckpoint(ctx, entry.State)
	if err != nil {
		return // it is read again when it is wanted
	}
	if toHost {
		r.host.Add(space, ids, entry.Floor, snap.Bytes(), snap)
	}
	if toDisk {
		if wait {
			r.disk.KeepWait(ctx, space, ids, entry.Floor, onDisk{snap})
		} else {
			r.disk.Keep(space, ids, entry.Floor, onDisk{snap})
		}
	}
}

// clearReuse drops all that is kept in memory. What the disk lacks goes there first, as much as a moment allows.
func (e *Engine) clearReuse() {
	r := e.reuse
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	for r.device.Len() > 0 {
		entry := r.device.Oldest()
		if r.disk != nil && ctx.Err() == nil {
			e.moveOut(ctx, entry, true)
		}
		r.device.Remove(entry)
	}
	if r.host != nil {
		r.host.Clear()
	}
}
