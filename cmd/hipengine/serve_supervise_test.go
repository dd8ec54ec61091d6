//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// worker returns the process id of the server's worker.
func (s *service) worker(t *testing.T) int {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.Process.Pid))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			return pid
		}
	}
	t.Fatal("the server has no worker")
	return 0
}

// TestSupervised kills the worker of a server as a GPU runtime would, gets an answer of the next one, and stops the
// server in the middle of a stream.
func TestSupervised(t *testing.T) {
	s := launch(t, "--supervise", "always")
	lines, cancel := s.stream(t, 4000)
	first := s.worker(t)
	if err := syscall.Kill(first, syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if !strings.Contains(last, `"code":"worker_down"`) {
		t.Errorf("the stream of a worker that died ends with %q, %v", last, lines.Err())
	}
	cancel()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz: %d", resp.StatusCode)
		}
	}
	if s.worker(t) == first {
		t.Error("the worker that died is there")
	}
	lines, cancel = s.stream(t, 100)
	defer cancel()
	s.signal(t)
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if last != "data: [DONE]" {
		t.Errorf("the stream ended with %q, %v", last, lines.Err())
	}
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// TestSupervisedStopAtOnce sends a second signal: neither the server nor its worker waits for the stream.
func TestSupervisedStopAtOnce(t *testing.T) {
	s := launch(t, "--supervise", "always", "--drain-delay", "1m")
	_, cancel := s.stream(t, 400)
	defer cancel()
	worker := s.worker(t)
	s.signal(t)
	time.Sleep(100 * time.Millisecond)
	s.signal(t)
	err := s.exit(t, 5*time.Second)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("exit: %v", err)
	}
	for range 500 {
		if syscall.Kill(worker, 0) != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the worker outlives the server")
}

// TestSupervisedFails passes on what a worker that cannot start says, and its exit code.
func TestSupervisedFails(t *testing.T) {
	r := process(t, "", "serve", "--port", "0", "--device", "cpu", "--supervise", "always", "--kv-type", "f8")
	if r.code != exitUsage || strings.Count(r.errOut, "--kv-type") != 1 || strings.Contains(r.errOut, "worker") {
		t.Errorf("exit code %d: %s", r.code, r.errOut)
	}
}

// TestSupervisedAuto supervises where a GPU may be used.
func TestSupervisedAuto(t *testing.T) {
	for _, c := range []struct {
		device, profile string
		gpu, want       bool
	}{
		{"auto", "", false, false}, {"auto", "", true, true}, {"auto", "cpu", true, false}, {"cpu", "", true, false},
		{"ref", "", true, false}, {"emu:gfx1100", "", true, false}, {"hip:0", "", false, true},
		{"cuda:1", "", false, true},
		{"hip:0", "cpu", true, false}, {"cpu,hip:0", "", false, true}, {"cpu,cpu", "", true, false},
	} {
		cmd := serveCmd{Supervise: "auto"}
		cmd.Device = c.device
		if got, err := cmd.supervised(c.profile, nil, func() bool { return c.gpu }); got != c.want || err != nil {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	own := serveCmd{Supervise: "auto"}
	own.Device = "cpu"
	if got, err := own.supervised("", []string{"cpu", "cpu,cuda:0"}, nil); !got || err != nil {
		t.Errorf("a model on a GPU: %v, %v", got, err)
	}
	cmd := serveCmd{Supervise: "always"}
	if _, err := cmd.supervised("cpu", nil, hasGPU); err == nil || !isUsage(err) {
		t.Errorf("always with a profile: %v", err)
	}
}
