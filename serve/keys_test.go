package serve

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
)

func hashed(key string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key))) }

func TestHashedKeys(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.APIKeys = []string{"plain", hashed("hidden")} })
	for key, want := range map[string]int{"plain": 200, "hidden": 200, hashed("hidden"): 401, hashed("plain"): 401,
		"": 401} {
		if status, _, body := s.call(t, "GET", "/v1/models", "", "Authorization", "Bearer "+key); status != want {
			t.Errorf("%q: %d %s, want %d", key, status, body, want)
		}
	}
	for _, bad := range []string{"sha256:", "sha256:12", "sha256:" + strings.Repeat("x", 64), hashed("a") + "0"} {
		if _, err := New(Config{APIKeys: []string{"one", bad}}); err == nil ||
			!strings.Contains(err.Error(), "key 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadKeys(t *testing.T) {
	got, err := ReadKeys(strings.NewReader("# of the team\n one \n\n" + hashed("two") + "\r\n"))
	if want := []string{"one", hashed("two")}; err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{"": "no key", "# none\n": "no key", "one\ntwo three\n": "line 2",
		"a\nb\nsha256:1\n": "line 3"} {
		if _, err := ReadKeys(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAdmin(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc"},
		func(c *Config) { c.APIKeys, c.AdminKeys = []string{"user"}, []string{hashed("boss")} })
	s.call(t, "POST", "/v1/completions", `{"prompt":"xyz"}`, "Authorization", "Bearer user")
	for key, want := range map[string]int{"user": 401, "boss": 200, "": 401} {
		if status, _, body := s.call(t, "GET", "/admin/ps", "", "Authorization", "Bearer "+key); status != want {
			t.Errorf("%q: %d %s, want %d", key, status, body, want)
		}
	}
	if status, _, _ := s.call(t, "GET", "/v1/models", "", "Authorization", "Bearer boss"); status != 401 {
		t.Errorf("the admin key opens /v1: %d", status)
	}
	_, _, body := s.call(t, "GET", "/admin/ps", "", "Authorization", "Bearer boss")
	if want := `{"models":[{"id":"fake","state":"loaded","pinned":true,"memory_bytes":0,"idle_seconds":0,"requests":0,"requests_loading":0,` +
		`"running":0,"waiting":0,"slots":4,"context":4096,"invariant":false,"kv_tokens":0,"prompt_tokens":4,"generated_tokens":4,"loads":0,"load_failures":0}],"draining":false}`; body != want+"\n" {
		t.Errorf("%s, want %s", body, want)
	}
	if status, _, body := s.call(t, "POST", "/admin/drain", "", "Authorization", "Bearer boss"); status != 200 {
		t.Errorf("drain: %d %s", status, body)
	}
	if status, _, _ := s.call(t, "GET", "/readyz", ""); status != 503 {
		t.Errorf("ready after drain: %d", status)
	}
}

func TestAdminIsClosedWithoutKey(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	for _, key := range []string{"", "Bearer ", "Bearer x"} {
		if status, _, body := s.call(t, "GET", "/admin/ps", "", "Authorization", key); status != 403 {
			t.Errorf("%q: %d %s", key, status, body)
		}
	}
}

// TestRequestsOfAKeyAreBounded keeps two streams of one key open, and asks for a third and for one of another key.
func TestRequestsOfAKeyAreBounded(t *testing.T) {
	gate := make(chan struct{})
	s := open(t, &fake.Runner{Gate: gate, Reply: "x"},
		func(c *Config) { c.APIKeys, c.MaxPerKey = []string{"a", "b"}, 2 })
	done := make(chan int, 3)
	post := func(key string) {
		status, _, _ := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`, "Authorization", "Bearer "+key)
		done <- status
	}
	for range 2 {
		go post("a")
	}
	begun := func(n int) func() bool {
		return func() bool { st := s.engine.Stats(); return st.Running+st.Waiting == n }
	}
	wait(t, "two sequences", begun(2))
	status, h, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`, "Authorization", "Bearer a")
	if status != 429 || h.Get("Retry-After") == "" || !strings.Contains(body, `"code":"too_many_requests"`) {
		t.Errorf("the third of a key: %d %v %s", status, h, body)
	}
	go post("b")
	wait(t, "the other key's sequence", begun(3))
	close(gate)
	for range 3 {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`, "Authorization",
		"Bearer a"); status != 200 {
		t.Errorf("after they ended: %d %s", status, body)
	}
}

func TestRequestIDs(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	for id, kept := range map[string]bool{
		"abc-123_X.y": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "a=b": false, "ä": false, `a"b`: false,
	} {
		_, h, _ := s.call(t, "GET", "/livez", "", "X-Request-Id", id)
		got := h.Get("X-Request-Id")
		if kept && got != id || !kept && (got == id || len(got) < 20) {
			t.Errorf("%q became %q", id, got)
		}
		wait(t, "the log line", func() bool { return strings.Contains(s.log.String(), "id="+got) })
	}
}

// TestLogQuotesNoRequest sends requests that are refused with a message that quotes them.
func TestLogQuotesNoRequest(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	bodies := []string{
		`{"messages":[{"role":"confidential","content":"x"}]}`, `{"messages":"confidential"}`,
		`{"messages":[],"confidential":1}`,
		`{"confidential`, `confidential`, `{"model":"confidential","messages":[{"role":"user","content":"hi"}]}`,
		`{"messages":[{"role":"user","content":"refuse"}]}`,
		`{"messages":[{"role":"user","content":"x"}],"stop":[{"confidential":1}]}`,
		`{"messages":[{"role":"user","content":"x","confidential":"y"}]}`,
		`{"messages":[{"role":"user","content":[{"type":"confidential"}]}]}`,
	}
	for _, b := range bodies {
		if status, _, body := s.call(t, "POST", "/v1/chat/completions", b); status < 400 || status > 499 {
			t.Errorf("%s: %d %s", b, status, body)
		}
	}
	wait(t, "the log lines", func() bool { return strings.Count(s.log.String(), "msg=request") == len(bodies) })
	if log := s.log.String(); strings.Contains(log, "confidential") || strings.Contains(log, "alternate") ||
		!strings.Contains(log, "conversation_refused in messages") {
		t.Errorf("log:\n%s", log)
	}
}

func TestProfiles(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	if status, _, _ := s.call(t, "GET", "/debug/pprof/", ""); status != 404 {
		t.Errorf("profiles on the server's own port: %d", status)
	}
	if err := s.ServeDebug(&publicListener{}); err == nil || !strings.Contains(err.Error(), "this machine alone") {
		t.Errorf("beyond this machine: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.ServeDebug(l) }()
	for host, want := range map[string]int{"localhost": 200, "evil.example": 403} {
		req, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/debug/pprof/goroutine?debug=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("host %s: %d, want %d", host, resp.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Errorf("ServeDebug: %v", err)
	}
}
