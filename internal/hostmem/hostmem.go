package hostmem

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// System returns the bytes that programs can take without swapping, as Linux estimates them (MemAvailable of
// /proc/meminfo). It fails where there is no such estimate.
func System() (int64, error) { return system("/") }

// Process returns the bytes that this process can take: what System says, or less if a control group limits it.
// Caches of files count as free, since they give way.
func Process() (int64, error) { return process("/") }

func system(root string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0, fmt.Errorf("hostmem: %w", err)
	}
	kib, ok := field(string(b), "MemAvailable:")
	if !ok || kib > math.MaxInt64>>10 {
		return 0, errors.New("hostmem: /proc/meminfo has no MemAvailable")
	}
	return kib << 10, nil
}

func process(root string) (int64, error) {
	free, err := system(root)
	if err != nil {
		return 0, err
	}
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return free, nil // no control groups
	}
	for line := range strings.Lines(string(groups)) {
		// HIERARCHY:CONTROLLERS:PATH, where version 2 is hierarchy 0 without controllers.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
		case f[0] == "0" && f[1] == "":
			free = min(free, unified.free(filepath.Join(root, "sys/fs/cgroup"), f[2]))
		case f[1] == "memory":
			free = min(free, legacy.free(filepath.Join(root, "sys/fs/cgroup/memory"), f[2]))
		}
	}
	return free, nil
}

// version names the files of a version of control groups.
type version struct{ limit, usage, cache string }

var (
	unified = version{"memory.max", "memory.current", "inactive_file"}
	legacy  = version{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
)

// free returns what the group at path, and every group above it, leaves; the largest number if there is no limit.
func (v version) free(mount, path string) int64 {
	free := int64(math.MaxInt64)
	for path = filepath.Clean("/" + path); ; path = filepath.Dir(path) {
		dir := filepath.Join(mount, path)
		limit, ok := number(filepath.Join(dir, v.limit))
		usage, used := number(filepath.Join(dir, v.usage))
		if ok && used {
			stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
			cache, _ := field(string(stat), v.cache)
			free = min(free, max(0, limit-max(0, usage-cache)))
		}
		if path == "/" {
			return free
		}
	}
}

// number reads a file that holds one; others, like "max", are none.
func number(file string) (int64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil && n >= 0
}

// field returns the number after name at the start of a line.
func field(text, name string) (int64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}
