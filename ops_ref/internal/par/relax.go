package par

import (
	"runtime"
	"time"

	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// The stages of waiting for another thread. One pause of the processor takes 10 to 50 ns. Sleeping comes last: a
// thread may wake hundreds of microseconds late, as on virtual machines, and then all others wait for it.
const (
	spinsBeforeYield = 500
	spinsBeforeSleep = 10000
	sleepStep        = 20 * time.Microsecond
)

// relax is step i of a loop that waits for another thread of the pool: it spins, which is best if the other is about to
// come; then it gives way to other goroutines; and then it sleeps, because with other programs on the processors the
// other may need this one's to get anywhere. It does need it where the pool has more threads than there are processors:
// there is no spinning then.
func (p *Pool) relax(i int) {
	switch {
	case !p.crowded && i%spinsBeforeYield != 0 && i < spinsBeforeSleep:
		simd.Pause(1)
	case i < spinsBeforeSleep:
		runtime.Gosched()
	default:
		time.Sleep(sleepStep)
	}
}
