//go:build linux && (amd64 || arm64)

package opship

import (
	"context"
	"io"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/bringup"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// BringUp opens the device kfd:N in steps of rising risk, proves each, and writes a report to w. It stops at the first
// step that fails, whose error it returns.
func BringUp(ctx context.Context, w io.Writer, o BringUpOptions) error {
	b := bringup.Options{Device: o.Device, Soak: o.Soak, Limits: o.Limits, Idle: o.Idle, Suspend: o.Suspend, Only: o.Only}
	if o.Root != "" {
		b.Read = true
		b.Driver.Lookup = func(string) (string, bool) { return "", false } // this machine's environment says nothing of it
		return bringup.Run(ctx, bringup.Rooted{Sys: sys.NewLinux(), Root: strings.TrimSuffix(o.Root, "/")}, w, b)
	}
	var err error
	if b.Driver, err = hiprt.KFDOptions(); err != nil {
		return err
	}
	return bringup.Run(ctx, sys.NewLinux(), w, b)
}
