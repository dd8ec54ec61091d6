//go:build !unix

package disk

import (
	"fmt"
	"os"
)

// lock opens a file. There is no lock that the end of a process lets go: see that one process alone uses a folder.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	return f, nil
}
