package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

// machine is memory for models, which are fakes.
type machine struct {
	size int64

	mu     sync.Mutex
	used   int64
	log    []string
	opened int
}

// fake is a model. It fails the test if it is closed while it is in use.
type fake struct {
	id    string
	bytes int64
	on    *machine
	using atomic.Int64
	done  atomic.Bool
}

var errLack = errors.New("memory is short")

func (f *fake) Bytes() int64          { return f.bytes }
func (f *fake) Stats() engine.Stats   { return engine.Stats{Steps: 1, Running: int(f.using.Load())} }
func (f *fake) Limits() runner.Limits { return runner.Limits{Context: 77} }
func (f *fake) Close() error {
	if f.using.Load() != 0 || f.done.Swap(true) {
		panic("closed in use, or twice")
	}
	time.Sleep(time.Millisecond)
	f.on.mu.Lock()
	defer f.on.mu.Unlock()
	f.on.used -= f.bytes
	f.on.log = append(f.on.log, "-"+f.id)
	return nil
}

// spec is a model that takes bytes of the machine and a second to load.
func (m *machine) spec(id string, bytes int64) Spec[*fake] {
	return Spec[*fake]{ID: id, Load: func(ctx context.Context, room Room) (*fake, error) {
		for {
			m.mu.Lock()
			free := m.size - m.used
			if bytes <= free {
				m.used += bytes
				m.mu.Unlock()
				break
			}
			m.mu.Unlock()
			if err := room(ctx, bytes, free); errors.Is(err, ErrNoRoom) {
				return nil, errLack
			} else if err != nil {
				return nil, err
			}
		}
		time.Sleep(time.Second)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.log = append(m.log, "+"+id)
		m.opened++
		return &fake{id: id, bytes: bytes, on: m}, nil
	}}
}

// history returns what was loaded (+) and unloaded (-) since the last call.
func (m *machine) history() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := fmt.Sprint(m.log)
	m.log = nil
	return s
}

// in runs f in a bubble of its own time, with a pool that is closed afterwards.
func in(t *testing.T, c Config[*fake], f func(t *testing.T, p *Pool[*fake])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, p)
	})
}

// use holds a model for a time.
func use(t *testing.T, p *Pool[*fake], id string, d time.Duration) {
	t.Helper()
	l, err := p.Acquire(t.Context(), id)
	if err != nil {
		t.Errorf("%s: %v", id, err)
		return
	}
	if l.Model.id != id || l.Model.done.Load() {
		t.Errorf("asked for %s, got %s, closed %v", id, l.Model.id, l.Model.done.Load())
	}
	l.Model.using.Add(1)
	time.Sleep(d)
	l.Model.using.Add(-1)
	l.Release()
	l.Release()
}

func (p *Pool[M]) state(id string) State {
	for _, s := range p.List() {
		if s.ID == id {
			return s.State
		}
	}
	return -1
}

// TestLeastRecentlyUsedGoes has room for two models of three.
func TestLeastRecentlyUsedGoes(t *testing.T) {
	m := &machine{size: 20}
	in(t, Config[*fake]{Specs: []Spec[*fake]{m.spec("a", 10), m.spec("b", 10), m.spec("c", 10)}},
		func(t *testing.T, p *Pool[*fake]) {
			for _, id := range []string{"a", "b", "a", "c", "a", "b"} {
				use(t, p, id, time.Second)
			}
			if got, want := m.history(), "[+a +b -b +c -c +b]"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			s := p.List()[0]
			if s.State != Loaded || s.Bytes != 10 || s.Loads != 1 || s.Limits.Context != 77 ||
				s.LoadTime < time.Second {
				t.Errorf("%+v", s)
			}
			if b := p.List()[1]; b.Loads != 2 || b.Unloads[ForRoom] != 1 || b.Stats.Steps != 2 {
				t.Errorf("%+v", b)
			}
		})
}

// TestTakeTurns lets clients of two models, of which one fits, ask without a pause. All are served, in turns, and no
// model goes while it is in use.
func TestTakeTurns(t *testing.T) {
	m := &machine{size: 15}
	in(t, Config[*fake]{Specs: []Spec[*fake]{m.spec("a", 10), m.spec("b", 10)}}, func(t *testing.T, p *Pool[*fake]) {
		var wg sync.WaitGroup
		var served [2]atomic.Int64
		end := time.Now().Add(time.Minute)
		for i := range 8 {
			wg.Go(func() {
				for r := rand.New(rand.NewPCG(1, uint64(i))); time.Now().Before(end); {
					use(t, p, []string{"a", "b"}[i%2], time.Duration(r.IntN(int(time.Second))))
					served[i%2].Add(1)
				}
			})
		}
		wg.Wait()
		a, b := served[0].Load(), served[1].Load()
		if a < 40 || b < 40 || m.opened < 20 {
			t.Errorf("%d and %d requests were served, with %d loads", a, b, m.opened)
		}
	})
}

