package hipengine

import (
	"errors"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

// TestProve checks that what a proven model holds is not set aside a second time, and that a busy one is refused.
func TestProve(t *testing.T) {
	d := &small{free: 1 << 40}
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	h.opener.cpu = func(o cpu.Options) ops.Device {
		d.Device = cpu.New(o)
		return d
	}
	m := openModel(t, h, Ember, Options{Context: 256, Sequences: 2})
	whole := h.Memory()
	l := m.dev.ledger
	d.free = 1<<40 - whole.Used // the device notices what is taken
	if n := l.reserved(); n != whole.Planned-whole.Used {
		t.Errorf("%d bytes are set aside before the proof, %d are plans", n, whole.Planned-whole.Used)
	}
	if err := m.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.free = 1<<40 - whole.Planned
	if n := l.reserved(); n != 0 {
		t.Errorf("%d bytes are set aside after the proof", n)
	}
	if answer, err := ask(t.Context(), m, "What is the capital of France?", Params{}); err != nil || answer == "" {
		t.Errorf("after the proof: %q, %v", answer, err)
	}
	if _, err := m.Engine(); err != nil {
		t.Fatal(err)
	}
	if err := m.Prove(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("beside a server: %v", err)
	}
}
