//go:build linux && (amd64 || arm64)

package drv_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/fake"
)

// TestBadPacket has firmware refuse a packet: the error names the kernel, and everything can be given back.
func TestBadPacket(t *testing.T) {
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100")}})
	p, err := drv.NewProcess(m, drv.Options{Lookup: noEnv})
	must(t, err)
	d := device(t, p, 0)
	err = d.BadPacket()
	if !errors.Is(err, drv.ErrLost) || !strings.Contains(err.Error(), "invalid size of workgroups") ||
		!strings.Contains(err.Error(), "blocks [2048 1 1]") {
		t.Errorf("a packet with workgroups of 2048: %v", err)
	}
	must(t, d.Close(), p.Close())
	for _, v := range m.Shutdown() {
		if v.Rule != "bad-packet" { // which is what was done
			t.Error(v)
		}
	}
}

// TestStall has a queue that waits for ever: the watchdog ends the wait in time.
func TestStall(t *testing.T) {
	m := fake.New(fake.Config{GPUs: []fake.GPU{fake.Card("gfx1100")}})
	p, err := drv.NewProcess(m, drv.Options{Lookup: noEnv, Timeout: 3 * time.Second})
	must(t, err)
	d := device(t, p, 0)
	start := m.Now()
	err = d.Stall()
	if took := m.Now() - start; !errors.Is(err, drv.ErrHang) || took < 3*time.Second || took > 4*time.Second {
		t.Errorf("a queue that waits for ever, after %v: %v", took, err)
	}
	if err := d.Stall(); !errors.Is(err, drv.ErrLost) {
		t.Errorf("the second time: %v", err)
	}
	m.Shutdown() // what a hung queue uses is left to the end of the process
}

// TestBootTime counts the time in suspend.
func TestBootTime(t *testing.T) {
	p, m := process(t, fake.Config{}, drv.Options{})
	d := device(t, p, 0)
	before, err := d.BootTime()
	must(t, err)
	m.Suspend(time.Hour)
	after, err := d.BootTime()
	must(t, err, d.Close())
	if took := after - before; took < time.Hour || took > time.Hour+time.Minute {
		t.Errorf("an hour in suspend took %v", took)
	}
}
