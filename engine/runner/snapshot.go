package runner

import (
	"context"
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// Snapshot is all that a sequence keeps, in host memory: keys and values of its tokens and its recurrent state. It
// can be restored any number of times, also after its sequence went on or ended. It is immutable, and valid for
// runners of the same weights, context and state types.
type Snapshot struct {
	len, context int
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

// sequence returns an open sequence.
func (r *Runner) sequence(id SeqID) (*sequence, error) {
	if r.closed {
		return nil, ErrClosed
	}
	if int(id) < 0 || int(id) >= len(r.seqs) || !r.seqs[id].open {
		return nil, fmt.Errorf("runner: sequence %d is not open", id)
	}
	return &r.seqs[id], nil
}

// Save copies the state of a sequence, which stays open. It waits for the device.
func (r *Runner) Save(ctx context.Context, id SeqID) (*Snapshot, error) {
	s, err := r.sequence(id)
	if err != nil {
		return nil, err
	}
	states, err := r.save(ctx, r.extents(id, s.pages, 0, s.len))
	if err != nil {
		return nil, fmt.Errorf("runner: saving sequence %d: %w", id, err)
	}
	return &Snapshot{len: s.len, context: r.limits.Context, states: states}, nil
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
	if snap.context != r.limits.Context {
		// Rotary tables may depend on the context, and with them the keys.
		return 0, fmt.Errorf("runner: a snapshot of a runner with a context of %d tokens does not fit one of %d", snap.context, r.limits.Context)
	}
	id, err := r.Open()
	if err != nil {
		return 0, err
	}
	if err := r.restore(ctx, id, snap); err != nil {
		r.Release(id)
		return 0, err
	}
	return id, nil
}

func (r *Runner) restore(ctx context.Context, id SeqID, snap *Snapshot) (err error) {
	s := &r.seqs[id]
	if s.pages, err = r.pages.Take(s.pages, pagesFor(snap.len)); err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	s.dirty = true // even if only a part arrives
	if err := r.fill(ctx, r.extents(id, s.pages, 0, snap.len), snap.states); err != nil {
		return fmt.Errorf("runner: restoring %d tokens: %w", snap.len, err)
	}
	s.len = snap.len
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
				return fmt.Errorf("state %q has %d bytes for %v %v (%v)", e.name, len(st.parts[j]), t.DType, t.Shape, err)
			}
			if err := r.stream.Upload(t, st.parts[j]); err != nil {
				return fmt.Errorf("state %q: %w", e.name, err)
			}
		}
	}
	return r.stream.Sync(ctx)
}

// Fork opens a sequence that continues where id is now; id stays open and the two part ways. Full pages of keys and
// values are shared, the last one and recurrent state are copied. Errors are those of Restore.
func (r *Runner) Fork(ctx context.Context, id SeqID) (SeqID, error) {
	from, err := r.sequence(id)
	if err != nil {
		return 0, err
	}
	child, err := r.Open()
	if err != nil {
		return 0, err
	}
	if err := r.fork(ctx, from, id, child); err != nil {
		r.Release(child)
		return 0, err
	}
	return child, nil
}

func (r *Runner) fork(ctx context.Context, from *sequence, id, child SeqID) (err error) {
	s := &r.seqs[child]
	full := from.len / PageSize
	s.pages = r.pages.Share(s.pages, from.pages[:full])
	if s.pages, err = r.pages.Take(s.pages, pagesFor(from.len)-full); err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	states, err := r.save(ctx, r.extents(id, from.pages, full*PageSize, from.len))
	if err == nil {
		s.dirty = true
		err = r.fill(ctx, r.extents(child, s.pages, full*PageSize, from.len), states)
	}
	if err != nil {
		return fmt.Errorf("runner: forking sequence %d: %w", id, err)
	}
	s.len = from.len
	return nil
}

// extent is where one state tensor keeps a range of a sequence.
type extent struct {
	name  string
	parts []tensor.Tensor
}

// extents lists where a sequence with the given page table keeps the keys and values of tokens lo to hi-1, lo being
// the first of a page, and its recurrent state.
func (r *Runner) extents(id SeqID, pages []int32, lo, hi int) []extent {
	var es []extent
	for _, p := range r.spec.Paged {
		t := r.states[p.Name]
		row, _ := tensor.Bytes(t.DType, tensor.Shape{p.Heads, p.Dim}) // alloc checked the whole
		e := extent{name: p.Name}
		for at := lo; at < hi; at += PageSize {
			part := t
			part.Shape = tensor.Shape{min(PageSize, hi-at), p.Heads, p.Dim}
			part.Off = t.Off + row*PageSize*int64(pages[at/PageSize])
			e.parts = append(e.parts, part)
		}
		es = append(es, e)
	}
	for _, spec := range r.spec.Slots {
		t, _ := r.slot(spec.Name, int(id))
		es = append(es, extent{spec.Name, []tensor.Tensor{t}})
	}
	return es
}
