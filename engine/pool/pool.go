package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

// Model is what a pool needs of a loaded model. Its methods are called from several goroutines.
type Model interface {
	Close() error
	Bytes() int64 // of memory that Close gives back
	// Stats and Limits are also asked for while the model closes, and after.
	Stats() engine.Stats
	Limits() runner.Limits
}

// Room makes room for a model that needs need bytes where free are free. It returns nil when another model has gone,
// and loading should look again. It returns [ErrNoRoom] if that cannot suffice, and other errors if loading should
// stop; what loads returns either, or its own error in place of ErrNoRoom.
type Room func(ctx context.Context, need, free int64) error

// Spec is a model that a pool offers.
type Spec[M Model] struct {
	ID      string
	Created time.Time
	Pinned  bool // once loaded, it stays
	// Load loads the model. The pool calls it for one model at a time.
	Load func(ctx context.Context, room Room) (M, error)
}

// Config is what a pool is made of.
type Config[M Model] struct {
	Specs []Spec[M]
	// Found returns models that are offered beside Specs, whose ids go before. It is called anew whenever the models
	// are listed or an unknown one is asked for, from several goroutines. Nil finds none.
	Found func() []Spec[M]
	// Idle is how long nobody uses a model until it is unloaded; 0 is for ever. Not for pinned ones.
	Idle time.Duration
	// MaxWaiting bounds the requests that wait for models; 0 is DefaultMaxWaiting.
	MaxWaiting int
	// Observe is told what happens to models, one event at a time, and must not call the pool. Nil is nobody.
	Observe func(Event)
}

// DefaultMaxWaiting is the bound of waiting requests when Config.MaxWaiting is zero.
const DefaultMaxWaiting = 256

// Errors that callers branch on.
var (
	// ErrClosed says that the pool is closed.
	ErrClosed = errors.New("pool: closed")
	// ErrQueueFull says that as many requests wait for models as may.
	ErrQueueFull = errors.New("pool: too many requests wait for models")
	// ErrNoRoom says that no model can go whose memory would suffice.
	ErrNoRoom = errors.New("pool: no room")
	// ErrPinned says that a pinned model is not unloaded.
	ErrPinned = errors.New("pool: the model is pinned")

	errAbandoned = errors.New("pool: nobody waits for the model any more")
)

// UnknownError says that a pool has no model of that id.
type UnknownError struct{ ID string }

// Error names the model.
func (e *UnknownError) Error() string { return fmt.Sprintf("pool: no model %q", e.ID) }

// LoadError says why a model could not be loaded, to all who waited for it. The next request tries again.
type LoadError struct {
	ID     string
	NoRoom bool // memory was short, and what other models hold would not suffice or is pinned
	Err    error
}

// Error names the model and what went wrong.
func (e *LoadError) Error() string { return fmt.Sprintf("pool: loading model %q: %v", e.ID, e.Err) }

// Unwrap returns Err.
func (e *LoadError) Unwrap() error { return e.Err }

// Pool loads and unloads models. Its methods may be called from several goroutines.
type Pool[M Model] struct {
	c      Config[M]
	ctx    context.Context // of loads; ended by Close
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // loads and unloads

	mu      sync.Mutex
	entries map[string]*entry[M]
	order   []*entry[M] // of Config.Specs
	wanted  []*entry[M] // to be loaded, in this order
	waiting int         // requests that wait
	loading bool        // a goroutine works on wanted
	change  chan struct{}
	closed  bool
}

// entry is what a pool knows of a model. The pool's mutex guards it.
type entry[M Model] struct {
	spec    Spec[M]
	fixed   bool // of Config.Specs
	state   State
	model   M // while loaded and unloading
	users   int
	waiters []*waiter[M]
	retired int         // how many want it to go as soon as it has no users
	retires []*entry[M] // what its loading has retired
	used    time.Time   // when a use began or ended last
	since   time.Time   // when it was loaded
	idle    *time.Timer

	past     engine.Stats // of former loads
	loads    uint64
	failures uint64
	loadTime time.Duration // of all loads
	unloads  [reasons]uint64
}

// waiter is a request that waits for a model. lease or err is set before done is closed.
type waiter[M Model] struct {
	done  chan struct{}
	lease *Lease[M]
	err   error
}

