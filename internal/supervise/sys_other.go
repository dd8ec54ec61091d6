//go:build !linux

package supervise

import (
	"errors"
	"syscall"
)

const executable = ""

func attributes() (*syscall.SysProcAttr, error) {
	return nil, errors.New("supervise: workers can be supervised on Linux alone")
}