// TestNothingGoesInVain asks for a model that does not fit even alone, and for one that does not beside a pinned one.
func TestNothingGoesInVain(t *testing.T) {
	m := &machine{size: 20}
	pinned := m.spec("pinned", 5)
	pinned.Pinned = true
	in(t, Config[*fake]{Specs: []Spec[*fake]{pinned, m.spec("a", 10), m.spec("huge", 30), m.spec("large", 16),
		m.spec("fits", 15)}}, func(t *testing.T, p *Pool[*fake]) {
		use(t, p, "pinned", 0)
		use(t, p, "a", 0)
		for _, id := range []string{"huge", "large"} {
			var e *LoadError
			if _, err := p.Acquire(t.Context(), id); !errors.As(err, &e) || !errors.Is(err, errLack) || !e.NoRoom ||
				e.ID != id {
				t.Errorf("%s: %v", id, err)
			}
		}
		if got := m.history(); got != "[+pinned +a]" {
			t.Errorf("refused models cost others: %s", got)
		}
		use(t, p, "fits", 0)
		if got := m.history(); got != "[-a +fits]" {
			t.Errorf("%s", got)
		}
		if err := p.Unload(t.Context(), "pinned"); !errors.Is(err, ErrPinned) {
			t.Errorf("unloading a pinned model: %v", err)
		}
	})
}

// TestLoadingBlocksNobody takes a loaded model again and again while another loads.
func TestLoadingBlocksNobody(t *testing.T) {
	m := &machine{size: 20}
	in(t, Config[*fake]{Specs: []Spec[*fake]{m.spec("a", 10), m.spec("b", 10)}}, func(t *testing.T, p *Pool[*fake]) {
		use(t, p, "a", 0)
		done := make(chan struct{})
		go func() { use(t, p, "b", 0); close(done) }()
		synctest.Wait()
		if s := p.state("b"); s != Loading {
			t.Fatalf("b is %v", s)
		}
		for range 10 {
			start := time.Now()
			use(t, p, "a", 0)
			if took := time.Since(start); took > 0 {
				t.Errorf("a took %v beside a load", took)
			}
		}
		<-done
	})
}

// TestFailedLoad tells all who wait, and only them; the next request tries again.
func TestFailedLoad(t *testing.T) {
	m := &machine{size: 20}
	broken := errors.New("no such tensor")
	fails := true
	bad := m.spec("bad", 10)
	good := bad.Load
	bad.Load = func(ctx context.Context, room Room) (*fake, error) {
		if time.Sleep(time.Second); fails {
			fails = false
			return nil, broken
		}
		return good(ctx, room)
	}
	panics := Spec[*fake]{ID: "panics",
		Load: func(context.Context, Room) (*fake, error) { panic("index out of range") }}
	var events []Event
	c := Config[*fake]{Specs: []Spec[*fake]{m.spec("a", 10), bad, panics},
		Observe: func(e Event) { events = append(events, e) }}
	in(t, c, func(t *testing.T, p *Pool[*fake]) {
		use(t, p, "a", 0)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := p.Acquire(t.Context(), "bad"); !errors.Is(err, broken) {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Go(func() { use(t, p, "a", 5*time.Second) })
		wg.Wait()
		use(t, p, "bad", 0)
		var e *engine.PanicError
		if _, err := p.Acquire(t.Context(), "panics"); !errors.As(err, &e) {
			t.Errorf("%v", err)
		}
		var kinds []string
		for _, e := range events {
			kinds = append(kinds, fmt.Sprint(e.ID, e.Kind))
		}
		if fmt.Sprint(kinds) != "[a0 bad1 bad0 panics1]" || p.List()[1].Failures != 1 || p.List()[0].Loads != 1 {
			t.Errorf("%v, %+v", kinds, p.List())
		}
	})
}

// TestWaiting bounds the queue, and lets those in it give up: a model that nobody waits for any more is not loaded,
// and what was to make room for it stays.
func TestWaiting(t *testing.T) {
	m := &machine{size: 10}
	in(t, Config[*fake]{MaxWaiting: 3, Specs: []Spec[*fake]{m.spec("a", 10), m.spec("b", 10), m.spec("c", 10)}},
		func(t *testing.T, p *Pool[*fake]) {
			go use(t, p, "a", time.Minute)
			time.Sleep(2 * time.Second)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("the deadline"))
			defer cancel()
			var wg sync.WaitGroup
			for _, id := range []string{"b", "b", "c"} {
				wg.Go(func() {
					if _, err := p.Acquire(ctx, id); err == nil || err.Error() != "the deadline" {
						t.Errorf("%s: %v", id, err)
					}
				})
				synctest.Wait() // so that they come in this order
			}
			if got := []State{p.state("a"), p.state("b"), p.state("c")}; !slices.Equal(got,
				[]State{Loaded, Loading, Waiting}) {
				t.Errorf("states %v", got)
			}
			if _, err := p.Acquire(t.Context(), "a"); !errors.Is(err, ErrQueueFull) {
				t.Errorf("the fourth, which waits for a model that is to go: %v", err)
			}
			wg.Wait()
			synctest.Wait()
			use(t, p, "a", 0) // beside the first use: it stayed
			if got := m.history(); got != "[+a]" || p.state("b") != Unloaded || p.state("c") != Unloaded {
				t.Errorf("%s, b is %v, c is %v", got, p.state("b"), p.state("c"))
			}
			if _, err := p.Acquire(ctx, "a"); err == nil || err.Error() != "the deadline" {
				t.Errorf("after the deadline: %v", err)
			}
			time.Sleep(time.Minute)
		})
}

