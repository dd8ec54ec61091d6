package runner

import (
	"context"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// Snapshot is all that a sequence keeps, in host memory: keys and values of its tokens and its recurrent state. It
// can be restored any number of times, also after its sequence went on or ended. It is immutable, and valid for
// runners of the same weights, context and state types.
type Snapshot struct {
	len, context int
	recent       int   // position of the first token of which state of the newest tokens is known
	first        []int // first page of each window's table
	states       []savedState
}

// savedState is the part of a snapshot that comes from one state tensor.
type savedState struct {
	name  string
	dtype tensor.DType
	parts [][]byte // one for each page, or one slot
}

// Len returns the number of tokens.
func (s *Snapshot) Len() int { return s.len }

// Bytes returns the memory that the snapshot occupies.
func (s *Snapshot) Bytes() int64 {
	var n int64
	for _, st := range s.states {
		for _, p := range st.parts {
			n += int64(len(p))
		}
	}
	return n
}

// Save copies the state of a sequence, which stays open, to the host. It waits for the device.
func (r *Runner) Save(ctx context.Context, id SeqID) (*Snapshot, error) {
	if _, err := r.sequence(id); err != nil {
		return nil, err
	}
	return r.snapshot(ctx, int(id))
}

// SaveCheckpoint is Save of a checkpoint, which stays.
func (r *Runner) SaveCheckpoint(ctx context.Context, cp CheckpointID) (*Snapshot, error) {
	slot, err := r.checkpoint(cp)
	if err != nil {
		return nil, err
	}
	return r.snapshot(ctx, slot)
}

// snapshot copies the state of a slot to the host.
func (r *Runner) snapshot(ctx context.Context, slot int) (_ *Snapshot, err error) {
	s := &r.seqs[slot]
	snap := &Snapshot{len: s.len, context: r.limits.Context, recent: s.recent}
	for _, t := range s.tables {
		snap.first = append(snap.first, t.first)
	}
	if snap.states, err = r.save(ctx, r.extents(slot)); err != nil {
		return nil, fmt.Errorf("runner: saving %d tokens: %w", s.len, err)
	}
	return snap, nil
}

// save downloads what lies at es.
func (r *Runner) save(ctx context.Context, es []extent) ([]savedState, error) {
	var states []savedState
	for _, e := range es {
		st := savedState{name: e.name, dtype: r.states[e.name].DType}
		for _, t := range e.parts {
			n, err := tensor.Bytes(t.DType, t.Shape)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", e.name, err)
			}
			part := make([]byte, n) // on its own: downloads end only at Sync
			if err := r.stream.Download(part, t); err != nil {
				return nil, fmt.Errorf("%q: %w", e.name, err)
			}
			st.parts = append(st.parts, part)
		}
		states = append(states, st)
	}
	return states, r.stream.Sync(ctx)
}

// Restore opens a sequence that continues where snap was saved: the same tokens in the same steps give the same
// logits, bit for bit. It fails like Open, or with an error that wraps kv.ErrNoPages, or if snap does not fit the
// runner.
func (r *Runner) Restore(ctx context.Context, snap *Snapshot) (SeqID, error) {
	if r.closed {
		return 0, ErrClosed
	}
	if snap.context != r.limits.Context {
		// Rotary tables may depend on the context, and with them the keys.
		return 0, fmt.Errorf("runner: a snapshot of a runner with a context of %d tokens does not fit one of %d",
			snap.context, r.limits.Context)
	}
	slot := r.take(0, r.limits.Seqs)
	if slot < 0 {
		return 0, ErrNoSlot
	}
	if err := r.restore(ctx, SeqID(slot), snap); err != nil {
		r.free(slot)
		return 0, err
	}
	return SeqID(slot), nil
}

func (r *Runner) restore(ctx context.Context, id SeqID, snap *Snapshot) error {
	s := &r.seqs[id]
	if len(snap.first) != len(s.tables) {
		return fmt.Errorf("runner: state with %d page tables for a model with %d", len(snap.first), len(s.tables))
	}
	for i, n := range snap.first {
		s.tables[i] = table{slices.Repeat([]int32{-1}, n), n}
	}
	if err := r.grow(s, pagesFor(snap.len)); err != nil {
		return err
	}
	s.len, s.recent, s.dirty = snap.len, snap.recent, true // even if only a part arrives
	if err := r.fill(ctx, r.extents(int(id)), snap.states); err != nil {
		return fmt.Errorf("runner: restoring %d tokens: %w", snap.len, err)
	}
	return nil
}

// fill uploads states to the places es.
func (r *Runner) fill(ctx context.Context, es []extent, states []savedState) error {
	if len(es) != len(states) {
		return fmt.Errorf("%d states for a model with %d", len(states), len(es))
	}
	for i, e := range es {
		st := states[i]
		if st.name != e.name || st.dtype != r.states[e.name].DType || len(st.parts) != len(e.parts) {
			return fmt.Errorf("state %q of %v for %q of %v", st.name, st.dtype, e.name, r.states[e.name].DType)
		}
		for j, t := range e.parts {
			if n, err := tensor.Bytes(t.DType, t.Shape); err != nil || n != int64(len(st.parts[j])) {
				return fmt.Errorf("state %q has %d bytes for %v %v (%v)", e.name, len(st.parts[j]), t.DType, t.Shape,
					err)
			}
			if err := r.stream.Upload(t, st.parts[j]); err != nil {
				return fmt.Errorf("state %q: %w", e.name, err)
			}
		}
	}
	return r.stream.Sync(ctx)
}

// extent is where one state tensor keeps its part of a sequence.
type extent struct {
	name  string
	parts []tensor.Tensor
}

// extents lists where the user of a slot keeps keys and values, and its recurrent state.
func (r *Runner) extents(slot int) []extent {
	s := &r.seqs[slot]
	var es []extent
	for _, p := range r.spec.Paged {
		t := s.tables[r.table(p)]
		e := extent{name: p.Name}
		for i := t.first; i < pagesFor(s.len); i++ {
			e.parts = append(e.parts, r.page(p, t.pages[i], min(PageSize, s.len-i*PageSize)))
		}
		es = append(es, e)
	}
	for _, spec := range r.spec.Slots {
		es = append(es, extent{spec.Name, []tensor.Tensor{r.slot(spec.Name, slot)}})
	}
	for _, spec := range r.spec.Recent {
		es = append(es, extent{spec.Name, []tensor.Tensor{r.newest(spec.Name, slot)}})
	}
	return es
}
