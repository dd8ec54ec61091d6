package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestKFDProcesses says what processes are to do, and what comes of those that fail.
func TestKFDProcesses(t *testing.T) {
	for _, x := range []struct {
		fail        string // a part of the command line that fails
		destructive bool
		want        string // in the report
		runs        int
	}{
		{"", false, "OK   two processes at once", 5},
		{"", true, "OK   hang, and a process after it", 11},
		{"hip:1", false, "no answer of hip:1", 5},
		{"--device cpu", false, "answer FAIL", 2},
		{"run --device kfd:1", false, "answer FAIL", 1},
		{"--only soak --soak 500", false, "FAIL two processes at once", 5},
		{"--only packet", true, "FAIL packet, and a process after it", 6},
		{"--only soak --soak 100", true, "a new process: ", 7},
	} {
		var out bytes.Buffer
		var mu sync.Mutex
		var runs []string
		k := &kfdProcesses{&out, 1, func(_ context.Context, args ...string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			line := strings.Join(args, " ")
			runs = append(runs, line)
			if x.fail != "" && strings.Contains(line, x.fail) {
				return "what it printed", errors.New("it failed")
			}
			return "a story\n", nil
		}}
		err := k.all(t.Context(), 500, x.destructive)
		if failed := x.fail != "" && x.fail != "hip:1"; (err != nil) != failed || !strings.Contains(out.String(), x.want) {
			t.Errorf("%q: %v\n%s", x.fail, err, out.String())
		}
		if len(runs) != x.runs {
			t.Errorf("%q: %d processes, want %d:\n%s", x.fail, len(runs), x.runs, strings.Join(runs, "\n"))
		}
		if i := slices.Index(runs, "doctor --kfd --device kfd:1 --only soak --soak 500"); x.runs > 2 && i != 3 {
			t.Errorf("%q: the first soak is process %d of\n%s", x.fail, i, strings.Join(runs, "\n"))
		}
	}
	other := &kfdProcesses{&bytes.Buffer{}, 0, func(_ context.Context, args ...string) (string, error) {
		return strings.Join(args, " "), nil // another answer on each device
	}}
	if err := other.all(t.Context(), 2, false); err == nil || !strings.Contains(err.Error(), "different answers") {
		t.Errorf("different answers: %v", err)
	}
}
