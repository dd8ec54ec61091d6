package serve

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/serve/openai"
)

// Source is where a server's models are. Its methods are called from several goroutines.
type Source interface {
	// List returns the models that are offered, loaded or not.
	List() []pool.Status
	// Acquire returns a model for one request, which calls release when it is done. It may have to wait until the
	// model is loaded. Errors are those of pool.Pool.Acquire.
	Acquire(ctx context.Context, id string) (m *Model, release func(), err error)
	// Load loads a model for requests to come, Unload unloads one that nobody uses. Errors are those of pool.Pool, and
	// pool.ErrPinned if the models stay as they are.
	Load(ctx context.Context, id string) error
	Unload(ctx context.Context, id string) error
}

// FromPool returns the models of a pool. Its models must have been proven when they were loaded.
func FromPool[M interface {
	pool.Model
	Loaded
}](p *pool.Pool[M]) Source {
	return pooled[M]{p}
}

type pooled[M interface {
	pool.Model
	Loaded
}] struct{ *pool.Pool[M] }

// Acquire implements Source.
func (p pooled[M]) Acquire(ctx context.Context, id string) (*Model, func(), error) {
	l, err := p.Pool.Acquire(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	m, err := offer(l.Model)
	if err != nil {
		l.Release()
		return nil, nil, err
	}
	return &m, l.Release, nil
}

// resident are models that stay loaded.
type resident []Model

// List implements Source.
func (f resident) List() []pool.Status {
	list := make([]pool.Status, len(f))
	for i, m := range f {
		list[i] = pool.Status{ID: m.ID, Created: m.Created, Pinned: true, State: pool.Loaded, Stats: m.Engine.Stats(),
			Limits: m.Engine.Limits()}
	}
	return list
}

// Acquire implements Source.
func (f resident) Acquire(_ context.Context, id string) (*Model, func(), error) {
	for i := range f {
		if f[i].ID == id {
			return &f[i], func() {}, nil
		}
	}
	return nil, nil, &pool.UnknownError{ID: id}
}

// Load implements Source.
func (f resident) Load(ctx context.Context, id string) error {
	_, _, err := f.Acquire(ctx, id)
	return err
}

// Unload implements Source.
func (f resident) Unload(ctx context.Context, id string) error {
	if err := f.Load(ctx, id); err != nil {
		return err
	}
	return pool.ErrPinned
}

// models holds the source of a server's models; none while they are loading.
type models struct{ source atomic.Pointer[Source] }

// get returns the source, or nil.
func (m *models) get() Source {
	if s := m.source.Load(); s != nil {
		return *s
	}
	return nil
}

// list returns the models that are offered.
func (s *Server) list() []pool.Status {
	if source := s.models.get(); source != nil {
		return source.List()
	}
	return nil
}

// SetModels replaces the models by some that stay loaded, and makes the server ready. Requests under way keep theirs.
func (s *Server) SetModels(models ...Model) error {
	list := make(resident, 0, len(models))
	seen := make(map[string]bool)
	for _, m := range models {
		if err := m.check(); err != nil {
			return err
		}
		if seen[m.ID] {
			return fmt.Errorf("serve: two models have the id %q", m.ID)
		}
		seen[m.ID] = true
		s.details.Store(m.ID, m.Details)
		list = append(list, m)
	}
	s.SetSource(list)
	return nil
}

// SetSource replaces the models by those of a source, and makes the server ready, be any loaded or not: a request for
// one that is not waits. Requests under way keep theirs.
func (s *Server) SetSource(source Source) {
	s.models.source.Store(&source)
	for _, m := range source.List() {
		if m.State == pool.Loaded {
			s.describe(s.ctx, m.ID) // of one that fails now, GET /props tries again, and says why
		}
	}
}

// loadError returns an error of a source in OpenAI's form, or nil if it is another. The model's file is not named:
// where it lies is no client's business.
func loadError(err error) *openai.Error {
	var unknown *pool.UnknownError
	var load *pool.LoadError
	switch {
	case errors.As(err, &unknown):
		return modelNotFound(unknown.ID)
	case errors.As(err, &load) && load.NoRoom:
		e := unavailable(fmt.Sprintf("there is no memory for model %q beside those that stay loaded: %v", load.ID,
			load.Err))
		e.Code = "model_does_not_fit"
		return e
	case errors.As(err, &load):
		return &openai.Error{Status: 500, Type: openai.TypeServer, Code: "model_load_failed",
			Message: fmt.Sprintf("model %q cannot be loaded: %v", load.ID, load.Err)}
	case errors.Is(err, pool.ErrQueueFull):
		return &openai.Error{Status: 429, Type: openai.TypeRateLimit, Code: "queue_full",
			Message: "too many requests wait for models to be loaded; try again"}
	case errors.Is(err, pool.ErrPinned):
		return &openai.Error{Status: 409, Type: openai.TypeInvalidRequest, Param: "model", Code: "model_pinned",
			Message: "this model stays loaded"}
	case errors.Is(err, pool.ErrClosed):
		return unavailable(errShutdown.Error())
	}
	return nil
}
