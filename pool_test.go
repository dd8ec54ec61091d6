package hipengine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine/pool"
)

// planned returns the memory that a model is promised.
func planned(t *testing.T, name string, o Options) int64 {
	t.Helper()
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	m := openModel(t, h, name, o)
	defer m.Close()
	if got := h.Memory().Planned; got != m.Bytes() {
		t.Errorf("the ledger says %d, the model %d", got, m.Bytes())
	}
	return m.Bytes()
}

// newPool returns a pool that the test closes.
func newPool(t *testing.T, h *Host, o PoolOptions) *Pool {
	t.Helper()
	p, err := h.NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPoolSwaps lets clients of two models ask without a pause, with memory for one of them, until each was loaded
// twice: both get right answers, no error, and the ledger holds never more than its limit.
func TestPoolSwaps(t *testing.T) {
	o := Options{Context: 256, Sequences: 2, PrefixCache: -1, Spec: SpecOff}
	limit := max(planned(t, files[0], o), planned(t, files[1], o)) * 5 / 4
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1, Memory: limit})
	p := newPool(t, h, PoolOptions{Models: []PoolModel{{Name: files[0], Options: o}, {Name: files[1], Options: o}}})
	turns := 6
	if testing.Short() {
		turns = 3
	}
	// A load may take longer than all turns of the other model's clients, so turns alone promise no swap.
	swapped := func() bool {
		return !slices.ContainsFunc(p.List(), func(s pool.Status) bool { return s.Loads < 2 })
	}
	const most = 1000 // turns, if the models never swap
	var asked [2]atomic.Uint64
	var wg sync.WaitGroup
	for i := range 4 {
		id := ModelID(files[i%2])
		wg.Go(func() {
			for turn := 0; turn < turns || turn < most && !swapped(); turn++ {
				asked[i%2].Add(1)
				l, err := p.Acquire(t.Context(), id)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				if got, err := ask(t.Context(), l.Model, france, Params{Temperature: new(float32)}); err != nil ||
					!strings.Contains(got, "Paris") {
					t.Errorf("%s: %q, %v", id, got, err)
				}
				if m := h.Memory(); m.Planned > limit || m.Limit != limit {
					t.Errorf("%+v is promised, the limit is %d", m, limit)
				}
				l.Release()
			}
		})
	}
	wg.Wait()
	for i, s := range p.List() {
		t.Logf("%s: %d loads in %v, %d unloads, %d sequences", s.ID, s.Loads, s.LoadTime, s.Unloads[pool.ForRoom],
			s.Stats.Stopped)
		if s.Loads < 2 || s.Stats.Stopped != asked[i].Load() || s.Failures != 0 {
			t.Errorf("%+v, asked %d times", s, asked[i].Load())
		}
	}
}

// TestPoolLoadsBesideAnswers loads a model in the middle of another's answer, which goes on.
func TestPoolLoadsBesideAnswers(t *testing.T) {
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	o := Options{Context: 4096, PrefixCache: -1}
	p := newPool(t, h, PoolOptions{Models: []PoolModel{{Name: files[0], Options: o, Pinned: true},
		{Name: files[1], Options: o}}})
	l, err := p.Acquire(t.Context(), Ember)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	var loaded chan error
	done, beside := false, 0
	for _, err := range l.Model.Generate(t.Context(), "Once", Params{LogitBias: endless(l.Model)}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case loaded == nil:
			loaded = make(chan error, 1)
			go func() { loaded <- p.Load(t.Context(), ModelID(files[1])) }()
		case done:
		default:
			select {
			case err := <-loaded:
				done = true
				if err != nil {
					t.Error(err)
				}
			default:
				beside++
			}
		}
		if done {
			break
		}
	}
	if !done || beside == 0 {
		t.Errorf("loaded %v, %d tokens beside the load", done, beside)
	}
	if err := p.Unload(t.Context(), Ember); !errors.Is(err, pool.ErrPinned) {
		t.Errorf("unloading the pinned model: %v", err)
	}
}

