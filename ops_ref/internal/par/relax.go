package par

import (
	"runtime"

	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// relax is step i of a loop that waits for another thread. It gives way to other goroutines now and then: with fewer
// processors than workers the awaited one may need this one's.
func relax(i int) {
	if i%spinsBeforeYield == 0 {
		runtime.Gosched()
		return
	}
	simd.Pause(1)
}
