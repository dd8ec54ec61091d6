package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hipengine/hipengine/internal/hubtest"
)

// random returns bytes that differ everywhere.
func random(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// ggufs are files of a repository with models in GGUF.
func ggufs() map[string][]byte {
	return map[string][]byte{
		"README.md":                            []byte("hello"),
		"b-Q4_K_M.gguf":                        random(300_000, 1),
		"b-Q8_0.gguf":                          random(5000, 2),
		"BF16/b-BF16-00001-of-00002.gguf":      random(70_000, 3),
		"BF16/b-BF16-00002-of-00002.gguf":      random(20_000, 4),
		"mmproj-b-Q8_0.gguf":                   random(3000, 5),
		"UD/b-Q3_K_M-00001-of-00003.gguf":      random(3000, 6),
		"folder/with space & more/c-Q2_K.gguf": random(2000, 7),
	}
}

// testClient does not wait between tries, and counts how long it would have.
func testClient(h *hubtest.Hub) (*Client, *atomic.Int64) {
	var waited atomic.Int64
	return &Client{Endpoint: h.URL, Token: "sesame", chunk: 20_000, wait: func(ctx context.Context,
		d time.Duration) error {
		waited.Add(int64(d))
		return ctx.Err()
	}}, &waited
}

func mustRef(t testing.TB, name string) Ref {
	t.Helper()
	r, err := ParseRef(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// whatIsThere fails the test unless blobs are what their names say and nothing else is in the cache but links to them.
func whatIsThere(t *testing.T, cache Cache) {
	t.Helper()
	err := filepath.WalkDir(cache.Dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() || strings.HasSuffix(p, ".lock") || filepath.Base(filepath.Dir(p)) == "refs":
		case filepath.Base(filepath.Dir(p)) == "blobs":
			b, err := os.ReadFile(p)
			if name := d.Name(); len(name) == 64 && (err != nil || name != fmt.Sprintf("%x", sha256.Sum256(b))) {
				t.Errorf("%s has other contents: %v", p, err)
			} else if len(name) != 64 && len(name) != 40 {
				t.Errorf("%s is left", p)
			}
		case d.Type() != fs.ModeSymlink:
			t.Errorf("%s is no link", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPull(t *testing.T) {
	h := hubtest.New(t, ggufs())
	for _, c := range []struct{ name, first string }{
		{"hf:a/b:Q4_K_M", "b-Q4_K_M.gguf"},
		{"hf:a/b:q8_0", "b-Q8_0.gguf"},
		{"hf:a/b@v1.0:BF16", "BF16/b-BF16-00001-of-00002.gguf"},
		{"hf:a/b", "b-Q4_K_M.gguf"},
		{"hf:a/b@" + hubtest.Commit + "/b-Q8_0.gguf", "b-Q8_0.gguf"},
		{"hf:a/b/BF16/b-BF16-00002-of-00002.gguf", "BF16/b-BF16-00001-of-00002.gguf"},
		{"hf:a/b/folder/with space & more/c-Q2_K.gguf", "folder/with space & more/c-Q2_K.gguf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, waited := testClient(h)
			var done, total int64
			client.Progress = func(d, t int64) { done, total = d, t }
			cache := Cache{t.TempDir()}
			r := mustRef(t, c.name)
			if _, err := cache.Find(r); !errors.As(err, new(*NotCachedError)) {
				t.Errorf("before: %v", err)
			}
			path, err := client.Pull(t.Context(), cache, r)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(b, h.Files[c.first]) {
				t.Errorf("%s: %d bytes, %v", path, len(b), err)
			}
			if want := filepath.Join(cache.Dir, "models--a--b/snapshots", hubtest.Commit, c.first); path != want {
				t.Errorf("path %s, want %s", path, want)
			}
			if done != total || total < int64(len(b)) || waited.Load() != 0 {
				t.Errorf("progress %d of %d, waited %d", done, total, waited.Load())
			}
			whatIsThere(t, cache)
			if again, err := client.Pull(t.Context(), cache, r); err != nil || again != path {
				t.Errorf("again: %s, %v", again, err)
			}
		})
	}
	atHub, atStorage := h.Tokens()
	if slices.Contains(atHub, "") || slices.ContainsFunc(atStorage, func(s string) bool { return s != "" }) {
		t.Errorf("tokens: %q and %q", atHub, atStorage)
	}
}

// TestResolvesOnce: a file in many parts asks the hub for its place once, or as often as its connections start at
// once.
func TestResolvesOnce(t *testing.T) {
	h := hubtest.New(t, ggufs())
	client, _ := testClient(h)
	client.chunk, client.Connections = 1000, 2
	if _, err := client.Pull(t.Context(), Cache{t.TempDir()}, mustRef(t, "hf:a/b:Q4_K_M")); err != nil {
		t.Fatal(err)
	}
	if n := h.Resolved.Load(); n > 3 {
		t.Errorf("asked %d times", n)
	}
}

func TestPullSafetensors(t *testing.T) {
	h := hubtest.New(t, map[string][]byte{"config.json": []byte("{}"), "model.safetensors": random(5000, 1),
		"tokenizer.json":           random(1500, 2),
		"consolidated.safetensors": random(9000, 3), "onnx/model.onnx": random(9000, 4), "README.md": []byte("x"),
		"chat_template.jinja": []byte("y")})
	client, _ := testClient(h)
	cache := Cache{t.TempDir()}
	path, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := snapshot(path)
	if slices.Sort(files); err != nil || !slices.Equal(files, []string{"chat_template.jinja", "config.json",
		"model.safetensors", "tokenizer.json"}) {
		t.Errorf("%v, %v", files, err)
	}
	whatIsThere(t, cache)
	list, err := cache.List()
	if err != nil || len(list) != 1 || list[0].Ref.String() != "hf:a/b" || list[0].Path != path ||
		list[0].Bytes != 6503 {
		t.Errorf("%+v, %v", list, err)
	}
	var selection *SelectionError
	if _, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b:Q4_K_M")); !errors.As(err, &selection) {
		t.Errorf("a quantization: %v", err)
	}
}

// TestTrouble lets the hub fail in ways that a client can live with, and in others.
func TestTrouble(t *testing.T) {
	times := func(n int64, f func(w http.ResponseWriter, r *http.Request) bool) func(w http.ResponseWriter,
		r *http.Request) bool {
		var left atomic.Int64
		left.Store(n)
		return func(w http.ResponseWriter, r *http.Request) bool { return left.Add(-1) >= 0 && f(w, r) }
	}
	status := func(code int, header ...string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			return true
		}
	}
	// truncated sends half of what it says.
	truncated := func(w http.ResponseWriter, r *http.Request) bool {
		first, last, ok := hubtest.Requested(r)
		if !ok {
			return false
		}
		data := ggufs()["b-Q4_K_M.gguf"]
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
		w.Header().Set("Content-Length", fmt.Sprint(last+1-first))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(data[first : (first+last)/2+1]) // a byte at least
		http.NewResponseController(w).Flush()   // else the rest of it may stay in the server's buffer
		panic(http.ErrAbortHandler)
	}
	onlyStorage := func(f func(w http.ResponseWriter, r *http.Request) bool) func(w http.ResponseWriter,
		r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.RawQuery == "signature=secret" && f(w, r)
		}
	}
	const forever = 1 << 40
	for _, c := range []struct {
		name    string
		fail    func(w http.ResponseWriter, r *http.Request) bool
		corrupt int64
		waits   time.Duration // at least
		want    string        // in the error; empty: it ends well
	}{
		{name: "too many requests", fail: times(2, status(429, "Retry-After", "17")), waits: 34 * time.Second},
		{name: "too many for good", fail: status(429, "Retry-After", "1000000"), waits: 7 * maxWait,
			want: "given up after 8 tries"},
		{name: "busy", fail: times(3, status(503)), waits: time.Second},
		{name: "storage busy", fail: onlyStorage(times(9, status(500))), waits: time.Second},
		{name: "truncated", fail: onlyStorage(times(20, truncated)), waits: time.Second},
		{name: "closed", fail: status(401), want: "closed to the owner of the token"},
		{name: "gated", fail: status(403, "X-Error-Message", "Ask first."), want: "Ask first."},
		{name: "expired", fail: onlyStorage(times(1, status(403))), want: "403"},
		{name: "gone", fail: status(404), want: "no such repository"},
		{name: "damaged", corrupt: 1, want: "came damaged"},
		{name: "damaged for good", corrupt: forever, want: "came damaged"},
		{name: "round and round", fail: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		}, want: "redirects"},
		{name: "to a file", fail: status(302, "Location", "file:///etc/passwd"), want: "not safe"},
		{name: "another part", fail: onlyStorage(status(206, "Content-Range", "bytes 5-9/300000")),
			want: "the server sent"},
		{name: "no hub", fail: func(w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprint(w, "<html>log in to the hotel's network")
			return true
		}, want: "is this a hub?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hubtest.New(t, ggufs())
			h.Config.ErrorLog, h.Storage.Config.ErrorLog = nil, nil
			h.Fail = c.fail
			h.Corrupt.Store(c.corrupt)
			client, waited := testClient(h)
			cache := Cache{t.TempDir()}
			path, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b:Q4_K_M"))
			if c.want == "" {
				b, _ := os.ReadFile(path)
				if err != nil || !bytes.Equal(b, h.Files["b-Q4_K_M.gguf"]) {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				whatIsThere(t, cache)
			} else if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %q", err, c.want)
			} else if models, err := cache.List(); err != nil || len(models) != 0 {
				t.Errorf("there is %v, %v", models, err)
			}
			if w := time.Duration(waited.Load()); w < c.waits {
				t.Errorf("waited %v, want at least %v", w, c.waits)
			}
		})
	}
}

