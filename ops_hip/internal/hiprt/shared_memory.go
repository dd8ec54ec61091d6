package hiprt

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sharedMemory returns what the kernel driver says of a device's memory, its own and the host's that it may map. root
// is "/sys".
func sharedMemory(root, pci string) (SharedMemory, bool) {
	return sharedMemoryOf(os.ReadFile, root, pci)
}

// sharedMemoryOf is sharedMemory with another way to read files.
func sharedMemoryOf(readFile func(string) ([]byte, error), root, pci string) (m SharedMemory, ok bool) {
	read := func(name string) int64 {
		b, err := readFile(filepath.Join(root, "bus/pci/devices", strings.ToLower(pci), name))
		if err != nil {
			return 0
		}
		n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		return min(max(n, 0), 1<<50)
	}
	m = SharedMemory{Carveout: read("mem_info_vram_total"), CarveoutUsed: read("mem_info_vram_used"),
		Mapped: read("mem_info_gtt_total"), MappedUsed: read("mem_info_gtt_used")}
	return m, m.Total() > 0
}
