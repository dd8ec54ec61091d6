package pool

import (
	"context"
	"time"
)

// Unload unloads a model once nobody uses it; requests that come until then wait, and load it anew. What is not loaded
// stays so. Errors are *[UnknownError], [ErrPinned], [ErrClosed] and the cause of ctx's end, after which the model
// stays.
func (p *Pool[M]) Unload(ctx context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, err := p.find(id)
	if err != nil {
		return err
	}
	if e.spec.Pinned && e.state != Unloaded {
		return ErrPinned
	}
	before := e.unloaded()
	e.retired++
	defer p.restore(e)
	for e.unloaded() == before && e.state != Unloaded && e.state != Waiting {
		if p.closed {
			return ErrClosed
		}
		if e.state == Loaded && e.users == 0 {
			p.unload(e, Asked)
			return nil
		}
		if err := p.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// unloaded returns how often the model was unloaded.
func (e *entry[M]) unloaded() (n uint64) {
	for _, k := range e.unloads {
		n += k
	}
	return n
}

// unload closes a model that nobody uses. p.mu is held, and given up meanwhile.
func (p *Pool[M]) unload(e *entry[M], why Reason) {
	e.state = Unloading
	if e.idle != nil {
		e.idle.Stop()
		e.idle = nil
	}
	p.work.Add(1)
	defer p.work.Done()
	p.mu.Unlock()
	bytes := e.model.Bytes()
	err := e.model.Close()
	p.mu.Lock()
	e.past = e.past.Add(e.model.Stats())
	e.unloads[why]++
	var none M
	e.state, e.model = Unloaded, none
	p.observe(Event{ID: e.spec.ID, Kind: WasUnloaded, Reason: why, Bytes: bytes, Err: err})
	p.changed()
	p.want(e)
}

// startIdle begins the time after which a model that nobody uses is unloaded.
func (p *Pool[M]) startIdle(e *entry[M]) {
	if p.c.Idle == 0 || e.spec.Pinned || p.closed || e.state != Loaded {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(p.c.Idle, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if e.idle == t && e.state == Loaded && e.users == 0 && !p.closed {
			p.unload(e, Idle)
		}
	})
	e.idle = t
}
