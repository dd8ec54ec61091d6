//go:build linux

package fake

import (
	"strings"
	"syscall"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// A process that does everything right breaks no rule and leaves nothing.
func TestClean(t *testing.T) {
	for _, k := range []Kernel{Linux68, Linux612, Linux612Fixed, Linux72} {
		for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
			m := newMachine(t, Config{Kernel: k, GPUs: []GPU{Card(target)}})
			for range 2 {
				c := newClient(t, m)
				c.ready()
				c.start()
				s, at := c.signal(0)
				c.put((&abi.BarrierAnd{Header: abi.HeaderBarrierSystem, Completion: at}).Packet())
				c.submit()
				if r := c.wait(1000); r != abi.WaitComplete || s.Value != 0 || s.Start == 0 || s.End < s.Start {
					t.Errorf("%s, %s: result %d, signal %+v", k.Name, target, r, *s)
				}
				if got := c.queue.ReadDispatchID; got != 1 {
					t.Errorf("%s, %s: read_dispatch_id is %d, want 1", k.Name, target, got)
				}
				c.stop()
				m.Restart()
			}
			for _, v := range m.Shutdown() {
				t.Errorf("%s, %s: %v", k.Name, target, v)
			}
		}
	}
}

func TestTree(t *testing.T) {
	m := newMachine(t, Config{GPUs: []GPU{Card("gfx1151"), {Target: "gfx1201", CUs: 64, VRAM: 1 << 30, Node: 5}}})
	names, err := m.ReadDir("/sys/devices/virtual/kfd/kfd/topology/nodes")
	if err != nil || strings.Join(names, " ") != "0 1 5" {
		t.Errorf("nodes: %v, %v", names, err)
	}
	b, err := m.ReadFile("/sys/devices/virtual/kfd/kfd/topology/nodes/1/properties")
	if err != nil || !strings.Contains(string(b), "gfx_target_version 110501\n") ||
		!strings.Contains(string(b), "cwsr_size 19185664\n") {
		t.Errorf("properties: %v\n%s", err, b)
	}
	m.SetProperty(0, "cwsr_size", 7)
	if b, _ := m.ReadFile("/sys/devices/virtual/kfd/kfd/topology/nodes/1/properties"); !strings.Contains(string(b),
		"\ncwsr_size 7\n") {
		t.Errorf("SetProperty has not changed\n%s", b)
	}
	m.Deny("/sys/devices/virtual/kfd/kfd/topology/nodes/5/gpu_id", syscall.EPERM)
	_, err = m.ReadFile("/sys/devices/virtual/kfd/kfd/topology/nodes/5/gpu_id")
	expect(t, "a denied file", err, syscall.EPERM)
	m.RemoveFiles("/dev/kfd")
	_, err = m.Open("/dev/kfd", syscall.O_RDWR)
	expect(t, "open", err, syscall.ENOENT)
	tripped(t, m)
}

// Time that nobody would use is skipped.
func TestClock(t *testing.T) {
	m := newMachine(t, Config{})
	before := m.Now()
	m.Sleep(9e9)
	if d := m.Now() - before; d < 9e9 || d > 12e9 {
		t.Errorf("a sleep of 9 s took %v of simulated time", d)
	}
	tripped(t, m)
}

// What is left at the end is a violation: check 21.
func TestLeaks(t *testing.T) {
	m := newMachine(t, Config{})
	c := newClient(t, m)
	c.ready()
	c.start()
	c.must("close", m.Close(c.kfd))
	tripped(t, m, "close-live")
	text := ""
	for _, v := range m.Shutdown() {
		text += v.String() + "\n"
	}
	for _, want := range []string{"queue 1 exists", "was not freed", "event 1 exists", "is open", "are mapped (buffer)",
		"are mapped (doorbells)", "closed before RUNTIME_ENABLE"} {
		if !strings.Contains(text, want) {
			t.Errorf("no violation with %q in\n%s", want, text)
		}
	}
}
