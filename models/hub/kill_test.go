package hub

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/hipengine/hipengine/internal/hubtest"
)

// TestMain lets the test binary pull, so that tests can kill a process that does.
func TestMain(m *testing.M) {
	if endpoint := os.Getenv("HUB_TEST_PULL"); endpoint != "" {
		client := &Client{Endpoint: endpoint, chunk: 32 << 10}
		r, err := ParseRef("hf:a/b:BF16")
		if err == nil {
			_, err = client.Pull(context.Background(), Cache{os.Getenv("HUB_TEST_CACHE")}, r)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestKill kills a pull at 20 random points: each goes on where the one before was, and the last ends with the right
// bytes.
func TestKill(t *testing.T) {
	const size = 4 << 20
	kills := 20
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most kills to make long")
		kills = 6
	}
	h := hubtest.New(t, map[string][]byte{"b-BF16-00001-of-00002.gguf": random(size, 1),
		"b-BF16-00002-of-00002.gguf": random(size/2, 2)})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cache := Cache{t.TempDir()}
	var process atomic.Pointer[os.Process]
	var left, sent atomic.Int64 // bytes until the process dies, and in all
	h.Served = func(n int) {
		sent.Add(int64(n))
		if left.Add(-int64(n)) <= 0 {
			if p := process.Swap(nil); p != nil {
				p.Kill()
			}
		}
	}
	pull := func(after int64) (killed bool) {
		t.Helper()
		left.Store(after)
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "HUB_TEST_PULL="+h.URL, "HUB_TEST_CACHE="+cache.Dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		process.Store(cmd.Process)
		err := cmd.Wait()
		process.Store(nil)
		if err != nil && cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("%v: %s", err, out.String())
		}
		return err != nil
	}
	random := rand.New(rand.NewPCG(20, 1))
	r := mustRef(t, "hf:a/b:BF16")
	for n := 0; n < kills; {
		if !pull(1 + random.Int64N(size/4)) { // it was done before: from the start
			whatIsThere(t, cache)
			if _, err := cache.Remove(r); err != nil {
				t.Fatal(err)
			}
			continue
		}
		n++
		if models, err := cache.List(); err != nil || len(models) != 0 {
			t.Fatalf("after kill %d there is %v, %v", n, models, err)
		}
	}
	pull(1 << 40)
	path, err := cache.Find(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range h.Files {
		b, err := os.ReadFile(path[:len(path)-len(name)] + name)
		if err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	whatIsThere(t, cache)
	t.Logf("%d kills, %d bytes sent", kills, sent.Load())
}
