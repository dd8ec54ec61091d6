package opship

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// floors are the oldest HIP runtimes that know a target, from the tables of ROCr's releases. An older one does not
// list the device at all, or fails in odd ways.
var floors = []struct {
	prefix string
	first  hiprt.Version
}{
	{"gfx110", hiprt.Version{Major: 5, Minor: 3}},
	{"gfx115", hiprt.Version{Major: 6, Minor: 1}},
	{"gfx120", hiprt.Version{Major: 6, Minor: 2}},
}

// tried are the oldest HIP runtimes that are known to work well with a target: older ones know it, but were released
// with firmware and drivers of its first months.
var tried = []struct {
	prefix string
	first  hiprt.Version
}{
	{"gfx120", hiprt.Version{Major: 6, Minor: 4}},
}

// RuntimeFloor returns the oldest HIP runtime that knows a target, and whether that is known.
func RuntimeFloor(target string) (major, minor int, ok bool) {
	for _, f := range floors {
		if strings.HasPrefix(target, f.prefix) {
			return f.first.Major, f.first.Minor, true
		}
	}
	return 0, 0, false
}

// youngRuntime says what speaks against a runtime that knows its device, if anything does.
func youngRuntime(target string, v hiprt.Version) string {
	for _, f := range tried {
		if strings.HasPrefix(target, f.prefix) && v.Less(f.first) {
			return fmt.Sprintf("HIP %v is among the first that know %s: with wrong results or hangs, try ROCm %d.%d or later", v, target, f.first.Major, f.first.Minor)
		}
	}
	return ""
}

// oldRuntime refuses a runtime that is older than its device.
func oldRuntime(target string, v hiprt.Version, library string) error {
	for _, f := range floors {
		if strings.HasPrefix(target, f.prefix) && v.Less(f.first) {
			return fmt.Errorf("the HIP runtime %s is version %v and does not know %s, which needs %d.%d or later: install a newer ROCm, or set %s",
				library, v, target, f.first.Major, f.first.Minor, hiprt.EnvLibrary)
		}
	}
	return nil
}

// withHint adds to the error of a runtime without devices what is wrong with the device files. dev is "/dev".
func withHint(kind, dev string, err error) error {
	if kind != "hip" || !errors.Is(err, hiprt.ErrNoDevice) {
		return err
	}
	f, kerr := os.OpenFile(filepath.Join(dev, "kfd"), os.O_RDWR, 0)
	switch {
	case kerr == nil:
		f.Close()
		return fmt.Errorf("%w; /dev/kfd is there, so the runtime may be too old for the GPU, or HIP_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES hides it", err)
	case errors.Is(kerr, fs.ErrNotExist):
		return fmt.Errorf("%w; there is no /dev/kfd: no AMD GPU, the amdgpu driver is not loaded, or a container does not pass it on", err)
	case errors.Is(kerr, fs.ErrPermission):
		return fmt.Errorf("%w; no permission for /dev/kfd: add the user to the groups render and video", err)
	}
	return fmt.Errorf("%w; %w", err, kerr)
}
