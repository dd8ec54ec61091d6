//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package gguf

import "os"

// mapFile maps nothing on this system; Map then reads.
func mapFile(*os.File, int) ([]byte, func() error, error) { return nil, nil, nil }
