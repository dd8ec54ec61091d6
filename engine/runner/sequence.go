package runner

import (
	"fmt"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/tensor"
)

// sequence is what the runner knows about the user of a slot: an open sequence or a checkpoint.
type sequence struct {
	open   bool
	dirty  bool    // the recurrent state of the slot may not be zero
	len    int     // tokens
	tables []table // by window
	step   uint64  // number of the last step that had it

	// places are those of recurrent state: number i holds the state of i tokens before now. A step reads the first and
	// leaves the last state there, and earlier ones in others, which are the sequence's until the next step.
	places []int

	recent int // position of the first token of which state of the newest tokens is known
}

// table is the page table of one window. What lies wholly outside of the window was given back.
type table struct {
	pages []int32 // negative before first
	first int
}

// behind returns the number of pages that no token from position pos on can see.
func behind(window, pos int) int {
	if window == 0 {
		return 0
	}
	return max(0, pos-window+1) / PageSize
}

// enough reports which pool lacks the pages that are needed, by window.
func (r *Runner) enough(need []int) error {
	for i, n := range need {
		if n > r.pools[i].Free() {
			_, err := r.pools[i].Take(nil, n) // says how many are missing
			return fmt.Errorf("runner: %w", err)
		}
	}
	return nil
}

// grow makes the tables of s at least pages long.
func (r *Runner) grow(s *sequence, pages int) (err error) {
	for i := range s.tables {
		t := &s.tables[i]
		if t.pages, err = r.pools[i].Take(t.pages, max(0, pages-len(t.pages))); err != nil {
			return fmt.Errorf("runner: %w", err)
		}
	}
	return nil
}

// trim gives back the pages that are out of sight, but for one, so that short truncations are possible.
func (r *Runner) trim(s *sequence) {
	for i := range s.tables {
		t := &s.tables[i]
		for keep := behind(r.windows[i], s.len-PageSize); t.first < keep; t.first++ {
			r.pools[i].Return(t.pages[t.first : t.first+1])
			t.pages[t.first] = -1
		}
	}
}

// take finds a free slot among lo to hi-1 and returns it, open and empty, or -1. Its recurrent state is what the last
// user left.
func (r *Runner) take(lo, hi int) int {
	for i := lo; i < hi; i++ {
		if s := &r.seqs[i]; !s.open {
			*s = sequence{open: true, dirty: s.dirty, tables: make([]table, len(r.windows)), places: s.places}
			return i
		}
	}
	return -1
}

// free gives back what the user of a slot holds.
func (r *Runner) free(slot int) {
	s := &r.seqs[slot]
	for i, t := range s.tables {
		r.pools[i].Return(t.pages[t.first:])
	}
	r.keep(s, 0)
	*s = sequence{dirty: s.dirty, places: s.places}
}

// zero clears the recurrent state of the user of a slot.
func (r *Runner) zero(slot int) error {
	if !r.seqs[slot].dirty {
		return nil
	}
	for _, spec := range r.spec.Slots {
		if err := r.stream.Zero(r.slot(spec.Name, slot)); err != nil {
			return fmt.Errorf("runner: clearing %q: %w", spec.Name, err)
		}
	}
	r.seqs[slot].dirty = false
	return nil
}

// slot returns the part of a state tensor that holds the state of the user of slot i now.
func (r *Runner) slot(name string, i int) tensor.Tensor {
	t := r.states[name]
	t.Shape = t.Shape[1:]
	n, _ := tensor.Bytes(t.DType, t.Shape) // New checked the whole
	t.Off += int64(r.seqs[i].places[0]) * n
	return t
}

// newest returns the part of state of the newest tokens that belongs to the user of slot i.
func (r *Runner) newest(name string, i int) tensor.Tensor {
	t := r.states[name]
	t.Shape = t.Shape[1:]
	n, _ := tensor.Bytes(t.DType, t.Shape) // New checked the whole
	t.Off += int64(i) * n
	return t
}

// page returns the part of a paged tensor that holds the first n tokens of a page.
func (r *Runner) page(p kv.Paged, page int32, n int) tensor.Tensor {
	t := r.states[p.Name]
	row, _ := tensor.Bytes(t.DType, tensor.Shape{p.Heads, p.Dim})
	t.Shape = tensor.Shape{n, p.Heads, p.Dim}
	t.Off += row * PageSize * int64(page)
	return t
}

// table returns the number of the table that holds the pages of p.
func (r *Runner) table(p kv.Paged) int {
	for i, w := range r.windows {
		if w == p.Window {
			return i
		}
	}
	panic("runner: a window that kv.Spec.Windows does not list")
}

// branch lets slot to, which is empty, continue where slot from is. Full pages are shared; the last one, which both
// will write, and recurrent state are copied on the device.
func (r *Runner) branch(from, to int) error {
	f, s := &r.seqs[from], &r.seqs[to]
	full := r.shareable(f.len)
	rest := f.len - full*PageSize
	for i, t := range f.tables {
		c := &s.tables[i]
		c.pages, c.first = append(c.pages, t.pages[:t.first]...), t.first
		c.pages = r.pools[i].Share(c.pages, t.pages[t.first:full])
	}
	if err := r.grow(s, pagesFor(f.len)); err != nil {
		return err
	}
	if rest > 0 {
		for _, p := range r.spec.Paged {
			i := r.table(p)
			if err := r.stream.Copy(r.page(p, s.tables[i].pages[full], rest),
				r.page(p, f.tables[i].pages[full], rest)); err != nil {
				return fmt.Errorf("runner: copying %q: %w", p.Name, err)
			}
		}
	}
	if len(r.spec.Slots) > 0 {
		s.dirty = true
	}
	for _, spec := range r.spec.Slots {
		if err := r.stream.Copy(r.slot(spec.Name, to), r.slot(spec.Name, from)); err != nil {
			return fmt.Errorf("runner: copying %q: %w", spec.Name, err)
		}
	}
	for _, spec := range r.spec.Recent {
		if err := r.stream.Copy(r.newest(spec.Name, to), r.newest(spec.Name, from)); err != nil {
			return fmt.Errorf("runner: copying %q: %w", spec.Name, err)
		}
	}
	s.len, s.recent = f.len, f.recent
	return nil
}

// shareable returns how many pages of a sequence of n tokens others that begin like it may hold too: those that nobody
// writes any more. A draft layer keeps the entry of a token in the place of the one before, so that what comes behind
// a full page still writes to it.
func (r *Runner) shareable(n int) int {
	if r.drafts != nil {
		return max(0, n-1) / PageSize
	}
	return n / PageSize
}
