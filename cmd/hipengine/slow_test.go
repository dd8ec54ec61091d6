//go:build slow

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSlowHTTP lets slowhttptest, the program, open hundreds of connections to a server that speaks with Ember:
// headers and bodies that drip in, and answers that are read byte by byte. Others are answered meanwhile, nothing of
// it reaches the engine, and in the end all connections are closed.
func TestSlowHTTP(t *testing.T) {
	program, err := exec.LookPath("slowhttptest")
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, "--admin-key", "boss")
	files := func() int {
		list, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(s.Process.Pid), "fd"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if status, answer := askFrance(t, s.url, "ember"); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	before := files()
	const clients = 400 // of 512 connections that may be open
	common := []string{"-c", fmt.Sprint(clients), "-r", fmt.Sprint(clients), "-p", "5"}
	for name, args := range map[string][]string{
		"headers": {"-H", "-i", "1", "-l", "20", "-t", "POST", "-u", s.url + "/v1/chat/completions"},
		"bodies":  {"-B", "-i", "1", "-l", "40", "-s", "100000", "-t", "POST", "-u", s.url + "/v1/chat/completions"},
		"readers": {"-X", "-l", "20", "-w", "1", "-y", "16", "-n", "2", "-z", "1", "-k", "3", "-u",
			s.url + "/metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			attack := exec.Command(program, append(args, common...)...)
			out := &strings.Builder{}
			attack.Stdout, attack.Stderr = out, out
			if err := attack.Start(); err != nil {
				t.Fatal(err)
			}
			over := make(chan error, 1)
			go func() { over <- attack.Wait() }()
			most, slowest, answers := 0, time.Duration(0), 0
			for running := true; running; {
				select {
				case err := <-over:
					running = false
					if err != nil {
						t.Errorf("slowhttptest: %v\n%s", err, out)
					}
				case <-time.After(200 * time.Millisecond):
				}
				start := time.Now()
				if status, answer := askFrance(t, s.url, "ember"); status != 200 ||
					!strings.Contains(answer, "Paris") {
					t.Errorf("beside slow %s: %d %s", name, status, answer)
				}
				answers++
				most, slowest = max(most, files()-before), max(slowest, time.Since(start))
			}
			t.Logf("%d answers beside up to %d slow connections, the slowest in %v", answers, most, slowest)
			if most < clients/2 {
				t.Errorf("only %d connections were open at once: that is no attack\n%s", most, out)
			}
			if slowest > 5*time.Second {
				t.Errorf("an answer took %v", slowest)
			}
			r := command(t, "", "ps", "--url", s.url, "--admin-key", "boss", "--json")
			if !strings.Contains(r.out, `"requests":0,"requests_loading":0,"running":0,"waiting":0`) {
				t.Errorf("slow %s reached the engine: %s %s", name, r.out, r.errOut)
			}
			for end := time.Now().Add(time.Minute); files() > before+4; time.Sleep(100 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d files are open, %d were before", files(), before)
				}
			}
		})
	}
	s.signal(t)
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
}
