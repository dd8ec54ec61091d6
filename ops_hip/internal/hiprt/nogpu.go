//go:build nogpu || !linux

package hiprt

import "fmt"

func init() {
	for _, name := range []string{"hip", "cuda"} {
		Register(name, func(string) (Runtime, error) {
			return nil, fmt.Errorf("hiprt: %s: this program was built without GPU runtimes (tag nogpu, or not Linux): %w", name, ErrNoLibrary)
		})
	}
}
