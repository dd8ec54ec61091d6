package hipengine

import (
	"slices"
	"sync"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/ops"
)

// Memory is what a Host knows of the memory of a device, in bytes.
type Memory struct {
	Device  string
	Free    int64 // as the device says now; -1 if it cannot tell
	Limit   int64 // HostOptions.Memory: what models may take in all; 0 is no limit
	Planned int64 // promised to all models
	Used    int64 // of that, what their weights and the state of their sequences take
	Models  []ModelMemory
}

// ModelMemory is the part of one model.
type ModelMemory struct {
	Model   string
	Planned int64
	Used    int64 // 0 while the model is being loaded
}

// Memory returns the ledger of the first device. Before the first model is opened it is empty. It does not block on
// loading.
func (h *Host) Memory() Memory {
	h.mu.Lock()
	l := h.ledger
	h.mu.Unlock()
	if l == nil {
		return Memory{Free: -1}
	}
	return l.snapshot()
}

// ledger is what is promised of a device's memory. A device says what is free, but not what models will still take:
// plans are made when they are first needed, and an operating system hands out pages when they are first written.
type ledger struct {
	device string
	free   func() int64 // -1 if the device cannot tell
	limit  int64        // of all promises; 0 is none

	mu       sync.Mutex
	start    int64 // what was free when nothing was promised
	promises []*promise
}

// promise is the memory of one model.
type promise struct {
	model   string
	ledger  *ledger
	planned runner.Memory
	loaded  bool // weights and state are allocated
	proven  bool // so are the largest plans
}

func newLedger(dev ops.Device, limit int64) *ledger {
	return &ledger{device: dev.Info().Name, limit: limit, free: func() int64 {
		if free := dev.Caps().Free; free != nil {
			if n, err := free(); err == nil {
				return n
			}
		}
		return -1
	}}
}

// rest returns how much of what is free belongs to others, and how much may be taken; 0 is no limit. mu is held.
func (l *ledger) rest() (reserved, limit int64) {
	if limit = l.limit; limit > 0 {
		limit = max(1, limit-l.promised())
	}
	return l.reserved(), limit
}

// reserved returns how much of what is free is promised already. It rather errs on the side of too much: plans that
// were made count as if they still had to be, unless the model is proven.
func (l *ledger) reserved() int64 {
	free := l.free()
	if len(l.promises) == 0 {
		l.start = free
	}
	if free < 0 || l.start < 0 {
		return 0
	}
	var outstanding int64
	all := l.promised()
	for _, p := range l.promises {
		switch {
		case p.proven:
		case p.loaded:
			outstanding += p.planned.Plans
		default:
			outstanding += p.planned.Need()
		}
	}
	return max(outstanding, free-(l.start-all))
}

// promised returns what all models need.
func (l *ledger) promised() (bytes int64) {
	for _, p := range l.promises {
		bytes += p.planned.Need()
	}
	return bytes
}

// loaded notes that a model holds its weights and state.
func (l *ledger) loaded(p *promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.loaded = true
}

// proven notes that a model holds all that it was promised.
func (l *ledger) proven(p *promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.proven = true
}

// release takes a promise back.
func (l *ledger) release(p *promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promises = slices.DeleteFunc(l.promises, func(o *promise) bool { return o == p })
}

func (l *ledger) models() []ModelMemory {
	list := make([]ModelMemory, 0, len(l.promises))
	for _, p := range l.promises {
		m := ModelMemory{Model: p.model, Planned: p.planned.Need()}
		if p.loaded {
			m.Used = p.planned.Weights + p.planned.State
		}
		list = append(list, m)
	}
	return list
}

func (l *ledger) snapshot() Memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Memory{Device: l.device, Free: l.free(), Limit: l.limit, Planned: l.promised(), Models: l.models()}
	for _, m := range s.Models {
		s.Used += m.Used
	}
	return s
}
