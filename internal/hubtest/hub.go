// Package hubtest is a Hugging Face hub for tests, which can go wrong in the ways that real ones do.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Commit is that of the repository.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// Hub is a server with one repository, a/b, of one commit, main and v1.0. Its large files lie on another host, as
// those of real hubs do. Fields are set before the first request.
type Hub struct {
	*httptest.Server
	Storage *httptest.Server  // the other host
	Files   map[string][]byte // of the repository, by path
	Large   int               // bytes from which on a file lies on the other host; 1000 unless set

	// Fail, unless it is nil, is given each request first, and returns true if it answered.
	Fail     func(w http.ResponseWriter, r *http.Request) bool
	NoRanges bool         // the other host sends whole files alone
	Corrupt  atomic.Int64 // answers of the other host that are still to have a wrong byte
	Served   func(n int)  // is told of bytes that the other host sent; nil is nobody
	Resolved atomic.Int64 // how often the place of a file was asked for

	mu     sync.Mutex
	tokens map[string][]string // Authorization that came to each host
}

// New starts a hub that ends with the test.
func New(t testing.TB, files map[string][]byte) *Hub {
	h := &Hub{Files: files, Large: 1000, tokens: map[string][]string{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.hub))
	h.Storage = httptest.NewServer(http.HandlerFunc(h.store))
	t.Cleanup(h.Server.Close)
	t.Cleanup(h.Storage.Close)
	return h
}

func (h *Hub) saw(where string, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens[where] = append(h.tokens[where], r.Header.Get("Authorization"))
}

// Tokens returns what came as Authorization to the hub and to the other host, "" for requests without.
func (h *Hub) Tokens() (hub, storage []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.tokens["hub"]), slices.Clone(h.tokens["storage"])
}

func (h *Hub) hub(w http.ResponseWriter, r *http.Request) {
	h.saw("hub", r)
	if h.Fail != nil && h.Fail(w, r) {
		return
	}
	path := r.URL.Path
	if name, ok := strings.CutPrefix(path, "/a/b/resolve/"+Commit+"/"); ok {
		h.Resolved.Add(1)
		data, ok := h.Files[name]
		if !ok {
			w.Header().Set("X-Error-Message", "Entry not found")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if len(data) >= h.Large {
			http.Redirect(w, r, h.Storage.URL+"/"+name+"?signature=secret", http.StatusFound)
			return
		}
		w.Write(data)
		return
	}
	switch path {
	case "/api/models/a/b/revision/main", "/api/models/a/b/revision/v1.0":
		fmt.Fprintf(w, `{"sha":%q,"private":false}`, Commit)
	case "/api/models/a/b/tree/" + Commit:
		h.tree(w, r)
	default:
		w.WriteHeader(http.StatusUnauthorized) // as for everything that is not there, so that nobody can guess
	}
}

// tree lists two files a page.
func (h *Hub) tree(w http.ResponseWriter, r *http.Request) {
	var names []string
	for n := range h.Files {
		names = append(names, n)
	}
	slices.Sort(names)
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	list := []map[string]any{{"type": "directory", "oid": "x", "size": 0, "path": "folder"}}
	for _, n := range names[from:min(from+2, len(names))] {
		data := h.Files[n]
		git := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
		e := map[string]any{"type": "file", "oid": fmt.Sprintf("%x", git), "size": len(data), "path": n}
		if len(data) >= h.Large {
			e["lfs"] = map[string]any{"oid": fmt.Sprintf("%x", sha256.Sum256(data)), "size": len(data),
				"pointerSize": 134}
		}
		list = append(list, e)
	}
	if from+2 < len(names) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, h.URL, r.URL.Path, from+2))
	}
	json.NewEncoder(w).Encode(list)
}

// store sends large files.
func (h *Hub) store(w http.ResponseWriter, r *http.Request) {
	h.saw("storage", r)
	if h.Fail != nil && h.Fail(w, r) {
		return
	}
	all := h.Files[strings.TrimPrefix(r.URL.Path, "/")]
	data := all
	if first, last, ok := Requested(r); ok && !h.NoRanges {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(all)))
		w.WriteHeader(http.StatusPartialContent)
		data = all[first : last+1]
	}
	if h.Corrupt.Add(-1) >= 0 {
		data = slices.Clone(data)
		data[len(data)/2] ^= 1
	}
	for len(data) > 0 {
		n := min(len(data), 4096)
		if _, err := w.Write(data[:n]); err != nil {
			return
		}
		if data = data[n:]; h.Served != nil {
			h.Served(n)
		}
	}
}

// Requested returns the bytes that a request is for.
func Requested(r *http.Request) (first, last int, ok bool) {
	n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
	return first, last, n == 2
}
