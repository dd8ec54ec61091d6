package cpu

import "testing"

// Processors are left to others only where there are some to spare.
func TestBeside(t *testing.T) {
	for _, c := range []struct{ beside, cores, procs, want int }{
		{0, 16, 16, 16}, {2, 16, 16, 14}, {2, 16, 32, 16}, {2, 8, 8, 6}, {2, 4, 4, 3}, {2, 2, 2, 2}, {2, 1, 1, 1},
		{9, 8, 8, 6},
	} {
		if got := (Options{Beside: c.beside}).threads(c.cores, c.procs); got != c.want {
			t.Errorf("%d threads beside %d others with %d cores, %d processors, want %d", got, c.beside, c.cores, c.procs,
				c.want)
		}
	}
}
