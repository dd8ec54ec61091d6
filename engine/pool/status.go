package pool

import (
	"slices"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

// State is what a model is doing.
type State int

// The states.
const (
	Unloaded  State = iota
	Waiting         // requests wait for it, and other models are loaded first
	Loading         // or waiting for room
	Loaded          // ready
	Unloading       // its memory is being given back
)

// String returns the state as a word.
func (s State) String() string {
	return [...]string{"unloaded", "waiting", "loading", "loaded", "unloading"}[s]
}

// Reason says why a model was unloaded.
type Reason int

// The reasons.
const (
	ForRoom Reason = iota // another model needed its memory
	Idle                  // nobody used it for Config.Idle
	Asked                 // by Unload
	reasons
)

// String returns the reason as a word.
func (r Reason) String() string { return [...]string{"room", "idle", "asked"}[r] }

// Kind is what happened to a model.
type Kind int

// The kinds of events.
const (
	WasLoaded Kind = iota
	Failed
	WasUnloaded
)

// Event is something that happened to a model.
type Event struct {
	ID     string
	Kind   Kind
	Reason Reason        // of WasUnloaded
	Took   time.Duration // of the load, with waiting for room
	Bytes  int64         // that the model holds or held
	Err    error         // of Failed; of WasUnloaded, what closing it said
}

func (p *Pool[M]) observe(e Event) {
	if p.c.Observe != nil {
		p.c.Observe(e)
	}
}

// Status is what a pool knows of a model.
type Status struct {
	ID      string
	Created time.Time
	Pinned  bool
	State   State
	Users   int // requests that use it
	Waiting int // requests that wait for it

	Bytes  int64         // while it is loaded
	Since  time.Time     // when it was loaded
	Used   time.Time     // when a use began or ended last, or it was loaded
	Limits runner.Limits // zero unless it is loaded

	// Since the pool was made, over all loads.
	Stats    engine.Stats
	Loads    uint64
	Failures uint64
	Unloads  [reasons]uint64 // by Reason
	LoadTime time.Duration
}

// List returns the models that are offered: those of Config.Specs in their order, then the others in that of their
// ids.
func (p *Pool[M]) List() []Status {
	var found []Spec[M]
	if p.c.Found != nil {
		found = p.c.Found()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Status, 0, len(p.entries))
	for _, e := range p.order {
		list = append(list, e.status())
	}
	offered := map[*entry[M]]bool{}
	for _, s := range found {
		offered[p.note(s)] = true
	}
	for _, e := range p.entries {
		if e.state != Unloaded {
			offered[e] = true // though its file may have gone
		}
	}
	fixed := len(list)
	for e := range offered {
		if !e.fixed {
			list = append(list, e.status())
		}
	}
	slices.SortFunc(list[fixed:], func(a, b Status) int { return strings.Compare(a.ID, b.ID) })
	return list
}

func (e *entry[M]) status() Status {
	s := Status{ID: e.spec.ID, Created: e.spec.Created, Pinned: e.spec.Pinned, State: e.state, Users: e.users,
		Waiting: len(e.waiters), Stats: e.past, Loads: e.loads, Failures: e.failures, Unloads: e.unloads,
		LoadTime: e.loadTime}
	if e.state == Loaded || e.state == Unloading {
		s.Bytes, s.Since, s.Used, s.Limits = e.model.Bytes(), e.since, e.used, e.model.Limits()
		now := e.model.Stats()
		s.Stats = e.past.Add(now)
		s.Stats.Running, s.Stats.Waiting, s.Stats.HeldTokens = now.Running, now.Waiting, now.HeldTokens
	}
	return s
}
