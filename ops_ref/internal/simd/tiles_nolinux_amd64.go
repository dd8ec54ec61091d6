//go:build amd64 && !noasm && !linux

package simd

// allowTiles reports that nothing is known of the operating system's care for tile registers.
func allowTiles() bool { return false }
