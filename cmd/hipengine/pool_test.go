package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const q4 = "../../testdata/ember/ember-Q4_K_M.gguf"

// askFrance asks a server's model for the capital of France, and returns the status and the answer.
func askFrance(t *testing.T, url, model string) (int, string) {
	t.Helper()
	resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(
		`{"model":"`+model+`","temperature":0,"messages":[{"role":"user","content":"What is the capital of France?"}]}`))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(answer)
}

// TestServeSwaps serves two models with memory for one, to clients of both at once, and manages them from the command
// line.
func TestServeSwaps(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves swaps of real models to make long; package serve swaps others")
	}
	small := []string{"ember", q4, "--ctx", "256", "--parallel", "2", "--prefix-cache=-1", "--admin-key", "boss",
		"--spec", "off"}
	_, url := startServer(t, small...)
	ps := func(url string) (list []struct {
		ID    string
		State string
		Bytes int64 `json:"memory_bytes"`
		Loads int
	}) {
		t.Helper()
		r := command(t, "", "ps", "--url", url, "--admin-key", "boss", "--json")
		var answer struct{ Models json.RawMessage }
		if err := json.Unmarshal([]byte(r.out), &answer); r.code != 0 || err != nil {
			t.Fatalf("ps: %d %s %s, %v", r.code, r.out, r.errOut, err)
		}
		if err := json.Unmarshal(answer.Models, &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	both := ps(url)
	if len(both) != 2 || both[0].State != "loaded" || both[1].State != "loaded" {
		t.Fatalf("with memory for two: %+v", both)
	}
	limit := max(both[0].Bytes, both[1].Bytes)*5/4>>20 + 1
	_, url = startServer(t, append(small, "--memory", fmt.Sprint(limit))...)
	// A load may take longer than all turns of the other model's clients, so turns alone promise no swap.
	var asking atomic.Bool
	asking.Store(true)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for turn := 0; turn < 5 || asking.Load(); turn++ {
				model := []string{"ember", "ember-Q4_K_M"}[i%2]
				if status, answer := askFrance(t, url, model); status != 200 || !strings.Contains(answer, "Paris") {
					t.Errorf("%s: %d %s", model, status, answer)
				}
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); asking.Load(); time.Sleep(50 * time.Millisecond) {
		list := ps(url)
		asking.Store((list[0].Loads < 2 || list[1].Loads < 2) && time.Now().Before(deadline))
	}
	wg.Wait()
	loaded := 0
	for _, m := range ps(url) {
		t.Logf("%s was loaded %d times", m.ID, m.Loads)
		if m.State == "loaded" {
			loaded++
		}
		if m.Loads < 2 {
			t.Errorf("%+v: was there memory for both?", m)
		}
	}
	if loaded != 1 {
		t.Errorf("%d models are loaded", loaded)
	}
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"unload", "ember"}, 0, "ember: unloaded\n"},
		{[]string{"unload", "ember-Q4_K_M"}, 0, "ember-Q4_K_M: unloaded\n"},
		{[]string{"load", "ember"}, 0, "ember: loaded\n"}, {[]string{"ps"}, 0, "ember         loaded"},
		{[]string{"load", "other"}, 1, `the server answers 404 Not Found: model: model "other" is not here`},
		{[]string{"ps", "--admin-key", "user"}, 1, "the server answers 401 Unauthorized: the admin key is needed"},
		{[]string{"ps", "--admin-key="}, 2, "--admin-key is needed"},
		{[]string{"load", "x", "--admin-key=x", "--url", "localhost"}, 2, "--url"},
	} {
		args := append([]string{c.args[0], "--url", url}, c.args[1:]...)
		if !strings.Contains(fmt.Sprint(args), "--admin-key") {
			args = append(args, "--admin-key", "boss")
		}
		if r := command(t, "", args...); r.code != c.code || !strings.Contains(r.out+r.errOut, c.out) {
			t.Errorf("%v: %d %s %s", c.args, r.code, r.out, r.errOut)
		}
	}
}

