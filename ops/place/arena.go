package place

import (
	"errors"
	"sync"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// arenas is the memory of plans that never run at a time: an arena of each part, and what crosses between segments.
type arenas struct {
	dev   *Device
	parts []*ops.Arena

	mu      sync.Mutex
	ranks   ops.Ranks // of plans in which the parts meet; nil: none yet
	regions []*region // of each part; nil: none yet
}

// region is memory of a part for a plan's inputs and for values that cross segments. It never moves, since plans have
// its address: where a plan needs more there is a new one, and the old one stays as long as plans have it.
type region struct {
	buf   tensor.Buffer
	stage []byte // of the same size in the host's memory, for a part that others do not reach
	users int
}

func newArenas(d *Device) *arenas {
	a := &arenas{dev: d, regions: make([]*region, len(d.parts))}
	for range d.parts {
		a.parts = append(a.parts, &ops.Arena{})
	}
	return a
}

// Size returns what the arenas and the newest regions take.
func (a *arenas) Size() (total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, p := range a.parts {
		total += p.Bytes()
		if r := a.regions[i]; r != nil {
			total += r.buf.Size()
		}
	}
	return total
}

// Free releases what no plan holds.
func (a *arenas) Free() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for i, p := range a.parts {
		errs = append(errs, p.Free(), a.regions[i].release())
		a.regions[i] = nil
	}
	if a.ranks != nil {
		a.dev.meetings.put(a.ranks)
		a.ranks = nil
	}
	return errors.Join(errs...)
}

// meeting returns what plans of the arenas meet in, nil if the parts cannot meet without the host.
func (a *arenas) meeting() ops.Ranks {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ranks == nil {
		a.ranks = a.dev.meetings.take(a.dev)
	}
	return a.ranks
}

// take returns memory of part p for a plan, which releases it.
func (a *arenas) take(p *Part, bytes int64, stage bool) (*region, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.regions[p.number]
	if r == nil || r.buf.Size() < bytes {
		if err := r.release(); err != nil {
			return nil, err
		}
		a.regions[p.number] = nil
		buf, err := p.Device.Alloc(bytes, ops.MemPlans)
		if err != nil {
			return nil, err
		}
		r = &region{buf: buf, users: 1}
		a.regions[p.number] = r
	}
	if stage && r.stage == nil {
		r.stage = make([]byte, r.buf.Size())
	}
	r.users++
	return r, nil
}

// put gives back what take returned.
func (a *arenas) put(r *region) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return r.release()
}

// release takes away one user. The arenas' mutex is held.
func (r *region) release() error {
	if r == nil {
		return nil
	}
	if r.users--; r.users > 0 {
		return nil
	}
	return r.buf.Free()
}
