package conformance

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
)

// TestDevice runs the suite on the device that open returns, each check as a subtest of its name, so that
// -run 'TestX/Ops/rope' picks. open registers its own cleanup on the testing.TB that it gets. At most one Options.
func TestDevice(t *testing.T, open func(testing.TB) ops.Device, o ...Options) {
	t.Helper()
	var opt Options
	if len(o) > 0 {
		opt = o[0]
	}
	s := newSuite(open(t), opt)
	t.Cleanup(func() { s.close() })
	for _, c := range s.checks() {
		t.Run(c.name, func(t *testing.T) {
			r := s.do(t.Context(), c)
			switch {
			case r.OK(opt.NoSkip) && r.Verdict == Pass:
			case r.OK(opt.NoSkip):
				t.Skipf("%s: %s", r.Verdict, r.Detail)
			default:
				t.Errorf("%s: %s", r.Verdict, r.Detail)
			}
		})
	}
}
