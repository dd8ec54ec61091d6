package mutant_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/conformance/mutant"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// run runs the checks that match on dev.
func run(t *testing.T, dev ops.Device, match string, tap bool) *conformance.Report {
	t.Helper()
	r, err := conformance.Run(t.Context(), dev, conformance.Options{Match: regexp.MustCompile(match), Tap: tap})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scope is what a mutant is run on: all of the op layer, so that failing elsewhere shows, else the checks that must
// catch it. Short tests run these alone, or some where there are many.
func scope(m mutant.Mutant) string {
	few := map[string]string{"Memory/": "Memory/attention/Q8_0", "Model/qwen35/": "Model/qwen35/decode$",
		"Ops/mul_mat":               "Ops/mul_mat/(F16|F32|Q8_0)/",
		"Ops/mul_mat_add_rms_norm/": "Ops/mul_mat_add_rms_norm/(F32|Q8_0)/"}
	switch {
	case testing.Short() && few[m.Caught] != "":
		return "^" + few[m.Caught]
	case strings.HasPrefix(m.Caught, "Ops/") && !testing.Short():
		return "^Ops/"
	}
	return "^" + regexp.QuoteMeta(m.Caught)
}

// TestMutants demands that each mutant fails where it must, and nowhere else in its scope, and that the device that
// the mutants are made from passes the same checks.
func TestMutants(t *testing.T) {
	t.Parallel()
	ref := opsref.New(opsref.Options{Threads: 1})
	defer ref.Close()
	clean := map[string]bool{}
	names := map[string]bool{}
	for i, m := range mutant.All() {
		t.Run(m.Name, func(t *testing.T) {
			if testing.Short() && i%8 > 0 {
				t.Skip("SKIPPED: -short leaves most mutants to make long")
			}
			if names[m.Name] || m.Models == "" {
				t.Error("a mutant needs a name of its own and a word on what it models")
			}
			names[m.Name] = true
			if testing.Short() {
				t.Log("SKIPPED: -short leaves to make long that no check of another op fails")
			}
			if s := scope(m); !clean[s] {
				if err := run(t, ref, s, false).Err(); err != nil {
					t.Fatalf("the reference fails: %v", err)
				}
				clean[s] = true
			}
			dev := m.New()
			defer dev.Close()
			r := run(t, dev, scope(m), false)
			caught, of, first := 0, 0, ""
			for _, x := range r.Results {
				if strings.HasPrefix(x.Name, m.Caught) {
					of++
				}
			}
			for _, f := range r.Failures() {
				switch {
				case f.Verdict != conformance.Fail:
					t.Errorf("%s: %s: %s", f.Verdict, f.Name, f.Detail)
				case !strings.HasPrefix(f.Name, m.Caught):
					t.Errorf("failed elsewhere: %s: %s", f.Name, f.Detail)
				default:
					if caught++; caught == 1 {
						first = f.Name + ": " + f.Detail
					}
				}
			}
			if caught == 0 {
				t.Fatalf("%s: not caught by %s", m.Models, m.Caught)
			}
			t.Logf("%d of %d, first %s", caught, of, first)
		})
	}
}

// TestTap checks that a failing model names the first node that departs, its op and the line that recorded it.
func TestTap(t *testing.T) {
	for name, want := range map[string]struct {
		op   string
		step string // 1 is the prefill, 2 the token after it
	}{
		"rope_interleaved":        {"rope(", "step 1"},
		"attention_before_append": {"attention(", "step 1"},
		"wrong_key_head":          {"gated_delta_net(", "step 1"},
		"conv_state_not_shifted":  {"causal_conv(", "step 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && strings.HasPrefix(want.op, "attention") {
				t.Skip("SKIPPED: -short leaves one of these mutants to make long")
			}
			for _, m := range mutant.All() {
				if m.Name != name {
					continue
				}
				dev := m.New()
				defer dev.Close()
				r := run(t, dev, "^Model/qwen35/decode$", true)
				if len(r.Results) != 1 || r.Results[0].Verdict != conformance.Fail {
					t.Fatalf("not caught: %+v", r.Results)
				}
				d := r.Results[0].Detail
				t.Log(d)
				where := regexp.MustCompile("first node to depart, in " + want.step + ", is \\d+: " +
					regexp.QuoteMeta(want.op) + `.* at \w+/\w+\.go:\d+, `)
				if !where.MatchString(d) {
					t.Errorf("the detail lacks %v", where)
				}
				return
			}
			t.Fatal("no such mutant")
		})
	}
}

// TestHonest checks that the bounds leave room for the arithmetic of real devices, and not only with one set of data.
func TestHonest(t *testing.T) {
	t.Parallel()
	dev := mutant.Honest()
	defer dev.Close()
	checks := []string{"^(Ops|Quant|Graph)/|^Model/.*/(prefill|kv-)", "^Ops/"}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most models and ops, weight types, and a second set of data, to make long")
		checks = []string{"^Ops/(attention|gated_delta_net|rms_norm|swiglu)/|^Ops/mul_mat/(F16|Q4_K|Q8_0)/|^Model/qwen3/prefill"}
	}
	for seed, match := range checks {
		r, err := conformance.Run(t.Context(), dev,
			conformance.Options{Seed: uint64(seed), Match: regexp.MustCompile(match)})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Failures() {
			t.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
}
