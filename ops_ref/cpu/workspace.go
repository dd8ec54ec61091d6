package cpu

import (
	"errors"

	"github.com/hipengine/hipengine/ops_ref/internal/pages"
)

// workspace is the memory that the plans of a device use in turn. It only grows, while no plan runs.
type workspace struct {
	scratch scratch
	acts    map[actLayout]*activations
}

// scratch is the part that tasks use in turn.
type scratch struct {
	sharedSize, localSize int
	shared                region
	local                 []region // by worker
}

// region is memory that only grows. What it held is gone then.
type region struct {
	b   []byte
	mem *pages.Memory
}

// wideRegion is the size from which a region fills huge pages: kernels walk through it again and again, and small
// pages cost them up to a tenth of their time.
const wideRegion = 256 << 10

func (r *region) grow(size int) error {
	if len(r.b) >= size {
		return nil
	}
	if size >= wideRegion {
		size = (size + pages.Huge - 1) / pages.Huge * pages.Huge
	}
	m, err := pages.New(int64(size))
	if err != nil {
		return err
	}
	r.release()
	r.b, r.mem = m.Bytes(), m
	return nil
}

func (r *region) release() {
	if r.mem != nil {
		r.mem.Release()
	}
	*r = region{}
}

// grow makes everything as large as plans have asked for.
func (w *workspace) grow(threads int) error {
	s := &w.scratch
	if s.local == nil {
		s.local = make([]region, threads)
	}
	err := s.shared.grow(s.sharedSize)
	for i := range s.local {
		err = errors.Join(err, s.local[i].grow(s.localSize))
	}
	for _, a := range w.acts {
		err = errors.Join(err, a.grow(a.size))
	}
	return err
}

// release gives the memory back, when no plan runs any more.
func (w *workspace) release() {
	w.scratch.shared.release()
	for i := range w.scratch.local {
		w.scratch.local[i].release()
	}
	for _, a := range w.acts {
		a.release()
	}
}
