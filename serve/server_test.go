package serve

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/internal/fake"
)

func TestHealth(t *testing.T) {
	var models []Model
	s := open(t, &fake.Runner{}, func(c *Config) { models, c.Models = c.Models, nil })
	check := func(when string, startup, want int) {
		t.Helper()
		for path, status := range map[string]int{"/livez": 200, "/startupz": startup, "/readyz": want,
			"/health": want} {
			if got, h, body := s.call(t, "GET", path, ""); got != status ||
				(got == 503) != (h.Get("Retry-After") != "") {
				t.Errorf("%s: %s answers %d %s, want %d", when, path, got, body, status)
			}
		}
	}
	check("loading", 503, 503)
	if status, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`}`); status != 503 ||
		!strings.Contains(body, "loading") {
		t.Errorf("chat while loading: %d %s", status, body)
	}
	if _, _, body := s.call(t, "GET", "/v1/models", ""); body != `{"object":"list","data":[],"models":[]}`+"\n" {
		t.Errorf("models while loading: %s", body)
	}
	if err := s.SetModels(models...); err != nil {
		t.Fatal(err)
	}
	check("ready", 200, 200)
	s.Drain()
	check("draining", 200, 503)
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("a start and an end are logged as errors: %s", s.log)
	}
}

func TestSetModelsErrors(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	m := s.models.get().(resident)[0]
	nameless, headless, mute := m, m, m
	nameless.ID, headless.Engine, mute.Tokenizer = "", nil, nil
	for name, models := range map[string][]Model{
		"no id": {nameless}, "no engine": {headless}, "no tokenizer": {mute}, "two of one id": {m, m},
	} {
		if err := s.SetModels(models...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestShutdownFinishesStreams(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "hello", Delay: 20 * time.Millisecond},
		func(c *Config) { c.DrainDelay = 10 * time.Millisecond })
	lines, cancel := s.begin(t, "")
	defer cancel()
	done := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- s.Shutdown(ctx)
	}()
	var text strings.Builder
	for lines.Scan() {
		text.WriteString(lines.Text())
	}
	if err := <-done; err != nil || !strings.HasSuffix(text.String(), "data: [DONE]") {
		t.Errorf("Shutdown: %v, stream %s", err, text.String())
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		c.Close()
		t.Error("the port still accepts connections")
	}
}

func TestShutdownEndsStreamsAfterGrace(t *testing.T) {
	s := open(t, &fake.Runner{Delay: 20 * time.Millisecond}, nil)
	lines, cancel := s.begin(t, "")
	defer cancel()
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	done := make(chan error)
	go func() { done <- s.Shutdown(ctx) }()
	var text strings.Builder
	for lines.Scan() {
		text.WriteString(lines.Text())
	}
	if err := <-done; err == nil {
		t.Error("Shutdown reported no cut-off request")
	}
	if !strings.Contains(text.String(), `{"error":{"message":"the server is shutting down"`) ||
		strings.Contains(text.String(), "[DONE]") {
		t.Errorf("stream %s", text.String())
	}
	wait(t, "the end of the sequence", func() bool { return s.engine.Stats().Cancelled == 1 })
}

func TestAPIKeys(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, func(c *Config) { c.APIKeys = []string{"one", "two"} })
	for _, c := range []struct {
		path, header string
		want         int
	}{
		{"/v1/models", "", 401}, {"/v1/models", "Bearer three", 401}, {"/v1/models", "Basic one", 401},
		{"/v1/models", "one", 401},
		{"/v1/models", "Bearer ", 401}, {"/v1/models", "Bearer one", 200}, {"/v1/models", "bearer two", 200},
		{"/health", "", 200}, {"/livez", "", 200}, {"/readyz", "", 200},
	} {
		status, _, body := s.call(t, "GET", c.path, "", "Authorization", c.header)
		if status != c.want || status == 401 && !strings.Contains(body, `"type":"authentication_error"`) {
			t.Errorf("%s with %q: %d %s, want %d", c.path, c.header, status, body, c.want)
		}
	}
	if status, _, _ := s.call(t, "POST", "/v1/chat/completions", hi+`}`); status != 401 {
		t.Errorf("chat without a key: %d", status)
	}
	if strings.Contains(s.log.String(), "three") {
		t.Error("the log has a key")
	}
}

