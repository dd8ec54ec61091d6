package par

import (
	"os"
	"path/filepath"
	"runtime"
)

// Cores returns the number of threads that heavy work is worth: as many as the process may run at once, by its
// affinity and the quota of its control group, but one for each core of the processors. Hardware threads of one core
// share its vector units and its path to memory.
func Cores() int { return coresBelow("/sys/devices/system/cpu", runtime.GOMAXPROCS(0)) }

// coresBelow is Cores for a folder of Linux's description of processors and what the process may use. Where there is
// no such folder it believes the latter.
func coresBelow(dir string, usable int) int {
	lists, err := filepath.Glob(filepath.Join(dir, "cpu[0-9]*", "topology", "thread_siblings_list"))
	if err != nil {
		return usable
	}
	cores := map[string]bool{}
	for _, name := range lists {
		if siblings, err := os.ReadFile(name); err == nil {
			cores[string(siblings)] = true
		}
	}
	if len(cores) == 0 {
		return usable
	}
	return min(usable, len(cores))
}
