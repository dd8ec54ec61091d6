package check

import "testing"

func TestWaits(t *testing.T) {
	var w Waits
	load := func(reg int, c Counter) { w.LoadV(reg, c, w.Issue(c, false), None, 0) }
	pending := func(reg int, want bool) {
		t.Helper()
		if got := w.V(reg, None) != ""; got != want {
			t.Errorf("v%d pending: %v, want %v", reg, got, want)
		}
	}
	load(1, VM)
	load(2, VM)
	load(3, VM)
	pending(1, true)
	w.Wait(VM, 2)
	pending(1, false)
	pending(2, true)
	w.Wait(VM, 5) // says nothing
	pending(2, true)
	w.Wait(LGKM, 0) // another counter
	pending(3, true)
	if w.V(3, VM) != "" {
		t.Error("a load may overwrite the destination of a load on the same counter")
	}
	w.Wait(VM, 0)
	pending(3, false)

	// scalar loads come back in any order: only zero says that one is there
	w.LoadS(4, LGKM, w.Issue(LGKM, true))
	load(5, LGKM)
	w.Wait(LGKM, 1)
	if w.S(4) == "" {
		t.Error("a scalar load counts as complete after a wait for 1")
	}
	w.Wait(LGKM, 0)
	if w.S(4) != "" {
		t.Error("a scalar load is pending after a wait for 0")
	}
	pending(5, false)

	// a flat load waits for both of its counters
	w.LoadV(6, VM, w.Issue(VM, false), DS, w.Issue(DS, false))
	w.Wait(VM, 0)
	pending(6, true)
	w.Wait(DS, 0)
	pending(6, false)
}

func TestLDSRaces(t *testing.T) {
	type step struct {
		wave, epoch, until int
		addr               uint32
		n                  int
		write, atomic      bool
	}
	tests := []struct {
		name  string
		steps []step
		race  bool
	}{
		{"write then read by another wave", []step{{0, 0, 0, 8, 4, true, false}, {1, 0, 0, 8, 4, false, false}}, true},
		{"read then write by another wave", []step{{0, 0, 0, 8, 4, false, false}, {1, 0, 0, 8, 4, true, false}}, true},
		{"a barrier in between", []step{{0, 0, 0, 8, 4, true, false}, {1, 1, 1, 8, 4, false, false}}, false},
		{"the same wave", []step{{0, 0, 0, 8, 4, true, false}, {0, 0, 0, 8, 4, false, false}}, false},
		{"two readers", []step{{0, 0, 0, 8, 4, false, false}, {1, 0, 0, 8, 4, false, false}}, false},
		{"two readers, one writes",
			[]step{{0, 0, 0, 8, 4, false, false}, {1, 0, 0, 8, 4, false, false}, {1, 0, 0, 8, 4, true, false}}, true},
		{"neighbouring bytes", []step{{0, 0, 0, 8, 1, true, false}, {1, 0, 0, 9, 1, true, false}}, false},
		{"overlapping bytes", []step{{0, 0, 0, 8, 4, true, false}, {1, 0, 0, 11, 1, true, false}}, true},
		{"two atomics", []step{{0, 0, 0, 8, 4, true, true}, {1, 0, 0, 8, 4, true, true}}, false},
		{"an atomic and a read", []step{{0, 0, 0, 8, 4, true, true}, {1, 0, 0, 8, 4, false, false}}, true},
		{"between signal and wait", []step{{0, 0, 1, 8, 4, true, false}, {1, 1, 1, 8, 4, false, false}}, true},
	}
	for _, c := range tests {
		l := NewLDS(Options{Races: true}, 64)
		race := false
		for _, s := range c.steps {
			if _, r := l.Access(s.wave, s.epoch, s.until, s.addr, s.n, s.write, s.atomic); r != "" {
				race = true
			}
		}
		if race != c.race {
			t.Errorf("%s: race %v, want %v", c.name, race, c.race)
		}
	}
	l := NewLDS(Options{Races: true}, 64)
	l.Access(0, 0, 0, 8, 4, true, false)
	l.Extend(0, 1, 8, 4, true) // the store was in flight at the barrier
	if _, race := l.Access(1, 1, 1, 8, 4, false, false); race == "" {
		t.Error("a store in flight across a barrier is not a race")
	}
}

func TestPoison(t *testing.T) {
	l := NewLDS(Options{Poison: true}, 16)
	if p, _ := l.Access(0, 0, 0, 4, 4, false, false); !p {
		t.Error("a read of unwritten LDS passes")
	}
	l.Access(0, 0, 0, 4, 2, true, false)
	if p, _ := l.Access(0, 0, 0, 4, 2, false, false); p {
		t.Error("a read of written LDS fails")
	}
	if p, _ := l.Access(0, 0, 0, 4, 4, false, false); !p {
		t.Error("a read of half-written LDS passes")
	}
	var r Registers
	r.SetV(7, 0x0f)
	if r.V(7, 0x05) != -1 || r.V(7, 0x31) != 4 || r.V(8, 1) != 0 {
		t.Error("written lanes are not told apart")
	}
	r.PutV(7, 0xff, 0xf0)
	if r.Lanes(7) != 0xf0 {
		t.Errorf("lanes %#x after a copy, want 0xf0", r.Lanes(7))
	}
	r.SetS(106)
	if !r.S(106) || r.S(107) {
		t.Error("scalar registers are not told apart")
	}
	r.PutS(106, false)
	if r.S(106) {
		t.Error("a copy of poison counts as written")
	}
}
