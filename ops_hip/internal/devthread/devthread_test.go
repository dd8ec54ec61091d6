package devthread

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func nothing() error { return nil }

// Functions run one at a time and in order, whoever calls.
func TestOneAtATime(t *testing.T) {
	th, err := Start(nothing, nothing)
	if err != nil {
		t.Fatal(err)
	}
	n := 0 // not synchronized but by the thread
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			last := -1
			for i := range 100 {
				var now int
				count := func() error { n++; now = n; return nil }
				do := []func() error{
					func() error { return th.Do(t.Context(), count) },
					func() error { return th.DoFor(t.Context(), time.Millisecond, count) },
					func() error { return th.Here(count) },
				}[i%3]
				if err := do(); err != nil {
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
	for _, err := range []error{th.Do(t.Context(), nothing), th.Here(nothing)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("error after Close is %v", err)
		}
	}
}

func TestErrorsAndPanics(t *testing.T) {
	boom := errors.New("boom")
	if _, err := Start(nothing, func() error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Start returned %v", err)
	}
	th, err := Start(nothing, nothing)
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
	th, err := Start(nothing, nothing)
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

// A function may take shorter or longer than expected, and its caller may give up at any time.
func TestExpected(t *testing.T) {
	th, err := Start(nothing, nothing)
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	boom := errors.New("boom")
	for _, takes := range []time.Duration{1, time.Millisecond, 5 * time.Millisecond, time.Hour} {
		for _, really := range []time.Duration{0, 3 * time.Millisecond} {
			err := th.DoFor(t.Context(), takes, func() error { time.Sleep(really); return boom })
			if !errors.Is(err, boom) {
				t.Errorf("expected %v, took %v: error %v", takes, really, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		gate := make(chan bool)
		err := th.DoFor(ctx, takes, func() error { <-gate; return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("expected %v: error %v, want that of the context", takes, err)
		}
		cancel()
		close(gate)
	}
}

// Here makes the caller's thread the device's first, and survives panics.
func TestHere(t *testing.T) {
	entered := 0
	th, err := Start(func() error { entered++; return nil }, nothing)
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	var p *PanicError
	if err := th.Here(func() error { panic("kaputt") }); !errors.As(err, &p) {
		t.Errorf("error %v, want the panic", err)
	}
	if err := th.Here(nothing); err != nil || entered != 3 {
		t.Errorf("error %v, entered %d threads, want 3", err, entered)
	}
	refuses, err := Start(func() error {
		if entered++; entered == 4 {
			return nil
		}
		return errors.New("lost")
	}, nothing)
	if err != nil {
		t.Fatal(err)
	}
	defer refuses.Close()
	if err := refuses.Here(func() error { t.Error("ran"); return nil }); err == nil || err.Error() != "lost" {
		t.Errorf("error %v", err)
	}
}

func BenchmarkDo(b *testing.B) {
	th, err := Start(nothing, nothing)
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

func BenchmarkHere(b *testing.B) {
	th, err := Start(nothing, nothing)
	if err != nil {
		b.Fatal(err)
	}
	defer th.Close()
	b.ReportAllocs()
	for b.Loop() {
		_ = th.Here(nothing)
	}
}
