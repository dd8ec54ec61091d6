//go:build linux && !nogpu

package hiprt

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestTopologyUnits(t *testing.T) {
	root := t.TempDir()
	for i, text := range []string{
		"cpu_cores_count 16\nsimd_count 0\nlocation_id 0\ndomain 0\n",
		"simd_count 192\nsimd_per_cu 2\nlocation_id 768\ndomain 0\n",
		"simd_count 80\nlocation_id 50177\ndomain 1\n",
		"simd_count nonsense\nlocation_id 1024\ndomain 0\n",
	} {
		dir := filepath.Join(root, "class/kfd/kfd/topology/nodes", fmt.Sprint(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "properties"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		pci, target string
		had, want   int
	}{
		{"0000:03:00.0", "gfx1100", 48, 96},
		{"0000:03:00.0", "gfx1100", 192, 96}, // a runtime that counts compute units, taken for workgroup processors
		{"0001:C4:00.1", "gfx1151", 20, 40},
		{"0000:c4:00.1", "gfx1151", 20, 20}, // another domain
		{"0000:04:00.0", "gfx1100", 7, 7},
		{"0000:03:00.0", "gfx906", 60, 60}, // four SIMDs a unit
		{"", "gfx1100", 7, 7},
		{"../..", "gfx1100", 7, 7},
	} {
		p := Properties{PCI: c.pci, Target: c.target, CUs: c.had}
		if p.countUnits(root); p.CUs != c.want {
			t.Errorf("%s at %q: %d compute units, want %d", c.target, c.pci, p.CUs, c.want)
		}
	}
	p := Properties{PCI: "0000:03:00.0", Target: "gfx1100", CUs: 5}
	if p.countUnits(t.TempDir()); p.CUs != 5 {
		t.Errorf("%d compute units where the driver says nothing", p.CUs)
	}
}
