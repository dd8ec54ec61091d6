package place_test

import (
	"regexp"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
)

// TestRanks runs models that are split over two ranks on two CPUs.
func TestRanks(t *testing.T) {
	t.Parallel()
	match := `^Model/.*/ranks=`
	if testing.Short() {
		match = `^Model/(minimax-m2|qwen35moe)/ranks=`
	}
	conformance.TestDevice(t, func(tb testing.TB) ops.Device {
		return newPlace(tb, place.ByRank, newCPU(tb), newCPU(tb))
	}, conformance.Options{NoSkip: true, Match: regexp.MustCompile(match)})
}