// TestDamagedBeginning: what is there of a file may be wrong, or too much; the file that comes out is right.
func TestDamagedBeginning(t *testing.T) {
	h := hubtest.New(t, ggufs())
	data := h.Files["b-Q4_K_M.gguf"]
	for name, there := range map[string][]byte{"right": data[:123_456], "all": data, "wrong": random(50_000, 9),
		"long": random(400_000, 9)} {
		t.Run(name, func(t *testing.T) {
			cache := Cache{t.TempDir()}
			blobs := filepath.Join(cache.Dir, "models--a--b/blobs")
			if err := os.MkdirAll(blobs, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(blobs, fmt.Sprintf("%x", sha256.Sum256(data))+incomplete), there,
				0o644); err != nil {
				t.Fatal(err)
			}
			client, _ := testClient(h)
			var total int64
			client.Progress = func(_, t int64) { total = t }
			path, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b:Q4_K_M"))
			b, _ := os.ReadFile(path)
			if err != nil || !bytes.Equal(b, data) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			if name == "right" && total != int64(len(data)-len(there)) {
				t.Errorf("%d bytes were missing", total)
			}
			whatIsThere(t, cache)
		})
	}
}

// TestVerify: what is in the cache is believed by its size, and with Verify by its contents.
func TestVerify(t *testing.T) {
	h := hubtest.New(t, ggufs())
	client, _ := testClient(h)
	cache := Cache{t.TempDir()}
	r := mustRef(t, "hf:a/b:Q8_0")
	path, err := client.Pull(t.Context(), cache, r)
	if err != nil {
		t.Fatal(err)
	}
	data := h.Files["b-Q8_0.gguf"]
	for _, c := range []struct {
		there  []byte
		verify bool
		right  bool
	}{
		{random(len(data), 9), false, false}, {random(len(data), 9), true, true}, {data[:100], false, true},
		{data, true, true},
	} {
		if err := os.WriteFile(path, c.there, 0o644); err != nil {
			t.Fatal(err)
		}
		client.Verify = c.verify
		if _, err := client.Pull(t.Context(), cache, r); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || bytes.Equal(b, data) != c.right {
			t.Errorf("%d bytes there, verify %v: right %v, %v", len(c.there), c.verify, !c.right, err)
		}
	}
	whatIsThere(t, cache)
}

