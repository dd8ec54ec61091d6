package conformance_test

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

func reference(tb testing.TB) ops.Device {
	dev := opsref.New(opsref.Options{})
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// TestReference runs the suite on the reference backend itself.
func TestReference(t *testing.T) {
	conformance.TestDevice(t, reference)
}

// TestReport checks that a report of the whole suite says that the reference conforms, and who ran.
func TestReport(t *testing.T) {
	r, err := conformance.Run(t.Context(), reference(t), conformance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.WriteText(&b, testing.Verbose()); err != nil {
		t.Fatal(err)
	}
	t.Log(b.String())
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if len(r.Results) < 300 || !strings.Contains(b.String(), "device ref") {
		t.Errorf("%d results from a report that does not name its device", len(r.Results))
	}
}
