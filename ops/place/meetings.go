package place

import (
	"errors"
	"sync"

	"github.com/hipengine/hipengine/ops"
)

// meetings are what parts that add up without the host share, one for each set of plans that do not run at once.
type meetings struct {
	mu   sync.Mutex
	err  error       // why there are none
	all  []ops.Ranks // that were made
	free []ops.Ranks // that nobody has
}

// take returns one that nobody has, nil if the parts of d cannot.
func (m *meetings) take(d *Device) ops.Ranks {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		r := m.free[n-1]
		m.free = m.free[:n-1]
		return r
	}
	return m.make(d)
}

// make makes one. The mutex is held.
func (m *meetings) make(d *Device) ops.Ranks {
	ranks := d.parts[0].Device.Caps().Ranks
	if m.err != nil || ranks == nil || len(d.parts) < 2 {
		return nil
	}
	devs := make([]ops.Device, len(d.parts))
	for i, p := range d.parts {
		devs[i] = p.Device
	}
	r, err := ranks(devs)
	if m.err = err; err != nil {
		return nil
	}
	m.all = append(m.all, r)
	return r
}

// put takes one back, when no plan uses it any more.
func (m *meetings) put(r ops.Ranks) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, r)
}

// planned returns one for graphs that are planned and not run.
func (m *meetings) planned(d *Device) ops.Ranks {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) > 0 {
		return m.all[0]
	}
	r := m.make(d)
	if r != nil {
		m.free = append(m.free, r)
	}
	return r
}

// close frees all.
func (m *meetings) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, r := range m.all {
		errs = append(errs, r.Close())
	}
	m.all, m.free = nil, nil
	return errors.Join(errs...)
}