// TestNoRanges: a server that sends whole files alone is enough.
func TestNoRanges(t *testing.T) {
	h := hubtest.New(t, ggufs())
	h.NoRanges = true
	client, _ := testClient(h)
	cache := Cache{t.TempDir()}
	path, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b:Q4_K_M"))
	b, _ := os.ReadFile(path)
	if err != nil || !bytes.Equal(b, h.Files["b-Q4_K_M.gguf"]) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	whatIsThere(t, cache)
}

// TestPullsAtOnce lets several programs' worth of pulls want the same file.
func TestPullsAtOnce(t *testing.T) {
	h := hubtest.New(t, ggufs())
	var sent atomic.Int64
	h.Served = func(n int) { sent.Add(int64(n)) }
	cache := Cache{t.TempDir()}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			client, _ := testClient(h)
			if _, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b:Q4_K_M")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if sent.Load() != 300_000 {
		t.Errorf("%d bytes were sent for a file of 300000", sent.Load())
	}
	whatIsThere(t, cache)
}

func TestNoRoom(t *testing.T) {
	h := hubtest.New(t, ggufs())
	client, _ := testClient(h)
	client.free = func(string) (int64, error) { return spare + 299_999, nil }
	cache := Cache{t.TempDir()}
	var space *SpaceError
	if _, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b:Q4_K_M")); !errors.As(err, &space) ||
		space.Need != 300_000 || space.Free != 299_999 {
		t.Errorf("error %v", err)
	}
	client.free = func(string) (int64, error) { return spare + 300_000, nil }
	if _, err := client.Pull(t.Context(), cache, mustRef(t, "hf:a/b:Q4_K_M")); err != nil {
		t.Error(err)
	}
}

// TestExpired: where a signed place does not open any more, the hub is asked for another.
func TestExpired(t *testing.T) {
	h := hubtest.New(t, ggufs())
	var n atomic.Int64
	h.Fail = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.RawQuery != "signature=secret" || n.Add(1) != 3 {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	client, _ := testClient(h)
	client.Connections = 1
	if _, err := client.Pull(t.Context(), Cache{t.TempDir()}, mustRef(t, "hf:a/b:Q4_K_M")); err != nil ||
		h.Resolved.Load() != 2 {
		t.Errorf("asked %d times, %v", h.Resolved.Load(), err)
	}
}

// TestSilence: a connection on which nothing comes is given up.
func TestSilence(t *testing.T) {
	h := hubtest.New(t, ggufs())
	var first atomic.Bool
	h.Fail = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.RawQuery != "signature=secret" || first.Swap(true) {
			return false
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/300000", 19_999))
		w.WriteHeader(http.StatusPartialContent)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	client, _ := testClient(h)
	client.stall, client.Connections = 50*time.Millisecond, 1
	if _, err := client.Pull(t.Context(), Cache{t.TempDir()}, mustRef(t, "hf:a/b:Q4_K_M")); err != nil {
		t.Error(err)
	}
}
