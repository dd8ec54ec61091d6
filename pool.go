package hipengine

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine/pool"
)

// Pool offers models of a host by their ids, more of them than its memory may hold: see package engine/pool for how
// they take turns. [Pool.Acquire] returns a model for use, loaded and proven (see [Model.Prove]).
type Pool = pool.Pool[*Model]

// PoolModel is a model that a pool offers.
type PoolModel struct {
	Name    string // a file, a folder, a name (see [Find]), or "" for [Ember]
	Options Options
	Pinned  bool // once loaded, it stays
}

// PoolOptions say what a pool offers.
type PoolOptions struct {
	Models []PoolModel

	// Folder offers the models of this folder too, as they come and go, with the options FolderOptions: files that end
	// in .gguf, of split ones the first part, and Hugging Face folders. Empty offers none.
	Folder        string
	FolderOptions Options

	Idle       time.Duration    // a model that nobody uses for so long is closed, unless it is pinned; 0 keeps it
	MaxWaiting int              // most requests that wait for models; 0 is pool.DefaultMaxWaiting
	Observe    func(pool.Event) // is told what happens to models, and must not call the pool; nil is nobody
}

// NewPool returns a pool that has opened nothing. What Models name is looked into, so that what cannot run is known
// now: the errors are those of OpenFile and File.Check. The host's Close closes the pool; so may the caller.
func (h *Host) NewPool(o PoolOptions) (*Pool, error) {
	c := pool.Config[*Model]{Idle: o.Idle, MaxWaiting: o.MaxWaiting, Observe: o.Observe}
	for _, m := range o.Models {
		s, err := h.spec(m.Name, m.Options)
		if err != nil {
			return nil, err
		}
		s.Pinned = m.Pinned
		c.Specs = append(c.Specs, s)
	}
	if o.Folder != "" {
		if _, err := os.ReadDir(o.Folder); err != nil {
			return nil, fmt.Errorf("hipengine: the folder of models: %w", err)
		}
		c.Found = func() []pool.Spec[*Model] { return h.found(o.Folder, o.FolderOptions) }
	}
	p, err := pool.New(c)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		p.Close()
		return nil, ErrClosed
	}
	h.pools = append(h.pools, p)
	return p, nil
}

// spec describes a model that can run.
func (h *Host) spec(name string, o Options) (pool.Spec[*Model], error) {
	if o.Device != "" {
		if err := checkDevices(o.Device); err != nil {
			return pool.Spec[*Model]{}, err
		}
	}
	f, err := openFile(name, o, h.options.Threads)
	if err != nil {
		return pool.Spec[*Model]{}, err
	}
	defer f.Close()
	if err := f.Check(); err != nil {
		return pool.Spec[*Model]{}, fmt.Errorf("%s: %w", o.id(name), err)
	}
	return h.offer(name, f.path, o), nil
}

// offer describes a model.
func (h *Host) offer(name, path string, o Options) pool.Spec[*Model] {
	created := time.Now()
	if st, err := os.Stat(path); err == nil {
		created = st.ModTime()
	}
	return pool.Spec[*Model]{ID: o.id(name), Created: created,
		Load: func(ctx context.Context, room pool.Room) (*Model, error) {
			o := o
			o.room = room
			m, err := h.Open(ctx, name, o)
			if err != nil {
				return nil, &pathlessError{path, o.id(name), err}
			}
			if err := m.Prove(ctx); err != nil {
				m.Close()
				return nil, err
			}
			return m, nil
		}}
}

// pathlessError is an error that names a model's id in place of its path: those who are told know the model by its id,
// and may be others than those who know where it lies.
type pathlessError struct {
	path, id string
	err      error
}

// Error implements error.
func (e *pathlessError) Error() string {
	if e.path == "" {
		return e.err.Error()
	}
	return strings.ReplaceAll(e.err.Error(), e.path, e.id)
}

// Unwrap returns the error of Host.Open.
func (e *pathlessError) Unwrap() error { return e.err }

// found lists what looks like a model in a folder. Whether it can run is seen when it is asked for.
func (h *Host) found(folder string, o Options) (specs []pool.Spec[*Model]) {
	models, err := Installed(folder)
	if err != nil {
		h.options.Log(err.Error())
		return nil
	}
	o.ID = ""
	for _, m := range models {
		specs = append(specs, h.offer(m.Path, m.Path, o))
	}
	return specs
}