// TestServeConfiguredModels offers models of the configuration file and of the folder, on demand, and pins one.
func TestServeConfiguredModels(t *testing.T) {
	dir := t.TempDir()
	abs, err := filepath.Abs(q4)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(abs, filepath.Join(dir, "found.gguf")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "c.toml")
	text := fmt.Sprintf("[serve]\nall = true\nctx = 512\n[serve.model.quick]\nfile = %q\nctx = 128\nparallel = 1\n"+
		"device = 'cpu,cpu'\nsplit = 'layer'\nexpert-cache = 0.0\n"+
		"[serve.model.ember]\npin = true\n", abs)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url := startServer(t, "--config", file, "--models", dir, "--idle-unload", "1h")
	list := func() string {
		resp, err := http.Get(url + "/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Data []struct {
				ID     string
				Loaded bool
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(answer.Data)
	}
	if got := list(); got != "[{ember true} {quick false} {found false}]" {
		t.Errorf("at the start: %s", got)
	}
	for _, model := range []string{"quick", "found"} {
		if status, answer := askFrance(t, url, model); status != 200 || !strings.Contains(answer, "Paris") {
			t.Errorf("%s: %d %s", model, status, answer)
		}
	}
	if got := list(); got != "[{ember true} {quick true} {found true}]" {
		t.Errorf("after requests: %s", got)
	}
	if status, answer := askFrance(t, url, abs); status != 404 {
		t.Errorf("a path: %d %s", status, answer)
	}
	long := fmt.Sprintf(`{"model":"quick","prompt":%q}`, strings.Repeat("word ", 200))
	resp, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(long))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("a prompt that is too long for the context of the model's table: %d", resp.StatusCode)
	}
	r := command(t, "", "config", "--config", file)
	for _, want := range []string{"model.quick.ctx", "128", "model.ember.pin", "true"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("config does not show %q:\n%s%s", want, r.out, r.errOut)
		}
	}
}

// TestServeModelErrors: what cannot be offered ends the server before it says that it is ready.
func TestServeModelErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		args []string
		code int
		want string
	}{
		{"[serve.model.x]\nfle = 'a'\n", nil, 2, `:2: unknown key "serve.model.x.fle"`},
		{"[serve.model.x]\nctx = 'a'\n", nil, 2, ":2: serve.model.x.ctx: want an integer"},
		{"[serve.model]\nx = 7\n", nil, 2, ":2: serve.model.x: want a table"},
		{"[serve]\nmodel = 'x'\n", nil, 2, ":2: serve.model: want a table"},
		{"[serve.model.x]\nfile = 'ember'\nparallel = 0\n", nil, 2, "serve.model.x.parallel 0"},
		{"[serve.model.x]\nfile = 'nothing.gguf'\n", nil, 1, "nothing.gguf"},
		{"[serve.model.x]\nfile = 'ember'\ndevice = 'cpu,tpu'\n", nil, 2, `"tpu"`},
		{"[serve.model.ember]\npin = true\nlayers = 'cpu=8'\n", nil, 2, "--layers"},
		{"", []string{"ember", "ember"}, 1, `two models have the id "ember"`},
		{"", []string{"--all"}, 1, "folder of models"},
		{"", []string{"--pin", "nothing"}, 1, `no model "nothing"`},
		{"", []string{"--memory", "1"}, 1, "does not fit"},
		{"", []string{"--idle-unload=-1s"}, 2, "--idle-unload"},
		{"", []string{"--otlp-endpoint", "localhost:4318"}, 2, "localhost:4318"},
	} {
		file := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"serve", "--config", file, "--port", "0", "--device", "cpu", "--models",
			"no/such/folder"}, c.args...)
		if r := command(t, "", args...); r.code != c.code || !strings.Contains(r.errOut, c.want) {
			t.Errorf("%q %v: %d %s, want %d with %s", c.text, c.args, r.code, r.errOut, c.code, c.want)
		}
	}
}