// New returns a pool that has loaded nothing.
func New[M Model](c Config[M]) (*Pool[M], error) {
	p := &Pool[M]{c: c, entries: map[string]*entry[M]{}, change: make(chan struct{})}
	if c.Idle < 0 || c.MaxWaiting < 0 {
		return nil, fmt.Errorf("pool: idle time %v and %d waiting requests must not be negative", c.Idle, c.MaxWaiting)
	}
	if c.MaxWaiting == 0 {
		p.c.MaxWaiting = DefaultMaxWaiting
	}
	for _, s := range c.Specs {
		if s.ID == "" || s.Load == nil {
			return nil, fmt.Errorf("pool: model %q has no id or nothing that loads it", s.ID)
		}
		if p.entries[s.ID] != nil {
			return nil, fmt.Errorf("pool: two models have the id %q", s.ID)
		}
		e := &entry[M]{spec: s, fixed: true}
		p.entries[s.ID] = e
		p.order = append(p.order, e)
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p, nil
}

// Lease is the use of a model, which stays loaded until Release.
type Lease[M Model] struct {
	Model   M
	release func()
}

// Release ends the use. Later calls do nothing.
func (l *Lease[M]) Release() { l.release() }

// Acquire returns the model for use. If it is not loaded, Acquire waits until it is. Errors are *[UnknownError],
// *[LoadError], [ErrQueueFull], [ErrClosed] and the cause of ctx's end.
func (p *Pool[M]) Acquire(ctx context.Context, id string) (*Lease[M], error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	e, err := p.find(id)
	if err != nil {
		p.mu.Unlock()
		return nil, err
	}
	if e.state == Loaded && e.retired == 0 {
		defer p.mu.Unlock()
		return p.lend(e), nil
	}
	if p.waiting >= p.c.MaxWaiting {
		defer p.mu.Unlock()
		return nil, fmt.Errorf("%w: %d", ErrQueueFull, p.waiting)
	}
	w := &waiter[M]{done: make(chan struct{})}
	e.waiters = append(e.waiters, w)
	p.waiting++
	p.want(e)
	p.mu.Unlock()
	select {
	case <-w.done:
		return w.lease, w.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.lease != nil { // at the same moment
		p.giveBack(e)
	} else if w.err == nil {
		p.leave(e, w)
	}
	return nil, context.Cause(ctx)
}

// Load loads a model, for requests to come. Its errors are those of Acquire.
func (p *Pool[M]) Load(ctx context.Context, id string) error {
	l, err := p.Acquire(ctx, id)
	if err == nil {
		l.Release()
	}
	return err
}

// find returns the entry of a model that is offered. p.mu is held, and given up meanwhile where models are found.
func (p *Pool[M]) find(id string) (*entry[M], error) {
	if p.closed {
		return nil, ErrClosed
	}
	e := p.entries[id]
	if p.c.Found == nil && e == nil {
		return nil, &UnknownError{id}
	}
	if e != nil && (e.state != Unloaded || e.fixed) {
		return e, nil
	}
	p.mu.Unlock()
	found := p.c.Found()
	p.mu.Lock()
	if p.closed {
		return nil, ErrClosed
	}
	for _, s := range found {
		if s.ID == id {
			return p.note(s), nil
		}
	}
	if e = p.entries[id]; e != nil && e.state != Unloaded {
		return e, nil
	}
	return nil, &UnknownError{id}
}

// note returns the entry of a model that was found, made anew if there is none.
func (p *Pool[M]) note(s Spec[M]) *entry[M] {
	e := p.entries[s.ID]
	switch {
	case e == nil:
		e = &entry[M]{spec: s}
		p.entries[s.ID] = e
	case e.state == Unloaded && !e.fixed:
		e.spec = s
	}
	return e
}

// lend begins a use of a loaded model.
func (p *Pool[M]) lend(e *entry[M]) *Lease[M] {
	e.users++
	e.used = time.Now()
	if e.idle != nil {
		e.idle.Stop()
		e.idle = nil
	}
	return &Lease[M]{Model: e.model, release: sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.giveBack(e)
	})}
}

// giveBack ends a use.
func (p *Pool[M]) giveBack(e *entry[M]) {
	e.users--
	e.used = time.Now()
	if e.users == 0 {
		p.changed()
		p.startIdle(e)
	}
}

// leave takes a request out of those that wait for e.
func (p *Pool[M]) leave(e *entry[M], w *waiter[M]) {
	for i, o := range e.waiters {
		if o == w {
			e.waiters = append(e.waiters[:i:i], e.waiters[i+1:]...)
			p.waiting--
			break
		}
	}
	p.changed() // its loading may stop
}

// serve lets those go on that wait for e: with a lease, or with err.
func (p *Pool[M]) serve(e *entry[M], err error) {
	for _, w := range e.waiters {
		if w.err = err; err == nil {
			w.lease = p.lend(e)
		}
		close(w.done)
	}
	p.waiting -= len(e.waiters)
	e.waiters = nil
}

// changed wakes those that wait for the pool to change.
func (p *Pool[M]) changed() {
	close(p.change)
	p.change = make(chan struct{})
}

// await gives up p.mu until something changes.
func (p *Pool[M]) await(ctx context.Context) error {
	change := p.change
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-change:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close refuses requests, ends those that wait with [ErrClosed], and closes the models. It waits for the load that
// runs, which is told to end. Later calls do nothing and return nil.
func (p *Pool[M]) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.cancel(ErrClosed)
	for _, e := range p.entries {
		p.serve(e, ErrClosed)
		if e.idle != nil {
			e.idle.Stop()
		}
	}
	p.mu.Unlock()
	p.work.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, e := range p.entries {
		if e.state == Loaded {
			e.state = Unloaded
			errs = append(errs, e.model.Close())
		}
	}
	return errors.Join(errs...)
}
