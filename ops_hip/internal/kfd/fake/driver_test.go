//go:build linux

package fake

import (
	"testing"
)

// The driver does right on every kernel, every kind of machine and with every choice that firmware has: no rule is
// broken, nothing is left.
func TestDriver(t *testing.T) {
	code := NewCodeCache()
	large := Card("gfx1100")
	large.LargeBAR = true
	machines := map[string]Config{
		"6.8 gfx1100": {Kernel: Linux68}, "6.12 gfx1151": {Kernel: Linux612, GPUs: []GPU{Card("gfx1151")}},
		"6.12 fixed gfx1151":   {Kernel: Linux612Fixed, GPUs: []GPU{Card("gfx1151")}},
		"7.2 gfx1201":          {GPUs: []GPU{Card("gfx1201")}},
		"large BAR":            {GPUs: []GPU{large}},
		"read index first":     {ReadIndexFirst: true, KeepHeaders: true},
		"headers stay":         {KeepHeaders: true},
		"one memory":           {OneMemory: true},
		"packets step by step": {Manual: true},
		"two GPUs":             twoGPUs,
		"peers":                peers(),
		"gap in the topology":  {GPUs: []GPU{{Target: "gfx1201", CUs: 64, VRAM: 1 << 30, GTT: 1 << 30, Node: 7}}},
	}
	for _, target := range []string{"gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1200"} {
		machines["7.2 "+target] = Config{GPUs: []GPU{Card(target)}}
	}
	for name, cfg := range machines {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "6.12 gfx1151" && name != "read index first" && name != "7.2 gfx1201" {
				t.Skip("-short leaves most machines to make long")
			}
			cfg.Code = code
			m := newMachine(t, cfg)
			for range 2 {
				if err := run(m, m.cfg.GPUs[0].Target); err != nil {
					t.Errorf("%v; %v", err, m.KernelFault())
				}
				m.Restart()
			}
			for _, v := range m.Shutdown() {
				t.Error(v)
			}
		})
	}
}
