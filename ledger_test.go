package hipengine

import (
	"errors"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

// small is a CPU that says how much of its memory is free.
type small struct {
	*cpu.Device
	free int64
}

func (d *small) Caps() ops.Caps {
	c := d.Device.Caps()
	c.Free = func() (int64, error) { return d.free, nil }
	return c
}

// TestLedger opens two models on a device that has memory for one of them and a half.
func TestLedger(t *testing.T) {
	d := &small{free: 1 << 40}
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	h.opener.cpu = func(o cpu.Options) ops.Device {
		d.Device = cpu.New(o)
		return d
	}
	if m := h.Memory(); m.Planned != 0 || m.Free != -1 {
		t.Errorf("before the first model: %+v", m)
	}
	o := Options{Context: 256, Sequences: 2}
	first := openModel(t, h, Ember, o)
	one := h.Memory()
	if one.Device != "cpu" || one.Free != d.free || len(one.Models) != 1 || one.Models[0].Model != Ember ||
		one.Planned <= one.Used || one.Used <= first.WeightBytes() {
		t.Errorf("with one model of %d bytes of weights: %+v", first.WeightBytes(), one)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if m := h.Memory(); m.Planned != 0 || m.Used != 0 || len(m.Models) != 0 {
		t.Errorf("after its close: %+v", m)
	}

	// The device does not notice what the first model takes, as an operating system that hands out memory late.
	d.free = one.Planned * 3 / 2
	first = openModel(t, h, Ember, o)
	_, err := h.Open(t.Context(), files[1], Options{Context: 4096, Sequences: 64})
	var e *MemoryError
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no MemoryError", err)
	}
	if e.Model != "ember-Q4_K_M" || e.Device != "cpu" || e.Free != d.free-one.Planned || e.Need <= e.Free ||
		len(e.Others) != 1 || e.Others[0] != one.Models[0] {
		t.Errorf("%+v", e)
	}
	for _, want := range []string{"does not fit on cpu", "promised to other models: ember "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %q", want, err)
		}
	}
	if m := h.Memory(); m.Planned != one.Planned {
		t.Errorf("the refused model left %+v", m)
	}

	// The device notices all that was taken, and what others took.
	d.free = one.Planned - one.Used
	if _, err := h.Open(t.Context(), files[1], o); !errors.As(err, &e) || e.Free != 0 {
		t.Errorf("with nothing left but the plans of the first model: %v, %d bytes free", err, e.Free)
	}
	d.free = one.Planned * 3 / 2
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openModel(t, h, Ember, o)
}