// TestIdle unloads what nobody uses, counted from the last use, but nothing that is pinned.
func TestIdle(t *testing.T) {
	m := &machine{size: 30}
	pinned := m.spec("pinned", 10)
	pinned.Pinned = true
	in(t, Config[*fake]{Idle: 10 * time.Second, Specs: []Spec[*fake]{m.spec("a", 10), pinned, m.spec("b", 10)}},
		func(t *testing.T, p *Pool[*fake]) {
			use(t, p, "a", 20*time.Second)
			use(t, p, "pinned", 0)
			time.Sleep(5 * time.Second)
			use(t, p, "a", 0)
			time.Sleep(6 * time.Second)
			if err := p.Load(t.Context(), "b"); err != nil {
				t.Error(err)
			}
			if got := m.history(); got != "[+a +pinned +b]" {
				t.Errorf("too early: %s", got)
			}
			time.Sleep(5 * time.Second)
			if got := m.history(); got != "[-a]" {
				t.Errorf("after 10 s: %s", got)
			}
			time.Sleep(time.Hour)
			if got := m.history(); got != "[-b]" || p.state("pinned") != Loaded || p.List()[0].Unloads[Idle] != 1 {
				t.Errorf("after an hour: %s %+v", got, p.List())
			}
			use(t, p, "a", 0)
		})
}

