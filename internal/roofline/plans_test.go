package roofline

import (
	"bytes"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/limits"
	"github.com/hipengine/hipengine/tensor"
)

// planOf returns the plan of a step of a model of real shape.
func planOf(t *testing.T, name string, s step) plan {
	t.Helper()
	dev, err := opship.OpenCounting("gfx1100", "", 96)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	m, err := declared(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.plan(dev, m)
	if err != nil {
		t.Fatal(err)
	}
	sizes, _, err := s.index(m)
	if err != nil {
		t.Fatal(err)
	}
	names, err := runner.Launches(dev, m, m.src, runner.Options{Context: sizes.Pages * runner.PageSize, KVType: tensor.F16}, sizes)
	if err != nil || len(names) != len(p.launches) {
		t.Errorf("%s: the plan has %d launches, a runner starts %d, %v", name, len(p.launches), len(names), err)
	}
	return p
}

// TestPlansAddUp sorts the launches of whole models by kind, and compares what they move with the weights of the model.
func TestPlansAddUp(t *testing.T) {
	for _, name := range []string{"qwen3-8b", "qwen3.6-27b", "qwen3.6-35b-a3b"} {
		for _, s := range []step{decodeStep(1, planContext), prefillStep(planPrompt)} {
			whole := planOf(t, name, s)
			ls := whole.launches
			p, err := whole.sum()
			if err != nil {
				t.Fatal(err)
			}
			var by, symbols launchSum
			for _, one := range p.by {
				by.launches, by.bytes = by.launches+one.launches, by.bytes+one.bytes
			}
			for _, one := range p.symbols {
				symbols.launches, symbols.bytes = symbols.launches+one.launches, symbols.bytes+one.bytes
			}
			for _, sum := range []launchSum{by, symbols} {
				if sum.launches != len(ls) || math.Abs(sum.bytes-p.all.bytes) > 1e-9*p.all.bytes {
					t.Errorf("%s: %s: parts are %+v, the whole is %+v of %d launches", name, s.name, sum, p.all, len(ls))
				}
			}
			if glue := p.all.bytes - p.by[product].bytes; math.Abs(p.glue.bytes-glue) > 1e-9*glue || p.glue.launches != len(ls)-p.by[product].launches {
				t.Errorf("%s: %s: glue %+v of %+v", name, s.name, p.glue, p.all)
			}
			for _, l := range ls {
				if k := kindOf(l); (k == product) != strings.HasPrefix(l.Node.Op.Name, "mul_mat") && !strings.Contains(l.Launch.Symbol, "sort") {
					t.Errorf("%s: %s: %v is of kind %s", name, s.name, l.Node, kindNames[k])
				}
			}
			for _, m := range limits.Models {
				if s.tokens == 1 && strings.EqualFold(m.Name, name) && !near(p.by[product].bytes, m.PerToken, 0.03) {
					t.Errorf("%s: products of a token move %g bytes, the weights that it reads have %g", name, p.by[product].bytes, m.PerToken)
				}
			}
		}
	}
}

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

// TestMoved compares what single launches move with sums of their operands.
func TestMoved(t *testing.T) {
	const token, ints = 4.0, 4.0 // bytes of an index
	for _, c := range []struct {
		model string
		step  step
		op    *ops.Def
		last  bool // of the launches of a node
		want  float64
	}{
		// 148 bytes for 256 weights of Q4_K as they lie on the device
		{"qwen3-8b", prefillStep(512), ops.EmbedOp, false, 512 * (4096*148/256 + 4*4096 + token)},
		// a row of keys or values is read in floats and written in halves; position, sequence, page table of 16
		{"qwen3-8b", prefillStep(512), ops.KVAppendOp, false, 512*(8*128*(4+2)+2*ints) + 16*ints},
		{"qwen3-8b", prefillStep(512), ops.RowsOp, false, 2*4*4096 + ints},
		// query and result, all keys and values, once; position, sequence, page table
		{"qwen3-8b", prefillStep(512), ops.AttentionOp, false, 512*(2*4*32*128+2*2*8*128+2*ints) + 16*ints},
		{"qwen3-8b", prefillStep(512), ops.SwiGLUOp, false, 512 * 3 * 4 * 12288},
		// the state of a sequence is read and written: 48 heads of 128 x 128; queries and keys of 16 heads
		{"qwen3.6-27b", decodeStep(1, 0), ops.GatedDeltaNetOp, false, 2*4*48*128*128 + 4*(2*16*128+2*48*128+2*48) + 3*ints},
		// the launch that keeps three tokens for the next step
		{"qwen3.6-27b", prefillStep(512), ops.CausalConvOp, true, 3*4*3*10240 + 3*ints},
		{"qwen3.6-27b", decodeStep(2, 0), ops.CausalConvOp, false, 2*(2*4*3*10240+2*4*10240) + 4*4*10240 + 5*ints},
	} {
		p, found := planOf(t, c.model, c.step), false
		for i, l := range p.launches {
			if l.Node.Op != c.op || c.last && i+1 < len(p.launches) && p.launches[i+1].Node == l.Node {
				continue
			}
			found = true
			if got, err := p.moved(l); err != nil || got != c.want {
				t.Errorf("%s: %s: %s moves %g bytes, want %g, %v", c.model, c.step.name, l.Launch.Symbol, got, c.want, err)
			}
			break
		}
		if !found {
			t.Errorf("%s: %s launches no %s", c.model, c.step.name, c.op.Name)
		}
	}
}

// TestExpertShare draws experts for one token and for many.
func TestExpertShare(t *testing.T) {
	for _, c := range []struct {
		tokens, choices, experts int
		want                     float64
	}{{1, 8, 256, 8.0 / 256}, {2, 1, 2, 0.75}, {1, 4, 4, 1}, {512, 8, 256, 1}} {
		g := &ops.Graph{}
		n := &ops.Node{In: []ops.Value{g.Input("x", tensor.F32, c.tokens, 1, 8), g.Input("ids", tensor.I32, c.tokens, c.choices)}}
		if got := expertShare(n, c.experts); !near(got, c.want, 1e-6) {
			t.Errorf("%+v: %g", c, got)
		}
	}
}

func TestPlanLimits(t *testing.T) {
	var out bytes.Buffer
	if err := planLimits(t.Context(), &out, limits.GPUs[2], regexp.MustCompile("^plan/qwen3-0"), true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plan/qwen3-0.6b", "decode at 4096", "prefill of 512", "197 products", "glue", "1 x embed_"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	for l := range strings.Lines(out.String()) {
		if !strings.HasSuffix(l, "["+limits.Label+"]\n") || !strings.HasPrefix(l, "RX 9070 XT") || strings.Contains(l, "8b") {
			t.Errorf("line %q", l)
		}
	}
}

// TestBounds bounds steps of a small model with its kernels, and compares what glue moves with the bytes that the emulator
// counts for it.
func TestBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	g := limits.GPUs[2]
	dev, err := opship.OpenCounting(g.Target, "", g.CUs)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	m, err := declared("qwen3-0.6b")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCoster(dev, g, m)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, s := range []step{decodeStep(1, 1024), prefillStep(64)} {
		p, err := s.plan(dev, m)
		if err != nil {
			t.Fatal(err)
		}
		cost, err := c.plan(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := p.sum()
		if err != nil {
			t.Fatal(err)
		}
		var parts float64
		for _, one := range cost.symbols {
			parts += one.least
		}
		var binds float64
		for _, x := range cost.all.binds {
			binds += x
		}
		all := cost.all
		if all.launches != len(p.launches) || !near(parts, all.least, 1e-9) || !near(binds, all.least, 1e-9) ||
			all.least < sum.all.bytes/(1e9*g.GBps) || all.achievable < all.least || all.apart < all.least {
			t.Errorf("%s: %+v for %d launches that move %g bytes; parts are %g, binding %g", s.name, all, len(p.launches), sum.all.bytes, parts, binds)
		}
		seen := map[string]bool{}
		whole, err := opship.NewSampler(dev, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range p.launches {
			if k := kindOf(l); k == product || seen[l.Launch.Symbol] || l.Launch.Scratch > 0 { // the launch before leaves what scratch memory holds
				continue
			}
			seen[l.Launch.Symbol] = true
			ks, err := whole.Node([]opship.Planned{l}, stepContents(p.index, m.experts))
			if err != nil {
				t.Fatal(err)
			}
			want, err := p.moved(l)
			if err != nil {
				t.Fatal(err)
			}
			if got := float64(ks[0].LoadedOnce + ks[0].StoredOnce); !near(got, want, 0.05) {
				t.Errorf("%s: %s moves %g bytes, estimated were %g", s.name, l.Launch.Symbol, got, want)
			}
		}
		if len(seen) < 7 {
			t.Errorf("%s: %v were compared, no more", s.name, seen)
		}
		if err := whole.Close(); err != nil {
			t.Error(err)
		}
	}
}
