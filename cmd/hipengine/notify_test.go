//go:build linux

package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNotify plays the service manager: a server says that it is ready when requests are answered, and that it stops,
// once each, whether or not it computes in a worker.
func TestNotify(t *testing.T) {
	for _, supervise := range []string{"never", "always"} {
		t.Run(supervise, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "notify")
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			next := func() string {
				b := make([]byte, 256)
				if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
					t.Fatal(err)
				}
				n, err := c.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				return string(b[:n])
			}
			t.Setenv("NOTIFY_SOCKET", socket)
			s := launch(t, "--supervise", supervise)
			if got := next(); got != "READY=1" {
				t.Errorf("first %q", got)
			}
			resp, err := http.Get(s.url + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("/readyz answers %d", resp.StatusCode)
			}
			if out := printed(t, "health", "--url", s.url); out != "ready\n" {
				t.Errorf("health says %q", out)
			}
			s.signal(t)
			if got := next(); got != "STOPPING=1" {
				t.Errorf("then %q", got)
			}
			if err := s.exit(t, 30*time.Second); err != nil {
				t.Errorf("exit: %v", err)
			}
			if code := run([]string{"health", "--url", s.url},
				stdio{strings.NewReader(""), io.Discard, io.Discard}); code != exitFailed {
				t.Errorf("health of a server that stopped exits with %d", code)
			}
		})
	}
}
