package cpu

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// Levels names the sets of vector instructions that this processor, and this build, have kernels for, the best last.
func Levels() []string {
	var names []string
	for _, l := range simd.Levels() {
		if simd.Has(l) {
			names = append(names, l.String())
		}
	}
	return names
}

// used is the level that somebody asked for. It holds for the process, as kernels are chosen for the process.
var used struct {
	sync.Mutex
	level   string
	users   int
	restore func()
}

// UseLevel makes all devices of the process use a level that Levels names, until every caller that asked for it has
// called release. It is for before a device is made: weights lie as the level wants them. The error says which levels
// there are, or which other one is in use.
func UseLevel(level string) (release func(), err error) {
	used.Lock()
	defer used.Unlock()
	if used.users > 0 && used.level != level {
		return nil, fmt.Errorf("cpu: vector instructions %q: %q is in use", level, used.level)
	}
	i := slices.IndexFunc(simd.Levels(), func(l simd.Level) bool { return l.String() == level })
	if i < 0 || !simd.Has(simd.Levels()[i]) {
		return nil, fmt.Errorf("cpu: vector instructions %q: this processor and program have %s", level,
			strings.Join(Levels(), ", "))
	}
	if used.users++; used.users == 1 {
		used.level = level
		used.restore, _ = simd.Force(simd.Levels()[i])
	}
	return sync.OnceFunc(func() {
		used.Lock()
		defer used.Unlock()
		if used.users--; used.users == 0 {
			used.restore()
		}
	}), nil
}
