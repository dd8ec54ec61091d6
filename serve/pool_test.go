package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/toolcall"
)

// swapped is a model of a pool, which answers with its id.
type swapped struct {
	fake.Tokenizer
	id     string
	runner *fake.Runner
	engine *engine.Engine
	house  *house
}

// house is memory for so many models.
type house struct {
	t    *testing.T
	mu   sync.Mutex
	room int
}

func (m *swapped) Pooling() engine.Pooling         { return engine.PoolMean }
func (m *swapped) Architecture() string            { return "fake" }
func (m *swapped) Parameters() int64               { return 7 }
func (m *swapped) Quantization() string            { return "" }
func (m *swapped) Embeds() bool                    { return false }
func (m *swapped) Ranker() engine.Ranker           { return nil }
func (m *swapped) ID() string                      { return m.id }
func (m *swapped) Created() time.Time              { return time.Unix(7, 0) }
func (m *swapped) Prove(context.Context) error     { return nil }
func (m *swapped) Engine() (*engine.Engine, error) { return m.engine, nil }
func (m *swapped) Defaults() sample.Overrides      { return sample.Overrides{} }
func (m *swapped) Bytes() int64                    { return 1 }
func (m *swapped) Stats() engine.Stats             { return m.engine.Stats() }
func (m *swapped) Limits() runner.Limits           { return m.engine.Limits() }
func (m *swapped) Format() *toolcall.Format        { return nil }

func (m *swapped) Vocabulary() (*grammar.Vocabulary, error) { return nil, errors.New("it has none") }

func (m *swapped) InfillTokens() (prefix, suffix, middle, repo, file int32) {
	return -1, -1, -1, -1, -1
}

func (m *swapped) ChatTemplate() string { return "a template" }

func (m *swapped) TemplateUses(string) bool { return true }
func (m *swapped) Path() string             { return "/models/" + m.id + ".gguf" }

func (m *swapped) Render(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (string, error) {
	return render(messages, tools, kwargs)
}

func (m *swapped) Prompt(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
	return prompt(messages, tools, kwargs)
}

func (m *swapped) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := m.engine.Close(ctx); err != nil || m.runner.OpenSeqs() != 0 {
		m.house.t.Errorf("%s was closed in use: %v", m.id, err)
	}
	m.house.mu.Lock()
	defer m.house.mu.Unlock()
	m.house.room++
	return nil
}

// spec is a model that takes a place in the house and as long to load.
func (h *house) spec(id string, takes time.Duration, r *fake.Runner) pool.Spec[*swapped] {
	return pool.Spec[*swapped]{ID: id, Created: time.Unix(7, 0),
		Load: func(ctx context.Context, room pool.Room) (*swapped, error) {
			for {
				h.mu.Lock()
				free := h.room
				if free > 0 {
					h.room--
					h.mu.Unlock()
					break
				}
				h.mu.Unlock()
				if err := room(ctx, 1, 0); err != nil {
					return nil, err
				}
			}
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			e, err := engine.New(engine.Config{Runner: r, EOG: func(id int32) bool { return id == fake.EOG }})
			return &swapped{id: id, runner: r, engine: e, house: h}, err
		}}
}

