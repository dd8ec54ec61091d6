//go:build !linux || !(amd64 || arm64)

package opship

import (
	"context"
	"errors"
	"io"
)

// BringUp needs Linux on amd64 or arm64.
func BringUp(context.Context, io.Writer, BringUpOptions) error {
	return errors.New("opship: the device kfd needs Linux on amd64 or arm64")
}
