package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

func reference(tb testing.TB) ops.Device {
	dev := opsref.New(opsref.Options{Threads: 1})
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// TestReference runs the whole suite on the reference backend itself, with -short a part of each layer of it.
// `make conform` has the rest.
func TestReference(t *testing.T) {
	t.Parallel()
	o := conformance.Options{NoSkip: true}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves weight types, and most models and ops, to make conform")
		o.Match = regexp.MustCompile(`^(Ops/(attention|delta_net_core|mul_mat|rms_norm|rope|ssm_scan|top_k)/|` +
			`(Graph|Stream|Memory)/(gated_delta_net|self_attention)/|Stream/(copy|event|zero)|Memory/arena|` +
			`Model/qwen3/(decode|invariant)$)`)
	}
	conformance.TestDevice(t, reference, o)
}

func BenchmarkReference(b *testing.B) { conformance.BenchmarkDevice(b, reference) }

// suite runs the checks that match on dev.
func suite(t *testing.T, dev ops.Device, o conformance.Options, match string) *conformance.Report {
	t.Helper()
	o.Match = regexp.MustCompile(match)
	r, err := conformance.Run(t.Context(), dev, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReport checks that each form of a report names the device that ran, what it found and the failures, and that
// JSON loses nothing.
func TestReport(t *testing.T) {
	broken := opsref.New(opsref.Options{Name: "broken", Override: map[*ops.Def]opsref.Kernel[float32]{
		ops.SiLUOp: func(c *opsref.Call[float32]) error {
			for i := range c.Out[0].F {
				c.Out[0].F[i] = float32(math.NaN())
			}
			return nil
		}}})
	defer broken.Close()
	r := suite(t, broken, conformance.Options{Seed: 7}, "^Ops/(silu|mul|swiglu)/")
	var text, js, html bytes.Buffer
	for _, err := range []error{r.WriteText(&text, true), r.WriteJSON(&js), r.WriteHTML(&html)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"device broken, target ", "seed 7", "15 checks: 10 pass, 5 fail", "Ops/silu/[1]",
		"Ops/mul/[1][1]", "NaN"} {
		for name, b := range map[string]string{"text": text.String(), "html": html.String()} {
			if !strings.Contains(b, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
	if h := html.String(); strings.Contains(h, "src=") || strings.Contains(h, "href=") ||
		!strings.Contains(h, "<circle") {
		t.Error("the HTML report needs other files or has no plots")
	}
	var back conformance.Report
	if err := json.Unmarshal(js.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*r, back, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("JSON changed the report:\n%s", d)
	}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "5 of 15") || len(r.Failures()) != 5 {
		t.Errorf("error %v with %d failures", err, len(r.Failures()))
	}
	if err := suite(t, broken, conformance.Options{}, "no such check").Err(); err == nil {
		t.Error("a report without results passes")
	}
}

// TestAlone checks that a check gives the same result alone as among others, and another with another seed.
func TestAlone(t *testing.T) {
	const name = "Ops/gated_delta_net/mixed"
	dev := reference(t)
	find := func(r *conformance.Report) conformance.Metrics {
		for _, x := range r.Results {
			if x.Name == name {
				return x.Metrics
			}
		}
		t.Fatal("not run")
		return conformance.Metrics{}
	}
	among, alone := find(suite(t, dev, conformance.Options{}, "^Ops/g")),
		find(suite(t, dev, conformance.Options{}, "^"+name+"$"))
	if among != alone || among.NMSE == 0 {
		t.Errorf("%+v among others, %+v alone", among, alone)
	}
	if other := find(suite(t, dev, conformance.Options{Seed: 1}, name)); other == alone {
		t.Error("the seed changes nothing")
	}
}

// TestUnsupported checks that a missing kernel is acceptable for a fused op and a failure for a primitive.
func TestUnsupported(t *testing.T) {
	dev := opsref.New(opsref.Options{Without: map[*ops.Def]bool{ops.SwiGLUOp: true, ops.RoPEOp: true}})
	defer dev.Close()
	r := suite(t, dev, conformance.Options{}, "/(swiglu|rope)/")
	for _, x := range r.Results {
		fused := strings.Contains(x.Name, "swiglu")
		want := conformance.Unsupported
		if fused && !strings.HasPrefix(x.Name, "Graph/") {
			want = conformance.Pass // expanded
		}
		if x.Verdict != want || x.OK(true) != fused {
			t.Errorf("%s: %s, acceptable %v: %s", x.Name, x.Verdict, x.OK(true), x.Detail)
		}
	}
	if len(r.Results) < 20 {
		t.Errorf("only %d results", len(r.Results))
	}
}

// TestVerdicts checks which verdicts count against a device.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		r               conformance.Result
		lenient, strict bool
	}{
		{conformance.Result{Verdict: conformance.Pass}, true, true},
		{conformance.Result{Verdict: conformance.Fail, Optional: true}, false, false},
		{conformance.Result{Verdict: conformance.Skip}, true, false},
		{conformance.Result{Verdict: conformance.Unsupported}, false, false},
		{conformance.Result{Verdict: conformance.Unsupported, Optional: true}, true, true},
		{conformance.Result{}, false, false},
	} {
		if c.r.OK(false) != c.lenient || c.r.OK(true) != c.strict {
			t.Errorf("%+v: %v and %v with NoSkip", c.r, c.r.OK(false), c.r.OK(true))
		}
	}
}

// direct is a device whose captured plans, those of the embedded one, differ from its direct launches.
type direct struct {
	ops.Device
	launches ops.Device
}

func (d direct) Direct() ops.Device { return d.launches }

// TestDirect checks that captured plans are compared with direct launches.
func TestDirect(t *testing.T) {
	off := opsref.New(opsref.Options{Override: map[*ops.Def]opsref.Kernel[float32]{
		ops.ScaleOp: func(c *opsref.Call[float32]) error {
			for i, x := range c.In[0].F {
				c.Out[0].F[i] = math.Nextafter32(x*c.Attrs.(ops.ScaleAttrs).By, 0)
			}
			return nil
		}}})
	defer off.Close()
	ref := reference(t)
	if err := suite(t, direct{ref, ref}, conformance.Options{}, "^Stream/scale/").Err(); err != nil {
		t.Error(err)
	}
	r := suite(t, direct{ref, off}, conformance.Options{}, "^Stream/scale/")
	if len(r.Failures()) != len(r.Results) || !strings.Contains(r.Results[0].Detail, "direct launches") {
		t.Errorf("%+v", r.Results)
	}
}

// TestGGUF checks the layer of real files: the reference equals itself, a broken device is caught and located, and
// a missing file is a failure.
func TestGGUF(t *testing.T) {
	path := testfiles.GGUF(t, "llama-Q4_K_M")
	o := conformance.Options{GGUF: []string{path, path + ".missing"}, Tap: true}
	r := suite(t, reference(t), o, "^GGUF/")
	if len(r.Results) != 2 || r.Results[0].Verdict != conformance.Pass || r.Results[0].Metrics.KL != 0 ||
		r.Results[1].Verdict != conformance.Fail {
		t.Errorf("%+v", r.Results)
	}
	broken := opsref.New(opsref.Options{Override: map[*ops.Def]opsref.Kernel[float32]{
		ops.SwiGLUOp: func(c *opsref.Call[float32]) error {
			for i, x := range c.In[0].F {
				c.Out[0].F[i] = c.In[1].F[i]*x/float32(1+math.Exp(float64(-x))) + 0.01
			}
			return nil
		}}})
	defer broken.Close()
	r = suite(t, broken, o, "^GGUF/.*gguf$")
	if len(r.Results) != 1 || r.Results[0].Verdict != conformance.Fail ||
		!strings.Contains(r.Results[0].Detail, ": swiglu(") {
		t.Errorf("%+v", r.Results)
	}
}

// TestGGUFRounding judges a device by what it rounds itself, not by what the reference does: 8-bit activations move
// logits, and now and then a router's choice of experts.
func TestGGUFRounding(t *testing.T) {
	dev := cpu.New(cpu.Options{Threads: 1})
	defer dev.Close()
	var o conformance.Options
	for _, name := range []string{"llama-Q8_0", "qwen3moe-Q4_K_M", "qwen35-Q4_K_M"} {
		o.GGUF = append(o.GGUF, testfiles.GGUF(t, name))
	}
	for _, r := range suite(t, dev, o, "^GGUF/").Results {
		t.Logf("%s: NMSE %.3g of at most %.3g", r.Name, r.Metrics.NMSE, r.Bound)
		if r.Verdict != conformance.Pass || r.Metrics.NMSE < 1e-5 {
			t.Errorf("%+v, though activations have 8 bits", r)
		}
	}
}

// TestCancel checks that Run stops when its context ends.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := conformance.Run(ctx, reference(t), conformance.Options{})
	if !errors.Is(err, context.Canceled) || len(r.Results) != 0 {
		t.Errorf("%v after %d results", err, len(r.Results))
	}
}
