package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startServer starts the command's server on a free port and returns its process and address.
func startServer(t *testing.T, args ...string) (*os.Process, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"serve", "--port", "0", "--device", "cpu", "--log", "none"}, args...)...)
	cmd.Env = processEnv(t)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	var said strings.Builder
	for s := bufio.NewScanner(out); s.Scan(); fmt.Fprintln(&said, s.Text()) {
		if m := regexp.MustCompile(`http://[0-9.:]+`).FindString(s.Text()); m != "" {
			go io.Copy(io.Discard, out)
			return cmd.Process, m
		}
	}
	t.Fatalf("no server: %s", &said)
	return nil, ""
}

// cpuTime returns the time that the threads of a process have run.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var sum time.Duration
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		var ran time.Duration
		if _, err := fmt.Sscan(string(b), &ran); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		sum += ran
	}
	return sum
}

// TestIdleServer checks that a server that waits for requests with a model loaded leaves the processor alone: its
// threads spin between tokens, and must park after them.
func TestIdleServer(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the time that threads ran is read from /proc")
	}
	p, url := startServer(t)
	resp, err := http.Post(url+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"ember","messages":[{"role":"user","content":"What is the capital of France?"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s, %v", resp.StatusCode, answer, err)
	}
	busy := cpuTime(t, p.Pid)
	if busy == 0 {
		t.Fatal("no thread has run")
	}
	time.Sleep(200 * time.Millisecond) // the connection's end, and the time that threads spin
	const window = 2 * time.Second
	before := cpuTime(t, p.Pid)
	time.Sleep(window)
	ran := cpuTime(t, p.Pid) - before
	t.Logf("ran %v before, then %v of %v: %.3f %% of a core", busy, ran, window, 100*ran.Seconds()/window.Seconds())
	if ran > window/200 {
		t.Errorf("ran %v of %v, more than 0.5 %% of a core", ran, window)
	}
}

// TestServeTwo serves two models, and asks each.
func TestServeTwo(t *testing.T) {
	_, url := startServer(t, "ember", "../../testdata/ember/ember-Q4_K_M.gguf")
	for _, model := range []string{"ember", "ember-Q4_K_M"} {
		resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(
			`{"model":"`+model+`","temperature":0,"messages":[{"role":"user","content":"What is the capital of France?"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), "Paris") {
			t.Errorf("%s: %d %s, %v", model, resp.StatusCode, answer, err)
		}
	}
}
