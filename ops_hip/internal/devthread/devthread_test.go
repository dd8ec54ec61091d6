package devthread

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

// Functions run one at a time and in order, whoever calls.
func TestOneAtATime(t *testing.T) {
	th, err := Start(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	n := 0 // not synchronized but by the thread
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			last := -1
			for range 100 {
				var now int
				if err := th.Do(t.Context(), func() error { n++; now = n; return nil }); err != nil {
					t.Error(err)
				}
				if now <= last {
					t.Errorf("%d ran after %d", now, last)
				}
				last = now
			}
		})
	}
	wg.Wait()
	th.Close()
	th.Close()
	if n != 800 {
		t.Errorf("%d calls, want 800", n)
	}
	if err := th.Do(t.Context(), func() error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("error after Close is %v", err)
	}
}

func TestErrorsAndPanics(t *testing.T) {
	boom := errors.New("boom")
	if _, err := Start(func() error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Start returned %v", err)
	}
	th, err := Start(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	if err := th.Do(t.Context(), func() error { return boom }); err != boom {
		t.Errorf("error %v", err)
	}
	var p *PanicError
	err = th.Do(t.Context(), func() error { panic("kaputt") })
	if !errors.As(err, &p) || p.Value != "kaputt" || !strings.Contains(string(p.Stack), "devthread_test.go") ||
		!strings.Contains(err.Error(), "kaputt") {
		t.Errorf("error %v", err)
	}
	if err := th.Do(t.Context(), func() error { return nil }); err != nil {
		t.Errorf("the thread did not survive a panic: %v", err)
	}
}

// A cancelled caller returns; a function that has started goes on, one that has not does not run.
func TestCancel(t *testing.T) {
	th, err := Start(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	ctx, cancel := context.WithCancel(t.Context())
	started, gate, done := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		<-started
		cancel()
	}()
	err = th.Do(ctx, func() error {
		close(started)
		<-gate
		close(done)
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := th.Do(ctx, func() error { t.Error("ran after its caller was cancelled"); return nil }); !errors.Is(err,
		context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(gate)
	<-done
	if err := th.Do(t.Context(), func() error { return nil }); err != nil {
		t.Error(err)
	}
}

func BenchmarkDo(b *testing.B) {
	th, err := Start(func() error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	defer th.Close()
	f := func() error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		_ = th.Do(context.Background(), f)
	}
}