// TestUnload waits for those that use the model; those that come meanwhile get it anew.
func TestUnload(t *testing.T) {
	m := &machine{size: 30}
	in(t, Config[*fake]{Specs: []Spec[*fake]{m.spec("a", 10)}}, func(t *testing.T, p *Pool[*fake]) {
		if err := p.Unload(t.Context(), "a"); err != nil || m.history() != "[]" {
			t.Errorf("what is not loaded: %v", err)
		}
		if err := p.Unload(t.Context(), "b"); !errors.As(err, new(*UnknownError)) {
			t.Errorf("what is unknown: %v", err)
		}
		go use(t, p, "a", 10*time.Second)
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := p.Unload(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || p.state("a") != Loaded {
			t.Errorf("in use: %v, %v", err, p.state("a"))
		}
		use(t, p, "a", 0)
		done := make(chan error)
		go func() { done <- p.Unload(t.Context(), "a") }()
		synctest.Wait()
		use(t, p, "a", 0)
		if err := <-done; err != nil || m.history() != "[+a -a +a]" {
			t.Errorf("%v, %s", err, m.history())
		}
	})
}

// TestFound offers models that come and go.
func TestFound(t *testing.T) {
	m := &machine{size: 30}
	found := []Spec[*fake]{m.spec("z", 5), m.spec("y", 5), m.spec("a", 1)}
	c := Config[*fake]{Specs: []Spec[*fake]{m.spec("a", 10)},
		Found: func() []Spec[*fake] { return slices.Clone(found) }}
	in(t, c, func(t *testing.T, p *Pool[*fake]) {
		ids := func() (s []string) {
			for _, x := range p.List() {
				s = append(s, x.ID)
			}
			return s
		}
		use(t, p, "a", 0)
		use(t, p, "z", 0)
		if m.used != 15 || fmt.Sprint(ids()) != "[a y z]" {
			t.Errorf("%d bytes, %v", m.used, ids())
		}
		found = nil
		use(t, p, "z", 0) // still loaded
		if _, err := p.Acquire(t.Context(), "y"); !errors.As(err, new(*UnknownError)) || fmt.Sprint(ids()) != "[a z]" {
			t.Errorf("%v, %v", err, ids())
		}
		if err := p.Unload(t.Context(), "z"); err != nil || fmt.Sprint(ids()) != "[a]" {
			t.Errorf("%v, %v", err, ids())
		}
	})
}

// TestClose ends those that wait and the load that runs, and closes what is loaded.
func TestClose(t *testing.T) {
	m := &machine{size: 20}
	stuck := Spec[*fake]{ID: "stuck", Load: func(ctx context.Context, room Room) (*fake, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}
	in(t, Config[*fake]{Specs: []Spec[*fake]{m.spec("a", 10), stuck, m.spec("b", 10)}},
		func(t *testing.T, p *Pool[*fake]) {
			use(t, p, "a", 0)
			var wg sync.WaitGroup
			for _, id := range []string{"stuck", "b"} {
				wg.Go(func() {
					if _, err := p.Acquire(t.Context(), id); !errors.Is(err, ErrClosed) {
						t.Errorf("%s: %v", id, err)
					}
				})
				synctest.Wait() // so that they come in this order
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if got := m.history(); got != "[+a -a]" {
				t.Errorf("%s", got)
			}
			if _, err := p.Acquire(t.Context(), "a"); !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
}

// TestRandomUse lets many clients of models of several sizes come, give up, load and unload, and counts what is left.
func TestRandomUse(t *testing.T) {
	m := &machine{size: 50}
	var specs []Spec[*fake]
	for i := range 8 {
		s := m.spec(fmt.Sprint(i), int64(6*i+1))
		s.Pinned = i == 1
		specs = append(specs, s)
	}
	in(t, Config[*fake]{Specs: specs, Idle: 20 * time.Second}, func(t *testing.T, p *Pool[*fake]) {
		var wg sync.WaitGroup
		var served, late atomic.Int64
		for i := range 30 {
			wg.Go(func() {
				for r, n := rand.New(rand.NewPCG(2, uint64(i))), 0; n < 100; n++ {
					id := fmt.Sprint(r.IntN(len(specs)))
					time.Sleep(time.Duration(r.IntN(int(20 * time.Second))))
					if r.IntN(10) == 0 {
						ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
						if err := p.Unload(ctx, id); err != nil && !errors.Is(err, ErrPinned) && ctx.Err() == nil {
							t.Error(err)
						}
						cancel()
						continue
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+r.IntN(20))*time.Second)
					l, err := p.Acquire(ctx, id)
					if err == nil {
						l.Model.using.Add(1)
						time.Sleep(time.Duration(r.IntN(int(2 * time.Second))))
						l.Model.using.Add(-1)
						l.Release()
						served.Add(1)
					} else if late.Add(1); ctx.Err() == nil {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		var held int64
		for _, s := range p.List() {
			held += s.Bytes
			if s.Users != 0 || s.Waiting != 0 {
				t.Errorf("left: %+v", s)
			}
		}
		p.mu.Lock()
		if p.waiting != 0 || len(p.wanted) != 0 || held > m.size || served.Load() < 500 || late.Load() == 0 {
			t.Errorf("%d wait, %d are wanted, %d bytes held; %d served, %d late", p.waiting, len(p.wanted), held,
				served.Load(), late.Load())
		}
		for _, e := range p.entries {
			if e.retired != 0 || len(e.retires) != 0 {
				t.Errorf("%s is still to go", e.spec.ID)
			}
		}
		p.mu.Unlock()
		t.Logf("%d served, %d late, %d loads", served.Load(), late.Load(), m.opened)
	})
	if m.used != 0 {
		t.Errorf("%d bytes are left", m.used)
	}
}

func TestNewErrors(t *testing.T) {
	m := &machine{}
	for name, c := range map[string]Config[*fake]{
		"no id":         {Specs: []Spec[*fake]{m.spec("", 1)}},
		"two of one id": {Specs: []Spec[*fake]{m.spec("a", 1), m.spec("a", 2)}},
		"no load":       {Specs: []Spec[*fake]{{ID: "a"}}}, "idle": {Idle: -1}, "waiting": {MaxWaiting: -1},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