func TestHostsAndOrigins(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) {
		c.AllowedHosts, c.AllowedOrigins = []string{"llm.example", "*.lan"}, []string{"https://app.example"}
	})
	for _, c := range []struct {
		host, origin string
		want         int
	}{
		{"localhost", "", 200}, {"LOCALHOST:8080", "", 200}, {"127.0.0.1:1", "", 200}, {"[::1]:1", "", 200},
		{"127.9.9.9", "", 200},
		{"llm.example", "", 200}, {"llm.example:80", "", 200}, {"a.localhost", "", 200},
		{"evil.example", "", 403}, {"localhost.evil.example", "", 403}, {"127.0.0.1.evil.example", "", 403},
		{"192.168.1.1", "", 403}, {"llm.example.", "", 200}, {"localhost.", "", 200},
		{"a.b.LAN:8080", "", 200}, {"lan", "", 403}, {"evillan", "", 403},
		{"localhost", "http://localhost:3000", 200}, {"localhost", "http://127.0.0.1", 200},
		{"localhost", "https://app.example", 200},
		{"llm.example", "https://llm.example", 200},
		{"localhost", "https://evil.example", 403}, {"localhost", "null", 403},
		{"localhost", "http://localhost.evil.example", 403},
		{"localhost", "http://app.example", 403}, {"localhost", "://", 403},
	} {
		status, h, body := s.call(t, "GET", "/v1/models", "", "Host", c.host, "Origin", c.origin)
		if status != c.want {
			t.Errorf("host %q, origin %q: %d %s, want %d", c.host, c.origin, status, body, c.want)
		}
		allowed := h.Get("Access-Control-Allow-Origin")
		if want := map[bool]string{true: c.origin}[status == 200]; allowed != want ||
			h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("host %q, origin %q: headers %v", c.host, c.origin, h)
		}
	}
	status, h, _ := s.call(t, "OPTIONS", "/v1/chat/completions", "", "Origin", "https://app.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
	if status != 200 || h.Get("Access-Control-Allow-Headers") != "authorization" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight: %d %v", status, h)
	}
	_, h, _ = s.call(t, "OPTIONS", "/v1/chat/completions", "", "Origin", "https://evil.example",
		"Access-Control-Request-Method", "POST")
	for name := range h {
		if strings.HasPrefix(name, "Access-Control") {
			t.Errorf("preflight of another origin: %v", h)
		}
	}
}

func TestPanicIsAnErrorAndTheServerGoesOn(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, nil)
	status, h, body := s.call(t, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"panic"}]}`)
	if status != 500 || !strings.Contains(body, `"type":"server_error"`) || strings.Contains(body, "secret") {
		t.Errorf("%d %s", status, body)
	}
	wait(t, "the log line", func() bool { return strings.Contains(s.log.String(), h.Get("X-Request-Id")) })
	if !strings.Contains(s.log.String(), "stack=") {
		t.Errorf("log without a stack: %s", s.log)
	}
	if status, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`}`); status != 200 {
		t.Errorf("after the panic: %d %s", status, body)
	}
}

func TestLogHasNoText(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "confidential answer"}, nil)
	for _, stream := range []string{"true", "false"} {
		s.call(t, "POST", "/v1/chat/completions?q=confidential",
			`{"messages":[{"role":"user","content":"confidential question"}],"stream":`+stream+`}`)
	}
	wait(t, "the log lines", func() bool { return strings.Count(s.log.String(), "msg=request") == 2 })
	log := s.log.String()
	if strings.Contains(log, "confidential") || !strings.Contains(log, "model=fake") ||
		!strings.Contains(log, "prompt_tokens=38") || !strings.Contains(log, "completion_tokens=20") {
		t.Errorf("log:\n%s", log)
	}
}

func TestServeRefusesPublicListenerWithoutKey(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		refuse bool
	}{
		{"no key", func(*Config) {}, true},
		{"empty key", func(c *Config) { c.APIKeys = []string{""} }, true},
		{"key", func(c *Config) { c.APIKeys = []string{"k"} }, false},
		{"allowed", func(c *Config) { c.AllowPublic = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Config{Log: slog.New(slog.DiscardHandler)}
			c.change(&config)
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			// The server is closed, so Serve returns at once if it does not refuse.
			l := &publicListener{}
			if err := s.Serve(l); (err != nil) != c.refuse {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

type publicListener struct{ net.Listener }

func (*publicListener) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4zero, Port: 8080} }
func (*publicListener) Accept() (net.Conn, error) { return nil, io.EOF }
func (*publicListener) Close() error              { return nil }

func TestConnectionsAreLimited(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.MaxConns = 2 })
	addr := strings.TrimPrefix(s.url, "http://")
	var idle [2]net.Conn
	for i := range idle {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle[i] = c
	}
	client := &http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := client.Get(s.url + "/livez"); err == nil {
		resp.Body.Close()
		t.Error("a third connection was served")
	}
	idle[0].Close()
	client.Timeout = 5 * time.Second
	resp, err := client.Get(s.url + "/livez")
	if err != nil {
		t.Fatalf("after one was closed: %v", err)
	}
	resp.Body.Close()
}

func TestHandlerInAnotherServer(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, nil)
	other := httptest.NewServer(s.Handler())
	defer other.Close()
	resp, err := http.Post(other.URL+"/v1/chat/completions", "application/json",
		strings.NewReader(hi+`,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(b), "data: [DONE]\n\n") {
		t.Errorf("%s, %v", b, err)
	}
}
