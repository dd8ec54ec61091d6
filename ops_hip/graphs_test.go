package opship

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/fakert"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// TestGraphsAreProven opens devices on runtimes whose graphs are right, wrong, missing and broken. Without graphs
// that are right, plans are launched one by one, and the reason is said once.
func TestGraphsAreProven(t *testing.T) {
	var want []byte
	for _, c := range []struct {
		name   string
		change func(rt *fakert.Runtime, o *Options)
		mode   string // prefix
		log    string
	}{
		{"right", func(*fakert.Runtime, *Options) {}, "graph", ""},
		{"wrong", func(rt *fakert.Runtime, _ *Options) { rt.SharedArgs = true }, "direct: replay ", "level=WARN"},
		{"missing", func(rt *fakert.Runtime, _ *Options) { rt.Fail["BeginCapture"] = []error{hiprt.ErrNoGraphs} },
			"direct: graphs are not available", "level=INFO"},
		{"broken", func(rt *fakert.Runtime, _ *Options) { rt.Fail["EndCapture"] = []error{errors.New("boom")} },
			"direct: boom", "level=WARN"},
		{"switched off", func(_ *fakert.Runtime, o *Options) { o.Direct = true }, "direct", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			o := Options{Log: slog.New(slog.NewTextHandler(&log, nil)), kernels: testRegistry(),
				CodeObjects: objectDir(t)}
			rt := fakert.New("gfx1100", goKernels)
			c.change(rt, &o)
			d, err := openOn(rt, "hip:0", 0, o)
			if err != nil {
				t.Fatal(err)
			}
			g := &ops.Graph{}
			p, err := d.Compile(g, nil, ops.Scale(g, g.Input("x", tensor.F32, 4), 2))
			if err != nil {
				t.Fatal(err)
			}
			closing(t, p.Close)
			for range 2 {
				got, mode := runModel(t, d, 3, 67, 3)
				if !strings.HasPrefix(mode, c.mode) {
					t.Errorf("mode %q, want %q", mode, c.mode)
				}
				if want == nil {
					want = got
				}
				if !bytes.Equal(got, want) {
					t.Error("results differ from those of graphs")
				}
			}
			lines := strings.Count(log.String(), "\n")
			if c.log == "" && lines > 0 || c.log != "" &&
				(lines != 1 || !strings.Contains(log.String(), c.log) ||
					!strings.Contains(log.String(), "device=hip:0")) {
				t.Errorf("log is %q, want one line with %q", &log, c.log)
			}
			closing(t, d.Close)
			if n := rt.Live(); n != 0 {
				t.Errorf("%d runtime objects were not released", n)
			}
		})
	}
}
