//go:build linux && !nogpu

package hiprt

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// simdsPerUnit is the number of SIMDs of a compute unit of RDNA.
const simdsPerUnit = 2

// topologyUnits returns the compute units that the kernel driver counts for the GPU at a PCI address, "0000:03:00.0",
// and whether it knows it. root is "/sys".
func topologyUnits(root, pci string) (int, bool) {
	var domain, bus, device, function int64
	if n, err := fmt.Sscanf(pci, "%x:%x:%x.%x", &domain, &bus, &device, &function); n != 4 || err != nil {
		return 0, false
	}
	// the pattern is well formed
	files, _ := filepath.Glob(filepath.Join(root, "class/kfd/kfd/topology/nodes/*/properties"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		node := map[string]int64{}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				node[name] = n
			}
		}
		if n := node["simd_count"]; n > 0 && n < 1<<20 && node["domain"] == domain &&
			node["location_id"] == bus<<8|device<<3|function {
			return int(n / simdsPerUnit), true
		}
	}
	return 0, false
}

// countUnits makes p count compute units as the kernel driver does, where that knows. Runtimes count workgroup
// processors or compute units, and which of them is only known by custom.
func (p *Properties) countUnits(root string) {
	if n, ok := topologyUnits(root, p.PCI); ok && strings.HasPrefix(p.Target, "gfx1") {
		p.CUs = n
	}
}
