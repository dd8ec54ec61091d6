package roofline

import (
	"bytes"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/limits"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
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
	names, err := runner.Launches(dev, m, m.src,
		runner.Options{Context: sizes.Pages * runner.PageSize, KVType: tensor.F16}, sizes)
	if err != nil || len(names) != len(p.launches) {
		t.Errorf("%s: the plan has %d launches, a runner starts %d, %v", name, len(p.launches), len(names), err)
	}
	return p
}

// TestPlansAddUp sorts the launches of whole models by kind, and compares what they move with the weights of the
// model.
func TestPlansAddUp(t *testing.T) {
	names := []string{"qwen3-8b", "qwen3.6-35b-a3b", "qwen3.6-27b"}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves one of three models to make long")
		names = names[:2]
	}
	for _, name := range names {
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
					t.Errorf("%s: %s: parts are %+v, the whole is %+v of %d launches", name, s.name, sum, p.all,
						len(ls))
				}
			}
			if glue := p.all.bytes - p.by[product].bytes; math.Abs(p.glue.bytes-glue) > 1e-9*glue ||
				p.glue.launches != len(ls)-p.by[product].launches {
				t.Errorf("%s: %s: glue %+v of %+v", name, s.name, p.glue, p.all)
			}
			known := map[*ops.Def]kind{ops.MulMatOp: product, ops.RMSNormOp: attentional,
				ops.RMSNormRoPEOp: attentional, ops.KVAppendOp: attentional,
				ops.AttentionOp: attentional, ops.GatedDeltaNetOp: recurrent, ops.CausalConvOp: recurrent,
				ops.EmbedOp: otherGlue, ops.RowsOp: otherGlue}
			for _, l := range ls {
				if want, ok := known[l.Node.Op]; ok && kindOf(l) != want {
					t.Errorf("%s: %s: %v is of kind %s, want %s", name, s.name, l.Node, kindNames[kindOf(l)],
						kindNames[want])
				}
			}
			for _, m := range limits.Models {
				if s.tokens == 1 && strings.EqualFold(m.Name, name) && !near(p.by[product].bytes, m.PerToken, 0.03) {
					t.Errorf("%s: products of a token move %g bytes, the weights that it reads have %g", name,
						p.by[product].bytes, m.PerToken)
				}
			}
		}
	}
}

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

