package opship

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/hipengine/hipengine/ops"
)

// SelfTest calls run, which checks the device's kernels against the reference, unless it succeeded before with the
// same device, driver and program; that is remembered in the user's cache folder. A failure is not remembered. A
// cache that cannot be read or written only means that the test runs again.
func SelfTest(ctx context.Context, dev ops.Device, run func(context.Context, ops.Device) error) error {
	mark := "" // code objects and choices of the user's own are tested every time
	if dir, err := os.UserCacheDir(); err == nil && FromEnv().CodeObjects == "" && FromEnv().Choices == "" {
		mark = filepath.Join(dir, "hipengine", "selftest", selfTestKey(dev.Info()))
		if _, err := os.Stat(mark); err == nil {
			return nil
		}
	}
	if err := run(ctx, dev); err != nil {
		return fmt.Errorf("opship: self-test of %s: %w", dev.Info().Name, err)
	}
	if mark != "" && os.MkdirAll(filepath.Dir(mark), 0o755) == nil {
		_ = os.WriteFile(mark, nil, 0o644) // the next start tests again
	}
	return nil
}

// selfTestKey identifies what a passed self-test is good for.
func selfTestKey(i ops.Info) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%d\n", i.Name, i.Target, i.Model, i.Driver, i.Memory)
	if b, ok := debug.ReadBuildInfo(); ok {
		fmt.Fprintln(h, b)
	}
	if exe, err := os.Executable(); err == nil {
		if st, err := os.Stat(exe); err == nil {
			fmt.Fprintln(h, st.Size(), st.ModTime().UnixNano()) // builds from changed sources have equal build info
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}
