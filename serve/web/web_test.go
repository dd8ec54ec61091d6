package web

import (
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	New().ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	w := get(t, "GET")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "<!doctype html>") ||
		!strings.HasSuffix(w.Body.String(), "</html>\n") {
		t.Fatalf("status %d, %d bytes", w.Code, w.Body.Len())
	}
	if h := get(t, "HEAD"); h.Code != http.StatusOK || h.Body.Len() != 0 ||
		h.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
		t.Errorf("HEAD: status %d, %d bytes, headers %v", h.Code, h.Body.Len(), h.Header())
	}
	tag := w.Header().Get("Etag")
	if c := get(t, "GET", "If-None-Match", tag); c.Code != http.StatusNotModified || c.Body.Len() != 0 {
		t.Errorf("with the tag %s: status %d, %d bytes", tag, c.Code, c.Body.Len())
	}
	if c := get(t, "GET", "If-None-Match", `"other"`); c.Code != http.StatusOK {
		t.Errorf("with another tag: status %d", c.Code)
	}
}

// TestPolicy checks that the policy allows what is in the document, and nothing else that runs or loads.
func TestPolicy(t *testing.T) {
	w := get(t, "GET")
	policy, document := w.Header().Get("Content-Security-Policy"), w.Body.String()
	inline := regexp.MustCompile(`(?s)<(?:script|style)>(.*?)</(?:script|style)>`).FindAllStringSubmatch(document, -1)
	if len(inline) != len(scripts)+1 {
		t.Errorf("the document has %d scripts and styles, want %d", len(inline), len(scripts)+1)
	}
	for _, m := range inline {
		sum := sha256.Sum256([]byte(m[1]))
		if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, hash) {
			t.Errorf("the policy lacks the hash %s of a part that begins with %.60q", hash, m[1])
		}
	}
	if n := strings.Count(policy, "'sha256-"); n != len(inline) {
		t.Errorf("the policy has %d hashes for %d parts", n, len(inline))
	}
	for _, want := range []string{"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'",
		"require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy allows too much: %s", policy)
	}
	for _, bad := range []string{"<script ", " src=", "innerHTML", "insertAdjacentHTML", "document.write", "eval(",
		`style="`, " onclick=", "@import", "url("} {
		if strings.Contains(document, bad) {
			t.Errorf("the document contains %q", bad)
		}
	}
	for _, m := range regexp.MustCompile(`(?:href|action)="(https?:[^"]*|//[^"]*)"`).FindAllString(document, -1) {
		t.Errorf("the document points elsewhere: %s", m)
	}
}

// TestParts checks that no file of the page is left out.
func TestParts(t *testing.T) {
	list, err := fs.ReadDir(files, "page")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != len(scripts)+2 {
		t.Errorf("the page has %d files, of which %d are in the document", len(list), len(scripts)+2)
	}
}