// openPool starts a site with the models of a pool.
func openPool(t *testing.T, c pool.Config[*swapped], change func(*Config)) (*site, *pool.Pool[*swapped]) {
	t.Helper()
	p, err := pool.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, &fake.Runner{}, func(c *Config) {
		c.Models, c.AdminKeys = nil, []string{"boss"}
		if change != nil {
			change(c)
		}
	})
	s.SetSource(FromPool(p))
	t.Cleanup(func() { // before the site's, which looks for goroutines
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, p
}

// TestSwapOverHTTP lets clients of two models ask at once, with memory for one: every answer is the right one.
func TestSwapOverHTTP(t *testing.T) {
	h := &house{t: t, room: 1}
	s, _ := openPool(t, pool.Config[*swapped]{Specs: []pool.Spec[*swapped]{
		h.spec("red", time.Millisecond, &fake.Runner{Reply: "I am red"}),
		h.spec("blue", time.Millisecond, &fake.Runner{Reply: "I am blue"}),
	}}, nil)
	var wg sync.WaitGroup
	const clients, turns = 6, 20
	for i := range clients {
		id := []string{"red", "blue"}[i%2]
		wg.Go(func() {
			for turn := range turns {
				stream := turn%2 == 0
				resp, err := http.Post(s.url+"/v1/completions", "application/json",
					strings.NewReader(fmt.Sprintf(`{"model":%q,"prompt":"who?","stream":%v}`, id, stream)))
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				ok := strings.Contains(string(b), `"I am `+id+`"`)
				if stream {
					ok = strings.HasSuffix(string(b), "data: [DONE]\n\n") &&
						strings.Contains(string(b), `"text":"`+id[:1]+`"`)
				}
				if err != nil || resp.StatusCode != 200 || !ok {
					t.Errorf("%s: %d %s, %v", id, resp.StatusCode, b, err)
				}
			}
		})
	}
	wg.Wait()
	m := s.scrape(t)
	for _, id := range []string{"red", "blue"} {
		label := "{model_name=" + id + "}"
		if n := m["hipengine_model_loads_total"+label]; n < 2 || m["hipengine_model_load_failures_total"+label] != 0 {
			t.Errorf("%s: %v loads", id, n)
		}
		if n := m["hipengine_requests_finished_total{finished_reason=stop,model_name="+id+"}"]; n != clients/2*turns {
			t.Errorf("%s: %v sequences were counted over all loads", id, n)
		}
	}
	if a, b := m["hipengine_model_loaded{model_name=red}"], m["hipengine_model_loaded{model_name=blue}"]; a+b != 1 {
		t.Errorf("loaded: red %v, blue %v", a, b)
	}
}

// TestNothingLoaded: a server whose models are loaded on demand is ready without any, and says which are loaded.
func TestNothingLoaded(t *testing.T) {
	h := &house{t: t, room: 2}
	s, _ := openPool(t, pool.Config[*swapped]{Idle: 400 * time.Millisecond, Specs: []pool.Spec[*swapped]{
		h.spec("red", 0, &fake.Runner{Reply: "x"}), h.spec("blue", 0, &fake.Runner{Reply: "y"})}}, nil)
	loaded := func() string {
		_, _, body := s.call(t, "GET", "/v1/models", "")
		var list struct{ Data []struct{ Loaded bool } }
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(list.Data)
	}
	ready := func(when string) {
		t.Helper()
		for _, path := range []string{"/livez", "/startupz", "/readyz", "/health"} {
			if status, _, body := s.call(t, "GET", path, ""); status != 200 {
				t.Errorf("%s: %s answers %d %s", when, path, status, body)
			}
		}
	}
	ready("before the first request")
	if got := loaded(); got != "[{false} {false}]" {
		t.Errorf("before the first request, loaded: %s", got)
	}
	if status, _, body := s.call(t, "POST", "/v1/chat/completions",
		`{"model":"blue","messages":[{"role":"user","content":"hi"}]}`); status != 200 ||
		!strings.Contains(body, `"y"`) {
		t.Errorf("%d %s", status, body)
	}
	if got := loaded(); got != "[{false} {true}]" {
		t.Errorf("after it, loaded: %s", got)
	}
	wait(t, "the unload of an idle model", func() bool { return loaded() == "[{false} {false}]" })
	ready("after the unload")
	if status, _, body := s.call(t, "GET", "/v1/models/red", ""); status != 200 ||
		!strings.Contains(body, `"loaded":false`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`); status != 400 ||
		!strings.Contains(body, `"param":"model"`) {
		t.Errorf("without a model: %d %s", status, body)
	}
}

// TestLoadErrors: what goes wrong with one model is told to those who asked for it, and to nobody else.
func TestLoadErrors(t *testing.T) {
	h := &house{t: t, room: 1}
	good := h.spec("good", 0, &fake.Runner{Reply: "x"})
	good.Pinned = true
	failing := func(id string, err error) pool.Spec[*swapped] {
		return pool.Spec[*swapped]{ID: id, Load: func(ctx context.Context, room pool.Room) (*swapped, error) {
			if err == nil {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			return nil, err
		}}
	}
	panics := pool.Spec[*swapped]{ID: "panics",
		Load: func(context.Context, pool.Room) (*swapped, error) { panic("a bad file") }}
	s, p := openPool(t, pool.Config[*swapped]{MaxWaiting: 2, Specs: []pool.Spec[*swapped]{
		good, failing("broken", errors.New("tensor 7 is missing")), h.spec("large", 0, &fake.Runner{}), panics,
		failing("slow", nil),
	}}, func(c *Config) { c.RequestTimeout = time.Second })
	if err := p.Load(t.Context(), "good"); err != nil {
		t.Fatal(err)
	}
	post := func(model string) (int, string) {
		status, _, body := s.call(t, "POST", "/v1/completions",
			fmt.Sprintf(`{"model":%q,"prompt":"x","stream":true}`, model))
		return status, body
	}
	for _, c := range []struct {
		model string
		want  int
		text  string
	}{
		{"broken", 500, `"code":"model_load_failed"`}, {"broken", 500, "tensor 7 is missing"},
		{"large", 503, `"code":"model_does_not_fit"`},
		{"panics", 500, "a bad file"}, {"nothing", 404, `"code":"model_not_found"`}, {"slow", 504, `"code":"timeout"`},
	} {
		if status, body := post(c.model); status != c.want || !strings.Contains(body, c.text) {
			t.Errorf("%s: %d %s, want %d with %s", c.model, status, body, c.want, c.text)
		}
		if status, body := post("good"); status != 200 {
			t.Errorf("beside %s: %d %s", c.model, status, body)
		}
	}
	if !strings.Contains(s.log.String(), "stack=") {
		t.Error("the panic of a load left no stack in the log")
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { post("slow") })
	}
	wait(t, "two requests that wait", func() bool { return p.List()[4].Waiting == 2 })
	if n := s.scrape(t)["vllm:num_requests_waiting{model_name=slow}"]; n != 2 {
		t.Errorf("%v requests wait by the metrics", n)
	}
	if status, body := post("broken"); status != 429 || !strings.Contains(body, `"code":"queue_full"`) {
		t.Errorf("a third: %d %s", status, body)
	}
	wg.Wait()
}

// TestAdminLoads loads and unloads over HTTP.
func TestAdminLoads(t *testing.T) {
	h := &house{t: t, room: 2}
	pinned := h.spec("pinned", 0, &fake.Runner{})
	pinned.Pinned = true
	gate := make(chan struct{})
	s, p := openPool(t, pool.Config[*swapped]{Specs: []pool.Spec[*swapped]{pinned,
		h.spec("red", 0, &fake.Runner{Reply: "red", Gate: gate})}}, nil)
	post := func(path, body, key string) (int, string) {
		status, _, text := s.call(t, "POST", path, body, "Authorization", "Bearer "+key)
		return status, text
	}
	for _, c := range []struct {
		path, body, key string
		want            int
		text            string
	}{
		{"/admin/load", `{"model":"red"}`, "", 401, "invalid_admin_key"},
		{"/admin/unload", `{"model":"red"}`, "x", 401, "invalid_admin_key"},
		{"/admin/load", `{"model":"red"}`, "boss", 200, `{"id":"red","state":"loaded"}`},
		{"/admin/unload", `{"model":"red"}`, "boss", 200, `{"id":"red","state":"unloaded"}`},
		{"/admin/unload", `{"model":"red"}`, "boss", 200, `{"id":"red","state":"unloaded"}`},
		{"/admin/load", `{"model":"pinned"}`, "boss", 200, `"loaded"`},
		{"/admin/unload", `{"model":"pinned"}`, "boss", 409, "model_pinned"},
		{"/admin/load", `{"model":"green"}`, "boss", 404, "model_not_found"},
		{"/admin/unload", `{"model":"green"}`, "boss", 404, "model_not_found"},
		{"/admin/load", `{}`, "boss", 400, "missing_field"},
		{"/admin/load", `{"model":7}`, "boss", 400, "invalid_type"},
		{"/admin/load", `{"model":"red","force":true}`, "boss", 400, "unknown_field"},
		{"/admin/load", ``, "boss", 400, "invalid_json"},
	} {
		if status, text := post(c.path, c.body, c.key); status != c.want || !strings.Contains(text, c.text) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.path, c.body, status, text, c.want, c.text)
		}
	}
	answered, unloaded := make(chan string), make(chan string)
	go func() {
		_, _, body := s.call(t, "POST", "/v1/completions", `{"model":"red","prompt":"x"}`)
		answered <- body
	}()
	wait(t, "a request", func() bool { return p.List()[1].Users == 1 })
	go func() {
		_, body := post("/admin/unload", `{"model":"red"}`, "boss")
		unloaded <- body
	}()
	select {
	case body := <-unloaded:
		t.Errorf("unloaded in use: %s", body)
	case <-time.After(50 * time.Millisecond):
	}
	_, _, body := s.call(t, "GET", "/admin/ps", "", "Authorization", "Bearer boss")
	if !strings.Contains(body,
		`{"id":"red","state":"loaded","pinned":false,"memory_bytes":1,"idle_seconds":0,"requests":1,`) {
		t.Errorf("ps: %s", body)
	}
	close(gate)
	if body := <-answered; !strings.Contains(body, `"red"`) {
		t.Errorf("the answer in the way of an unload: %s", body)
	}
	if body := <-unloaded; !strings.Contains(body, `"unloaded"`) {
		t.Errorf("after it: %s", body)
	}
}

// TestResidentModels: those of SetModels can be loaded, which does nothing, and not unloaded.
func TestResidentModels(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.AdminKeys = []string{"boss"} })
	for path, want := range map[string]int{"/admin/load": 200, "/admin/unload": 409} {
		if status, _, body := s.call(t, "POST", path, `{"model":"fake"}`, "Authorization",
			"Bearer boss"); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if status, _, body := s.call(t, "POST", path, `{"model":"other"}`, "Authorization",
			"Bearer boss"); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