// TestPoolFolder offers a folder: a model under the name of a link, one that is none, and what is to be passed over.
func TestPoolFolder(t *testing.T) {
	dir := t.TempDir()
	abs, err := filepath.Abs(files[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"small.gguf", "parts-00001-of-00002.gguf", "parts-00002-of-00002.gguf",
		".hidden.gguf"} {
		if err := os.Symlink(abs, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"broken.gguf": "GGUF is only the beginning", "notes.txt": "x",
		"hf/config.json": "{}", "empty/x": ""} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	p := newPool(t, h, PoolOptions{Models: []PoolModel{{Options: Options{ID: "own", Context: 128}}}, Folder: dir,
		FolderOptions: Options{Context: 128}, Idle: 50 * time.Millisecond})
	var ids []string
	for _, s := range p.List() {
		ids = append(ids, s.ID)
	}
	if got := strings.Join(ids, " "); got != "own broken hf parts-00001-of-00002 small" {
		t.Errorf("offers %s", got)
	}
	for _, id := range []string{"own", "small"} {
		l, err := p.Acquire(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask(t.Context(), l.Model, france, Params{Temperature: new(float32)})
		if err != nil || !strings.Contains(got, "Paris") || l.Model.ID() != id {
			t.Errorf("%s, asked as %s: %q, %v", l.Model.ID(), id, got, err)
		}
		l.Release()
	}
	for _, id := range []string{"broken", "hf"} {
		var e *pool.LoadError
		if _, err := p.Acquire(t.Context(), id); !errors.As(err, &e) || e.ID != id || e.NoRoom ||
			strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := p.Acquire(t.Context(), "notes.txt"); !errors.As(err, new(*pool.UnknownError)) {
		t.Errorf("notes.txt: %v", err)
	}
	for end := time.Now().Add(10 * time.Second); len(h.Models()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("models that nobody uses stay loaded")
		}
	}
}

// TestPoolErrors: what cannot be offered is known before anything is loaded.
func TestPoolErrors(t *testing.T) {
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	if _, err := h.NewPool(PoolOptions{Models: []PoolModel{{Name: "no/such.gguf"}}}); !errors.As(err,
		new(*NotFoundError)) {
		t.Errorf("no file: %v", err)
	}
	if _, err := h.NewPool(PoolOptions{Models: []PoolModel{{Name: ""}, {Name: Ember}}}); err == nil ||
		!strings.Contains(err.Error(), `"ember"`) {
		t.Errorf("two of one id: %v", err)
	}
	if _, err := h.NewPool(PoolOptions{Folder: "no/such"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	p := newPool(t, h, PoolOptions{Models: []PoolModel{{Options: Options{Context: 1 << 22}}}})
	if err := p.Load(t.Context(), Ember); !errors.As(err, new(*pool.LoadError)) {
		t.Errorf("a context that is too long: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Load(t.Context(), Ember); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("of a closed host: %v", err)
	}
	if _, err := h.NewPool(PoolOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("on a closed host: %v", err)
	}
}

// TestMemoryLimit bounds what models may take, on a device that knows what is free and on one that does not.
func TestMemoryLimit(t *testing.T) {
	o := Options{Context: 256, PrefixCache: -1, Spec: SpecOff}
	for _, device := range []string{"cpu", "ref"} {
		h := newHost(t, HostOptions{Device: device, Threads: 1})
		one := openModel(t, h, Ember, o).Bytes()
		h = newHost(t, HostOptions{Device: device, Threads: 1, Memory: 2*one - 1})
		openModel(t, h, Ember, o)
		var e *MemoryError
		if _, err := h.Open(t.Context(), Ember, o); !errors.As(err, &e) || e.Free != one-1 || e.Need < one {
			t.Errorf("%s: %v", device, err)
		}
	}
}