// TestMoved compares what launches of single ops move with sums of their operands.
func TestMoved(t *testing.T) {
	dev, err := opship.OpenCounting("gfx1100", "", 96)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	const (
		hidden, heads, kvHeads, dim, pages = 4096, 32, 8, 128, 64
		ints, floats, halves               = 4.0, 4.0, 2.0 // bytes
	)
	g := &ops.Graph{}
	input := func(name string, shape ...int) ops.Value { return g.Input(name, tensor.F32, shape...) }
	index := func(name string, shape ...int) ops.Value { return g.Input(name, tensor.I32, shape...) }
	state := func(name string, d tensor.DType, shape ...int) ops.Value {
		return g.State(tensor.Tensor{Name: name, DType: d, Shape: shape})
	}
	weight := func(d tensor.DType, shape ...int) ops.Value {
		w := tensor.Tensor{Name: "w", DType: d, Shape: shape}
		w.Layout = opship.LayoutOf(ops.WeightUse{DType: d, Shape: shape})
		return g.Weight(w)
	}
	for _, c := range []struct {
		name   string
		step   step
		record func(n int) ops.Value
		want   float64 // of the last launch
		alone  float64 // if there is no other; 0 for the same
	}{
		// 148 bytes for 256 weights of Q4_K as they lie on the device
		{"embed", prefillStep(512),
			func(n int) ops.Value { return ops.Embed(g, weight(quant.Q4_K, 10000, hidden), index("tokens", n)) },
			512 * (hidden*148/256 + floats*hidden + ints), 0},
		{"append", prefillStep(512), func(n int) ops.Value {
			return ops.KVAppend(g, state("k", tensor.F16, pages, runner.PageSize, kvHeads, dim),
				input("x", n, kvHeads, dim),
				index("pos", n), index("seq", n), index("pages", 1, 16))
		}, 512*(kvHeads*dim*(floats+halves)+2*ints) + 16*ints, 0},
		{"rows", prefillStep(512),
			func(n int) ops.Value { return ops.Rows(g, input("x", n, hidden), index("rows", 1)) }, 2*floats*hidden +
				ints, 0},
		{"slice", prefillStep(512), func(n int) ops.Value { return ops.Slice(g, input("x", n, hidden), 0, hidden/4) },
			512 * 2 * floats * hidden / 4, 0},
		// query and result, all keys and values, once
		{"attention", prefillStep(512), func(n int) ops.Value {
			return ops.Attention(g, input("q", n, heads, dim),
				state("k", tensor.F16, pages, runner.PageSize, kvHeads, dim),
				state("v", tensor.F16, pages, runner.PageSize, kvHeads, dim), index("pos", n), index("seq", n),
				index("pages", 1, 16), ops.Value{},
				ops.AttentionAttrs{Scale: 1})
		}, 512*(2*floats*heads*dim+2*halves*kvHeads*dim+2*ints) + 16*ints, 0},
		{"norm", prefillStep(512),
			func(n int) ops.Value { return ops.RMSNorm(g, input("x", n, hidden), weight(tensor.F32, hidden), 1) },
			floats * hidden * (2*512 + 1), 0},
		// the state of a sequence is read and written
		{"delta net", decodeStep(1, 0), func(n int) ops.Value {
			y, _ := ops.GatedDeltaNet(g, input("q", n, 16, 128), input("k", n, 16, 128), input("v", n, 48, 128),
				input("g", n, 48), input("b", n, 48),
				state("delta", tensor.F32, 9, 48, 128, 128), index("starts", 2), index("slots", 1),
				ops.GatedDeltaNetAttrs{Scale: 1})
			return y
		}, 2*floats*48*128*128 + floats*(2*16*128+2*48*128+2*48) + 3*ints, 0},
		{"convolution", decodeStep(2, 0), func(n int) ops.Value {
			y, _ := ops.CausalConv(g, input("x", n, hidden), state("conv", tensor.F32, 9, 3, hidden),
				weight(tensor.F32, hidden, 4), index("starts", 3), index("slots", 2))
			return y
		}, 2*(2*floats*3*hidden+2*floats*hidden) + floats*4*hidden + 5*ints, 0},
		// a launch of its own may keep three tokens for the next step
		{"convolution of a prompt", prefillStep(512), func(n int) ops.Value {
			y, _ := ops.CausalConv(g, input("x", n, hidden), state("conv", tensor.F32, 9, 3, hidden),
				weight(tensor.F32, hidden, 4), index("starts", 2), index("slots", 1))
			return y
		}, 3*floats*3*hidden + 3*ints, 2*floats*512*hidden + 2*floats*3*hidden + floats*4*hidden + 3*ints},
		// a token, as codes of three bytes and two floats for 32, and the eight experts of 256 that it chooses
		{"experts", decodeStep(1, 0), func(n int) ops.Value {
			return ops.MulMatExperts(g, input("x", n, 1, 512), weight(quant.Q8_0, 256, 64, 512), index("ids", n, 8))
		}, 8*64*512*34/32 + 3*512 + floats*(2*512/32+8*64) + 8*ints, 0},
	} {
		*g = ops.Graph{}
		ls, err := dev.Planned(g, c.record(c.step.tokens))
		if err != nil || len(ls) == 0 {
			t.Errorf("%s: %d launches, %v", c.name, len(ls), err)
			continue
		}
		l, want := ls[len(ls)-1], c.want
		if len(ls) == 1 && c.alone > 0 {
			want = c.alone
		}
		spec := kv.Spec{Paged: []kv.Paged{{Name: "k"}, {Name: "v"}}, Slots: []kv.Slot{{Name: "delta"}, {Name: "conv"}}}
		if got, err := newTraffic(c.step, spec, 8).moved(l); err != nil || got != want {
			t.Errorf("%s: %s moves %g bytes, want %g, %v", c.name, l.Launch.Symbol, got, want, err)
		}
	}
}

// TestExpertShare draws experts for one token and for many.
func TestExpertShare(t *testing.T) {
	for _, c := range []struct {
		tokens, chosen, experts int
		want                    float64
	}{{1, 8, 256, 8.0 / 256}, {2, 1, 2, 0.75}, {1, 4, 4, 1}, {512, 8, 256, 1}} {
		if got := newTraffic(prefillStep(c.tokens), kv.Spec{}, c.chosen).expertShare(c.experts); !near(got, c.want,
			1e-6) {
			t.Errorf("%+v: %g", c, got)
		}
	}
}

func TestPlanLimits(t *testing.T) {
	var out bytes.Buffer
	if err := planLimits(t.Context(), &out, limits.GPUs[2], regexp.MustCompile("^plan/qwen3-0"), true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plan/qwen3-0.6b", "decode at 4096", "prefill of 512", " products (", "glue",
		"1 x embed_"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	for l := range strings.Lines(out.String()) {
		if !strings.HasSuffix(l, "["+limits.Label+"]\n") || !strings.HasPrefix(l, "RX 9070 XT") ||
			strings.Contains(l, "8b") {
			t.Errorf("line %q", l)
		}
	}
}

// TestBounds bounds steps of a small model with its kernels, and compares what glue moves with the bytes that the
// emulator counts for it.
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
			t.Errorf("%s: %+v for %d launches that move %g bytes; parts are %g, binding %g", s.name, all,
				len(p.launches), sum.all.bytes, parts, binds)
		}
		seen := map[string]bool{}
		whole, err := opship.NewSampler(dev, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range p.launches {
			// of which kernels use what they need
			if k := kindOf(l); k == product || seen[l.Launch.Symbol] || l.Launch.Scratch > 0 {
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
		if len(seen) < 4 {
			t.Errorf("%s: %v were compared, no more", s.name, seen)
		}
		if err := whole.Close(); err != nil {
			t.Error(err)
		}
	}
}
