package roofline

import (
	"context"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
	"github.com/hipengine/hipengine/ops_hip/limits"
)

// TestLimitsNameEveryKernel compares what conform --limits executes with the code objects: every kernel in them is
// executed, but for those that wait for other devices.
func TestLimitsNameEveryKernel(t *testing.T) {
	for _, g := range limits.GPUs {
		runs, missing, err := planRuns(g)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, r := range runs {
			for _, s := range r.symbols {
				named[s] = true
			}
		}
		for _, m := range missing {
			if !slices.Contains(joint, m) {
				t.Errorf("%s: nothing executes %s", g.Target, m)
			}
			named[m] = true
		}
		shipped, err := opship.Shipped(g.Target)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shipped {
			if !named[s] {
				t.Errorf("%s: %s is neither executed nor named", g.Target, s)
			}
		}
		if len(named) != len(shipped) {
			t.Errorf("%s: %d kernels are named, %d ship", g.Target, len(named), len(shipped))
		}
		t.Logf("%s: %d kernels, %d runs", g.Target, len(shipped), len(runs))
	}
}

// TestLimitsCounts executes some of the probes and checks what every execution must show: the bytes that the op has to
// move are counted once, and products take the instructions that their arithmetic needs.
func TestLimitsCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	small := regexp.MustCompile(
		`^(mul_mat_q8_0_dot1|mul_mat_q4_k_mma64|rms_norm_f32_block|attention_q8_0_plain|gated_delta_net_f32_serial128)$`)
	for _, g := range limits.GPUs[1:] {
		runs, _, err := planRuns(g)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		runs = slices.DeleteFunc(runs,
			func(r execution) bool { return !slices.ContainsFunc(r.symbols, small.MatchString) })
		err = execute(t.Context(), g, runs, func(r execution, counted map[string]limits.Work) {
			n, err := r.node()
			if err != nil {
				t.Error(err)
			}
			var all limits.Counts
			for symbol, c := range counted {
				seen[symbol] = true
				all.Bytes += c.Bytes
				all.WMMA += c.WMMA
			}
			if n.Op.Work != nil {
				if _, want := n.Op.Work(n); all.Bytes < float64(want) {
					t.Errorf("%s: %v moved %g bytes, the op has %d", g.Target, r.probe, all.Bytes, want)
				}
			}
			c := counted[r.symbols[len(r.symbols)-1]]
			if c.Loaded == 0 || c.Trips == 0 || c.Fresh > c.Trips || c.LongestTrips > c.Trips || c.Block.VGPRs == 0 ||
				c.Block.Threads == 0 {
				t.Errorf("%s: %v: %+v in blocks of %+v", g.Target, r.probe, c.Counts, c.Block)
			}
			switch {
			case r.op == ops.RMSNormOp:
				x := r.Args[0].Shape
				if want := float64(4 * (2*x.Elems() + x[1])); all.Bytes != want {
					t.Errorf("%s: %v moved %g bytes, want %g: all operands once", g.Target, r.probe, all.Bytes, want)
				}
			case r.op == ops.MulMatOp && c.WMMA > 0:
				if need := float64(prefillTokens * prefillRows * prefillCols / (16 * 16 * 16)); c.WMMA != need {
					t.Errorf("%s: %v took %g matrix instructions, the product needs %g", g.Target, r.probe, c.WMMA,
						need)
				}
				if c.LDS == 0 || c.LDSLoad == 0 || c.LDSStored == 0 {
					t.Errorf("%s: %v without LDS: %+v", g.Target, r.probe, c)
				}
			case r.op == ops.MulMatOp:
				w := r.Args[1].Shape
				if c.Bytes < float64(w.Elems())*34/32 || c.Bytes > 1.02*float64(w.Elems())*34/32 {
					t.Errorf("%s: %v moved %g bytes, want those of the weights and little else", g.Target, r.probe,
						c.Bytes)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"mul_mat_q8_0_dot1", "mul_mat_x_f16", "mul_mat_q4_k_mma64", "attention_combine"} {
			if !seen[s] {
				t.Errorf("%s: %s was not executed", g.Target, s)
			}
		}
	}
}

func TestExecuteStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := execute(ctx, limits.GPUs[0], []execution{{}}, nil); err == nil {
		t.Error("no error after the context was canceled")
	}
}

// TestModelsAreThoseOfSynth compares the table of package limits with the shapes that files are made of.
func TestModelsAreThoseOfSynth(t *testing.T) {
	for _, name := range synth.Names() {
		i := slices.IndexFunc(limits.Models, func(m limits.Model) bool { return strings.EqualFold(m.Name, name) })
		if i < 0 {
			t.Errorf("no bounds for %s", name)
			continue
		}
		m := limits.Models[i]
		s, err := synth.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := s.Tensors(convert.Q4_K_M)
		if err != nil {
			t.Fatal(err)
		}
		used, experts := expertsOf(s)
		var got limits.Model
		for _, x := range tensors {
			got.File += float64(x.Size)
			share := 1.0
			if strings.HasSuffix(x.Name, "_exps.weight") {
				share = used / experts
			}
			embedding := x.Name == "token_embd.weight"
			if x.Name == "output.weight" || embedding && s.Tied {
				got.Head = float64(x.Shape.Elems())
			}
			if !embedding || s.Tied {
				got.PerToken += share * float64(x.Size)
				got.Params += share * float64(x.Shape.Elems())
			}
		}
		for what, v := range map[string][2]float64{"bytes of the file": {m.File, got.File},
			"bytes of a token": {m.PerToken, got.PerToken},
			"weights":          {m.Params, got.Params}, "weights of the output": {m.Head, got.Head}} {
			if math.Abs(v[0]-v[1]) > 1e-3*v[1] {
				t.Errorf("%s: %s are %g, the tensors have %g", name, what, v[0], v[1])
			}
		}
	}
}

// expertsOf returns how many experts a token uses, and of how many.
func expertsOf(s synth.Shape) (used, all float64) {
	for _, k := range s.Keys {
		n, _ := k.Value.(uint32)
		switch k.Name {
		case "expert_used_count":
			used = float64(n)
		case "expert_count":
			all = float64(n)
		}
	}
	return used, all
}
