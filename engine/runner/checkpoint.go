package runner

import (
	"errors"
	"fmt"
)

// CheckpointID names a checkpoint of a Runner. Ids are reused after Drop.
type CheckpointID int

// ErrNoCheckpoint reports that Options.Checkpoints are in use.
var ErrNoCheckpoint = errors.New("runner: all checkpoints are in use")

// TruncateError reports that the state of a sequence after fewer tokens is not known any more.
type TruncateError struct {
	Len, To int    // tokens of the sequence, and those that it was to have
	Reason  string // what stands in the way
}

// Error names the lengths and the reason.
func (e *TruncateError) Error() string {
	return fmt.Sprintf("runner: a sequence of %d tokens cannot be cut to %d: %s", e.Len, e.To, e.Reason)
}

// sequence returns an open sequence.
func (r *Runner) sequence(id SeqID) (*sequence, error) {
	if r.closed {
		return nil, ErrClosed
	}
	if int(id) < 0 || int(id) >= r.limits.Seqs || !r.seqs[id].open {
		return nil, fmt.Errorf("runner: sequence %d is not open", id)
	}
	return &r.seqs[id], nil
}

// Fork opens a sequence that continues where id is now; id stays open and the two part ways. Full pages of keys and
// values are shared, the last one and recurrent state are copied on the device, without waiting for it. It fails like
// Open, or with an error that wraps kv.ErrNoPages.
func (r *Runner) Fork(id SeqID) (SeqID, error) {
	if _, err := r.sequence(id); err != nil {
		return 0, err
	}
	return r.resume(int(id))
}

// Checkpoint keeps the state of a sequence, which stays open, until Drop. It shares pages and copies as Fork does.
// Errors are ErrNoCheckpoint, and others that wrap kv.ErrNoPages.
func (r *Runner) Checkpoint(id SeqID) (CheckpointID, error) {
	if _, err := r.sequence(id); err != nil {
		return 0, err
	}
	slot := r.take(r.limits.Seqs, len(r.seqs))
	if slot < 0 {
		return 0, ErrNoCheckpoint
	}
	if err := r.branch(int(id), slot); err != nil {
		r.free(slot)
		return 0, err
	}
	return CheckpointID(slot - r.limits.Seqs), nil
}

// Resume opens a sequence that continues where the checkpoint was made: the same tokens in the same steps give the
// same logits, bit for bit. It may be called any number of times. Errors are those of Fork.
func (r *Runner) Resume(cp CheckpointID) (SeqID, error) {
	slot, err := r.checkpoint(cp)
	if err != nil {
		return 0, err
	}
	return r.resume(slot)
}

// resume opens a sequence that continues where the given slot is.
func (r *Runner) resume(from int) (SeqID, error) {
	slot := r.take(0, r.limits.Seqs)
	if slot < 0 {
		return 0, ErrNoSlot
	}
	if err := r.branch(from, slot); err != nil {
		r.free(slot)
		return 0, err
	}
	return SeqID(slot), nil
}

// checkpoint returns the slot of a checkpoint.
func (r *Runner) checkpoint(cp CheckpointID) (int, error) {
	if r.closed {
		return 0, ErrClosed
	}
	slot := r.limits.Seqs + int(cp)
	if cp < 0 || slot >= len(r.seqs) || !r.seqs[slot].open {
		return 0, fmt.Errorf("runner: there is no checkpoint %d", cp)
	}
	return slot, nil
}

// Drop ends a checkpoint and frees its pages. Dropping one that is not there does nothing.
func (r *Runner) Drop(cp CheckpointID) {
	if slot, err := r.checkpoint(cp); err == nil {
		r.free(slot)
	}
}

// Floor returns the smallest length, but for 0, to which Truncate can cut an open sequence now, and a checkpoint of it
// that was resumed. What Work.Rewind allows goes below, for the sequence alone.
func (r *Runner) Floor(id SeqID) int {
	s, err := r.sequence(id)
	if err != nil {
		return 0
	}
	if len(r.spec.Slots) > 0 {
		return s.len
	}
	return r.pagesFloor(s)
}

// pagesFloor is Floor as far as keys and values go.
func (r *Runner) pagesFloor(s *sequence) int {
	n := 1
	if len(r.spec.Recent) > 0 {
		n = s.recent + 1
	}
	for i, t := range s.tables {
		if t.first > 0 {
			n = max(n, t.first*PageSize+r.windows[i]-1) // where behind becomes t.first
		}
	}
	return min(n, s.len)
}

// Truncate cuts a sequence to its first n tokens. Recurrent state is known at the start, at the end, and before each of
// the last Work.Rewind tokens of the last step: to take those back copies nothing, and leads to the state of a sequence
// that never had them. The error is a *TruncateError if n is another length of such a model, or if it lies further back
// than the pages that attention with a window keeps; or it wraps kv.ErrNoPages where a page that other sequences share
// must be copied. The sequence is as it was then.
func (r *Runner) Truncate(id SeqID, n int) error {
	s, err := r.sequence(id)
	switch {
	case err != nil:
		return err
	case n < 0 || n > s.len:
		return fmt.Errorf("runner: a sequence of %d tokens cannot be cut to %d", s.len, n)
	case n == s.len:
		return nil
	case n > 0 && len(r.spec.Slots) > 0 && s.len-n >= len(s.places):
		return &TruncateError{s.len, n, fmt.Sprintf("the model keeps recurrent state, which is known at the end and %d "+
			"tokens back", len(s.places)-1)}
	case n > 0 && len(r.spec.Recent) > 0 && n <= s.recent:
		return &TruncateError{s.len, n, "the hidden states from which drafts go on there are gone"}
	}
	pages := pagesFor(n)
	rest := n - r.shareable(n)*PageSize // tokens in a page that is written again
	need := make([]int, len(s.tables))
	for i, t := range s.tables {
		if n > 0 && behind(r.windows[i], n) < t.first {
			return &TruncateError{s.len,
				n, fmt.Sprintf("keys and values before the window of %d tokens are gone", r.windows[i])}
		}
		if rest > 0 && r.pools[i].Shared(t.pages[pages-1]) {
			need[i] = 1
		}
	}
	if err := r.enough(need); err != nil {
		return err
	}
	if n == 0 {
		if err := r.zero(int(id)); err != nil {
			return err
		}
		s.recent = 0
	}
	fresh := make([]int32, len(s.tables))
	for i := range s.tables {
		t := &s.tables[i]
		keep := max(pages, t.first)
		r.pools[i].Return(t.pages[keep:])
		t.pages = t.pages[:keep]
		if n == 0 {
			t.pages, t.first = t.pages[:0], 0
		}
		if need[i] > 0 {
			page, _ := r.pools[i].Take(nil, 1) // there are enough
			fresh[i] = page[0]
		}
	}
	if n == 0 {
		r.keep(s, 0)
	} else if len(r.spec.Slots) > 0 {
		r.rewindTo(s, s.len-n)
	}
	s.len = n
	for _, p := range r.spec.Paged {
		i := r.table(p)
		if need[i] == 0 {
			continue
		}
		if err := r.stream.Copy(r.page(p, fresh[i], rest), r.page(p, s.tables[i].pages[pages-1], rest)); err != nil {
			return fmt.Errorf("runner: copying %q: %w", p.Name, err)
		}
	}
	for i := range s.tables {
		if need[i] > 0 {
			last := s.tables[i].pages[pages-1:]
			r.pools[i].Return(last)
			last[0] = fresh[i]
		}
	}
	return nil
}
