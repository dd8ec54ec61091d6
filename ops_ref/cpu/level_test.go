package cpu

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// TestUseLevel lets two users hold a level against a third, and expects the best back behind them.
func TestUseLevel(t *testing.T) {
	best := simd.Current()
	first, err := UseLevel("generic")
	if err != nil {
		t.Fatal(err)
	}
	second, err := UseLevel("generic")
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{Threads: 1})
	defer d.Close()
	if got := d.Info().Model; got != "1 threads, generic" {
		t.Errorf("the device is %q", got)
	}
	if l := Levels(); len(l) > 1 {
		if _, err := UseLevel(l[1]); err == nil || !strings.Contains(err.Error(), `"generic" is in use`) {
			t.Errorf("a second level: %v", err)
		}
	}
	first()
	first() // does nothing
	if got := simd.Current(); got != simd.Generic {
		t.Errorf("with one user left the level is %v", got)
	}
	second()
	if got := simd.Current(); got != best {
		t.Errorf("without users the level is %v, not %v", got, best)
	}
	if _, err := UseLevel("sse2"); err == nil || !strings.Contains(err.Error(), strings.Join(Levels(), ", ")) {
		t.Errorf("an unknown level: %v", err)
	}
}
