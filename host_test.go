package hipengine

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

const france = "What is the capital of France?"

// files are two models: the built-in one and another file of it.
var files = []string{Ember, "testdata/ember/ember-Q4_K_M.gguf"}

// newHost returns a host that is closed with the test, and whose memory is as fast as it is told: to measure that takes
// a second, which tests of the commands spend.
func newHost(t *testing.T, o HostOptions) *Host {
	t.Helper()
	h, err := NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	h.opener.bandwidth = steady
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func steady(context.Context, ops.Device) (float64, error) { return 1e10, nil }

// openModel opens a model that the host closes.
func openModel(t *testing.T, h *Host, name string, o Options) *Model {
	t.Helper()
	m, err := h.Open(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ask returns the answer to a question.
func ask(ctx context.Context, m *Model, question string, p Params) (string, error) {
	var b strings.Builder
	for piece, err := range m.Chat(ctx, []Message{{Role: "user", Content: question}}, p) {
		if err != nil {
			return b.String(), err
		}
		b.WriteString(piece.Text)
	}
	return b.String(), nil
}

// counter counts what a host does with its device.
type counter struct {
	mu                                sync.Mutex
	opens, tests, closes, cpusStarted int
}

// countedDevice is a CPU that stands in for a GPU.
type countedDevice struct {
	*cpu.Device
	name string
	c    *counter
}

func (d *countedDevice) Info() ops.Info {
	i := d.Device.Info()
	i.Name = d.name
	return i
}

func (d *countedDevice) Close() error {
	d.c.mu.Lock()
	d.c.closes++
	d.c.mu.Unlock()
	return d.Device.Close()
}

// count makes h open CPUs in place of GPUs, and counts.
func count(h *Host) *counter {
	c := &counter{}
	h.opener = opener{
		cpu: func(o cpu.Options) ops.Device { c.cpusStarted++; return cpu.New(o) },
		gpu: func(name string) (ops.Device, error) {
			c.opens++
			return &countedDevice{cpu.New(cpu.Options{}), name, c}, nil
		},
		list: func() []opship.Found { return []opship.Found{{Info: ops.Info{Name: "hip:0", Model: "a card"}}} },
		selfTest: func(ctx context.Context, dev ops.Device, run func(context.Context, ops.Device) error) error {
			c.tests++
			return nil
		},
		bandwidth: steady,
	}
	return c
}

// TestAutoMentionsKFD tells of a GPU that could be tried without ROCm, and does not take it.
func TestAutoMentionsKFD(t *testing.T) {
	var said []string
	h := newHost(t, HostOptions{Log: func(s string) { said = append(said, s) }})
	c := count(h)
	h.opener.list = func() []opship.Found {
		return []opship.Found{{Info: ops.Info{Name: "kfd:0", Model: "a card"}}, {Info: ops.Info{Name: "kfd:1", Model: "another"}},
			{Info: ops.Info{Name: "hip"}, Err: errors.New("no library")}}
	}
	d, err := h.device(t.Context(), "auto", false)
	if err != nil {
		t.Fatal(err)
	}
	d.users.Done()
	want := "using the CPU: no GPU was found; kfd:0 (a card) can be tried without ROCm: --device kfd:0"
	if c.opens != 0 || c.cpusStarted != 1 || !slices.Contains(said, want) {
		t.Errorf("%d GPUs and %d CPUs were opened; said %q, want %q", c.opens, c.cpusStarted, said, want)
	}
}

// TestDeviceOnce opens two models as serve does, at the same time, and counts: their device is opened and tested once,
// whether auto chose it or the user, and closed once, after the models.
func TestDeviceOnce(t *testing.T) {
	for _, name := range []string{"auto", "hip:0"} {
		t.Run(name, func(t *testing.T) {
			var said []string
			h := newHost(t, HostOptions{Device: name, Log: func(s string) { said = append(said, s) }})
			c := count(h)
			var wg sync.WaitGroup
			for _, f := range files {
				wg.Go(func() {
					m, err := h.Open(t.Context(), f, Options{Sequences: 4})
					if err != nil {
						t.Error(err)
						return
					}
					if got := m.Device().Name; got != "hip:0" {
						t.Errorf("%s is on %s", f, got)
					}
					if _, err := ask(t.Context(), m, france, Params{MaxTokens: 4}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(h.Models()) != 2 || c.opens != 1 || c.tests != 1 || c.cpusStarted != 0 {
				t.Errorf("%d models: %d opens, %d self-tests, %d CPUs; want one of the first two", len(h.Models()),
					c.opens, c.tests, c.cpusStarted)
			}
			if name == "auto" && (len(said) != 1 || said[0] != "using hip:0 (a card)") {
				t.Errorf("said %q", said)
			}
			if err := h.Close(); err != nil || c.closes != 1 || len(h.Models()) != 0 {
				t.Errorf("%v; the device was closed %d times, %d models are left", err, c.closes, len(h.Models()))
			}
		})
	}
}

// TestSelfTestFails: a GPU that fails its test is not used; auto takes the CPU instead, and says why.
func TestSelfTestFails(t *testing.T) {
	broken := errors.New("wrong numbers")
	fail := func(context.Context, ops.Device, func(context.Context, ops.Device) error) error { return broken }
	var said, why []string
	h := newHost(t, HostOptions{Log: func(s string) { said = append(said, s) },
		Why: func(s string) { why = append(why, s) }})
	c := count(h)
	h.opener.selfTest = fail
	m := openModel(t, h, Ember, Options{})
	if m.Device().Name != "cpu" || c.closes != 1 || len(said) != 1 ||
		said[0] != "using the CPU: hip:0 cannot be used" ||
		len(why) != 1 || why[0] != "wrong numbers" {
		t.Errorf("on %s, %d closed, said %q because of %q", m.Device().Name, c.closes, said, why)
	}
	h = newHost(t, HostOptions{Device: "hip:0"})
	count(h)
	h.opener.selfTest = fail
	if _, err := h.Open(t.Context(), Ember, Options{}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// workers counts the goroutines of pools.
func workers() int {
	b := make([]byte, 1<<20)
	return strings.Count(string(b[:runtime.Stack(b, true)]), "par.(*Worker).serve(")
}

// TestSharedPool: two models on one CPU compute on the same threads.
func TestSharedPool(t *testing.T) {
	const threads = 3
	awaitNoWorkers(t) // of earlier tests
	h := newHost(t, HostOptions{Device: "cpu", Threads: threads})
	var models []*Model
	for _, f := range files {
		models = append(models, openModel(t, h, f, Options{}))
		if n := workers(); n != threads-1 { // the goroutine that runs a plan is the other one
			t.Errorf("%d workers with %d models, want %d", n, len(models), threads-1)
		}
	}
	var wg sync.WaitGroup
	for _, m := range models {
		wg.Go(func() {
			if got, err := ask(t.Context(), m, france, Params{Temperature: new(float32)}); err != nil ||
				!strings.Contains(got, "Paris") {
				t.Errorf("%s: %q, %v", m.ID(), got, err)
			}
		})
	}
	wg.Wait()
	if n := workers(); n != threads-1 {
		t.Errorf("%d workers after answers, want %d", n, threads-1)
	}
	h.Close()
	awaitNoWorkers(t)
}

// awaitNoWorkers gives the workers of closed pools the time to end.
func awaitNoWorkers(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); workers() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d workers are left", workers())
		}
	}
}

// TestOptionErrors checks that options out of range are typed errors which name the option.
func TestOptionErrors(t *testing.T) {
	for option, o := range map[string]HostOptions{"Threads": {Threads: -1}, "Device": {Device: "tpu"},
		"SIMD": {SIMD: "sse2"}, "Oracle": {Device: "cpu", Oracle: true}} {
		_, err := NewHost(o)
		var e *OptionError
		if !errors.As(err, &e) || e.Option != option || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	for option, o := range map[string]Options{"KVType": {KVType: "q4"}, "Imatrix": {Imatrix: "x"},
		"Quant": {Quant: "q8_0"}} {
		_, err := h.Open(t.Context(), Ember, o)
		var e *OptionError
		if !errors.As(err, &e) || e.Option != option || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
	for _, name := range []string{"nothing", "no/such/model", "nothing.gguf"} {
		_, err := h.Open(t.Context(), name, Options{Folder: t.TempDir()})
		var e *NotFoundError
		if !errors.As(err, &e) || e.Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(h.Models()) != 0 || h.Memory().Planned != 0 {
		t.Errorf("failures left %d models and %+v", len(h.Models()), h.Memory())
	}
}

// TestCloseHost closes a host under a running answer: the answer ends with ErrClosed, and nothing can be opened.
func TestCloseHost(t *testing.T) {
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	m := openModel(t, h, Ember, Options{Context: 4096})
	pieces := 0
	for _, err := range m.Generate(t.Context(), "Once", Params{LogitBias: endless(m)}) {
		if err != nil {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("the answer ended with %v", err)
			}
			break
		}
		if pieces++; pieces == 3 {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if pieces < 3 || pieces > 1000 {
		t.Errorf("%d pieces", pieces)
	}
	if _, err := h.Open(t.Context(), Ember, Options{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Open: %v", err)
	}
	if _, err := ask(t.Context(), m, france, Params{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Chat: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

// endless is a bias against all tokens that end an answer.
func endless(m *Model) map[int32]float32 {
	bias := map[int32]float32{}
	for _, id := range m.tok.EOG() {
		bias[id] = -1000
	}
	return bias
}
