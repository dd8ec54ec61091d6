package pool

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/hipengine/hipengine/engine"
)

// want puts an unloaded model that requests wait for into the queue. p.mu is held.
func (p *Pool[M]) want(e *entry[M]) {
	if e.state != Unloaded || len(e.waiters) == 0 || p.closed {
		return
	}
	e.state = Waiting
	p.wanted = append(p.wanted, e)
	if !p.loading {
		p.loading = true
		p.work.Go(p.loadWanted)
	}
}

// loadWanted loads the models of the queue, one after the other, until it is empty.
func (p *Pool[M]) loadWanted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.wanted) > 0 {
		e := p.wanted[0]
		p.wanted = p.wanted[1:]
		if len(e.waiters) == 0 { // all have given up, or the pool is closed
			e.state = Unloaded
			p.changed()
			continue
		}
		e.state = Loading
		p.mu.Unlock()
		start := time.Now()
		m, noRoom, err := p.open(e)
		took := time.Since(start)
		p.mu.Lock()
		p.loaded(e, m, noRoom, took, err)
	}
	p.loading = false
}

// open loads a model. A panic is an error: what one file does must not end the models of others.
func (p *Pool[M]) open(e *entry[M]) (m M, noRoom bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &engine.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	m, err = e.spec.Load(p.ctx, func(ctx context.Context, need, free int64) error {
		err := p.makeRoom(ctx, e, need, free)
		noRoom = errors.Is(err, ErrNoRoom)
		return err
	})
	return m, noRoom, err
}

// loaded notes how a load ended.
func (p *Pool[M]) loaded(e *entry[M], m M, noRoom bool, took time.Duration, err error) {
	switch {
	case errors.Is(err, errAbandoned):
		e.state = Unloaded
		p.want(e) // for those that came just now
	case err != nil:
		e.state = Unloaded
		failed := err
		if p.closed {
			failed = ErrClosed
		} else {
			e.failures++
			failed = &LoadError{ID: e.spec.ID, NoRoom: noRoom, Err: err}
			p.observe(Event{ID: e.spec.ID, Kind: Failed, Took: took, Err: err})
		}
		p.serve(e, failed)
	default:
		e.state, e.model = Loaded, m
		e.loads++
		e.loadTime += took
		e.since = time.Now()
		e.used = e.since
		p.observe(Event{ID: e.spec.ID, Kind: WasLoaded, Took: took, Bytes: m.Bytes()})
		p.serve(e, nil)
		if e.users == 0 {
			p.startIdle(e)
		}
	}
	for _, r := range e.retires {
		p.restore(r)
	}
	e.retires = nil
	p.changed()
}

// makeRoom unloads a model for e, and returns when that is done.
func (p *Pool[M]) makeRoom(ctx context.Context, e *entry[M], need, free int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	possible := free
	for _, o := range p.entries {
		if o.goes() {
			possible += o.model.Bytes()
		}
	}
	if need > possible {
		return ErrNoRoom
	}
	for {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case len(e.waiters) == 0:
			return errAbandoned
		}
		v := p.victim()
		switch {
		case v == nil: // the last one has gone meanwhile, by itself
			return nil
		case v.state == Loaded && v.users == 0:
			p.unload(v, ForRoom)
			return nil
		case v.state == Loaded && len(e.retires) == 0:
			v.retired++
			e.retires = append(e.retires, v)
		}
		leaving := v.state == Unloading
		if err := p.await(ctx); err != nil {
			return err
		}
		if leaving && v.state != Unloading {
			return nil
		}
		for _, r := range e.retires {
			if r.state != Loaded {
				return nil
			}
		}
	}
}

// goes reports whether the memory of a model can be had.
func (e *entry[M]) goes() bool {
	return !e.spec.Pinned && (e.state == Loaded || e.state == Unloading)
}

// victim returns the model whose memory can be had soonest: one that is going, else the least recently used one of
// those without users, else of those with; nil if there is none.
func (p *Pool[M]) victim() *entry[M] {
	rank := func(e *entry[M]) int {
		switch {
		case e.state == Unloading:
			return 0
		case e.users == 0:
			return 1
		}
		return 2
	}
	var best *entry[M]
	for _, e := range p.entries {
		if !e.goes() {
			continue
		}
		if best == nil || rank(e) < rank(best) || rank(e) == rank(best) && e.used.Before(best.used) {
			best = e
		}
	}
	return best
}

// restore takes back a wish that e goes.
func (p *Pool[M]) restore(e *entry[M]) {
	if e.retired--; e.retired == 0 && e.state == Loaded {
		p.serve(e, nil)
	}
}
