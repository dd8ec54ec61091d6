package serve

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
)

func TestRoot(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, noPage := range []bool{false, true} {
		s := open(t, &fake.Runner{}, func(c *Config) { c.NoPage, c.Version, c.APIKeys = noPage, "1.2", []string{"k"} })
		for _, c := range []struct {
			method, accept string
			page           bool
		}{
			{"GET", browser, !noPage}, {"HEAD", browser, !noPage}, {"GET", "*/*", false}, {"HEAD", "", false},
			{"GET", "application/json", false}, {"GET", "application/json, text/html; q=0", false},
			{"GET", "TEXT/HTML;q=0.5", !noPage},
		} {
			status, h, body := s.call(t, c.method, "/", "", "Accept", c.accept)
			want, kind := `{"name":"hipengine","version":"1.2","api":"/openapi.json"}`+"\n", "application/json"
			if c.page {
				want, kind = "<!doctype html>", "text/html; charset=utf-8"
			}
			if c.method == "HEAD" {
				want = ""
			}
			if status != 200 || !strings.HasPrefix(body, want) || h.Get("Content-Type") != kind ||
				(h.Get("Content-Security-Policy") != "") != c.page ||
				h.Get("Vary") != "Accept" {
				t.Errorf("without a page %v: %s with Accept %q: status %d, headers %v, body %.80q", noPage, c.method,
					c.accept, status, h, body)
			}
		}
		if status, _, body := s.call(t, "POST", "/", ""); status != 405 {
			t.Errorf("POST: %d %s", status, body)
		}
		if status, _, body := s.call(t, "GET", "/nothing", "", "Accept", browser); status != 404 {
			t.Errorf("another path: %d %s", status, body)
		}
	}
}
