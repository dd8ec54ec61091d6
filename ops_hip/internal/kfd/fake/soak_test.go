//go:build linux

package fake

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// Ten thousand launches and a thousand replays of a graph take nothing that they do not give back, and neither do a
// hundred processes one after the other.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves ten thousand launches to make long")
	}
	m := newMachine(t, Config{OneMemory: true, Seed: 3})
	p, d, err := openOn(m)
	if err != nil {
		t.Fatal(err)
	}
	x := &scenario{d: d}
	for _, f := range []func() error{x.memory, x.copies, func() error { return x.module("gfx1100") }, x.graph} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	held := m.Usage()
	if err := x.random(10_000); err != nil {
		t.Error(err)
	}
	for range 1000 {
		if err := x.g.Launch(x.s); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.s.Sync(); err != nil {
		t.Error(err)
	}
	if now := m.Usage(); now != held {
		t.Errorf("the process holds %+v after the work and %+v before", now, held)
	}
	if n := len(m.gpus[0].signals) + len(m.gpus[0].queues[0].kernargs); n != 0 {
		t.Errorf("%d signals and arguments are outstanding", n)
	}
	if err := errors.Join(x.close(), p.Close()); err != nil {
		t.Error(err)
	}
	for _, v := range m.Shutdown() {
		t.Error(v)
	}
}

// random starts kernels that fill pieces of random sizes at random places, and checks all bytes now and then.
func (x *scenario) random(n int) error {
	r := rand.New(rand.NewPCG(5, 5))
	data, base := x.part(argsBytes, dataBytes)
	want := make([]byte, dataBytes)
	copy(want, data)
	const slots = argsBytes / 64
	for i := range n {
		if i%slots == 0 {
			if err := errors.Join(x.s.Sync(), same(fmt.Sprintf("after %d launches", i), data, want)); err != nil {
				return err
			}
		}
		at := r.IntN(dataBytes)
		size, value := 1+r.IntN(min(300, dataBytes-at)), byte(r.Uint32())
		if err := x.launch(x.args(i%slots, base+uint64(at), uint64(size), value)); err != nil {
			return err
		}
		fill(want[at:at+size], value)
	}
	return errors.Join(x.s.Sync(), same("at the end", data, want))
}

func TestManyProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves a hundred processes to make long")
	}
	m := newMachine(t, Config{Kernel: Linux612, Code: NewCodeCache()})
	var before, after runtime.MemStats
	for i := range 100 {
		p, d, err := openOn(m)
		if err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		if err := errors.Join(d.Close(), p.Close()); err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		m.Restart()
		if i == 10 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if d := int64(after.HeapAlloc) - int64(before.HeapAlloc); d > 4<<20 {
		t.Errorf("90 processes leave %d bytes on the heap", d)
	}
	for _, v := range m.Shutdown() {
		t.Error(v)
	}
}
