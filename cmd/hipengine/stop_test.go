package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// service is a server whose end the test awaits.
type service struct {
	*exec.Cmd
	url, pprof string
	done       chan error
}

// launch starts the command's server, without the end that startServer demands.
func launch(t *testing.T, args ...string) *service {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Cmd: exec.Command(exe,
		append([]string{"serve", "--port", "0", "--device", "cpu", "--log", "none"}, args...)...),
		done: make(chan error, 1)}
	s.Env = processEnv(t)
	out, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill() })
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); fmt.Fprintln(&said, lines.Text()) {
		at := regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
		switch {
		case strings.Contains(lines.Text(), "profiles on"):
			s.pprof = at
		case at != "":
			s.url = at
			go func() {
				io.Copy(io.Discard, out)
				s.done <- s.Wait()
			}()
			return s
		}
	}
	t.Fatalf("no server: %s", &said)
	return nil
}

// stream asks for an answer of n tokens, and returns the lines that follow its first event.
func (s *service) stream(t *testing.T, n int) (*bufio.Scanner, func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/completions", strings.NewReader(
		fmt.Sprintf(`{"model":"ember","prompt":"Once","max_tokens":%d,"ignore_eos":true,"stream":true}`, n)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || resp.StatusCode != 200 {
		t.Fatalf("no stream: %d %s, %v", resp.StatusCode, lines.Text(), lines.Err())
	}
	return lines, func() {
		cancel()
		resp.Body.Close()
	}
}

func (s *service) signal(t *testing.T) {
	t.Helper()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// exit returns the error of the process.
func (s *service) exit(t *testing.T, within time.Duration) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(within):
		t.Fatalf("the server runs %v after it was told to stop", within)
		return nil
	}
}

// TestStop stops a server in the middle of a stream: it is not ready at once, lets the stream end, and exits with 0.
func TestStop(t *testing.T) {
	s := launch(t, "--drain-delay", "1s")
	lines, cancel := s.stream(t, 400)
	defer cancel()
	if resp, err := http.Get(s.url + "/readyz"); err != nil || resp.StatusCode != 200 {
		t.Fatalf("before the signal: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	s.signal(t)
	time.Sleep(50 * time.Millisecond) // for the signal to arrive
	for path, want := range map[string]int{"/readyz": 503, "/health": 503, "/livez": 200, "/startupz": 200} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Errorf("%s in the drain delay: %v", path, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s in the drain delay: %d, want %d", path, resp.StatusCode, want)
		}
	}
	last, events := "", 0
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
			events++
		}
	}
	if last != "data: [DONE]" || events < 100 {
		t.Errorf("the stream ended after %d events with %q, %v", events, last, lines.Err())
	}
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// TestStopAtOnce sends a second signal, which does not wait for the stream.
func TestStopAtOnce(t *testing.T) {
	s := launch(t, "--drain-delay", "1m")
	_, cancel := s.stream(t, 400)
	defer cancel()
	s.signal(t)
	time.Sleep(100 * time.Millisecond)
	s.signal(t)
	err := s.exit(t, 5*time.Second)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("exit: %v", err)
	}
}

// TestStopSendsTraces stops a server right after a request, whose trace is not lost.
func TestStopSendsTraces(t *testing.T) {
	sent := make(chan int64, 100)
	collector := httptest.NewServer(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent <- r.ContentLength }))
	defer collector.Close()
	s := launch(t, "--otlp-endpoint", collector.URL)
	if status, answer := askFrance(t, s.url, "ember"); status != 200 {
		t.Errorf("%d %s", status, answer)
	}
	s.signal(t)
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
	select {
	case <-sent:
	default:
		t.Error("the collector got nothing")
	}
}

// TestKeyFiles locks a server with keys of a file, of which the administrator's opens /admin alone.
func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	user, admin := filepath.Join(dir, "keys"), filepath.Join(dir, "admin")
	// The hash is that of "user-key".
	const hash = "sha256:0845e3658edc1c91bfc9d172eeae3e60417056b1b7fe9909c00e05023adb7f1d"
	for path, text := range map[string]string{user: "# users\n" + hash + "\n", admin: "admin-key\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := launch(t, "--api-key-file", user, "--admin-key-file", admin, "--pprof", "127.0.0.1:0")
	for _, c := range []struct {
		url, key string
		want     int
	}{
		{s.url + "/v1/models", "user-key", 200}, {s.url + "/v1/models", "admin-key", 401},
		{s.url + "/v1/models", hash, 401},
		{s.url + "/admin/ps", "admin-key", 200}, {s.url + "/admin/ps", "user-key", 401}, {s.url + "/metrics", "", 200},
		{s.pprof + "/debug/pprof/", "", 200}, {s.url + "/debug/pprof/", "", 404},
	} {
		req, err := http.NewRequest("GET", c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s with %q: %d, want %d", c.url, c.key, resp.StatusCode, c.want)
		}
	}
	s.signal(t)
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
}
