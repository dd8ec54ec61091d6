package opship

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// decodeCase is attention over a cache of pages of 32 tokens.
func decodeCase(name string, dt tensor.DType, heads, kv, dim int, a ops.AttentionAttrs, sinks bool, sequences,
	perSeq int, at ...[2]int32) ops.Case {
	t := stepOf(32, sequences, perSeq, at...)
	c := ops.Case{Name: fmt.Sprintf("%v/decode/%s", dt, name), Attrs: a, Args: []ops.Arg{input(len(at), heads, dim),
		state(dt, t.total, 32, kv, dim), state(dt, t.total, 32, kv, dim), ints(t.pos...), ints(t.seq...), t.pages}}
	if sinks {
		c.Args = append(c.Args, input(heads))
	}
	return c
}

// decodeCases reach every kernel of attention_decode.hip: every head dim and number of columns, keys of one wave, of
// some and of several blocks, tokens of one sequence and of several in a tile, groups that do not fit the columns.
func decodeCases() []ops.Case {
	var cs []ops.Case
	plain := ops.AttentionAttrs{Scale: 0.1}
	for dt := range cacheTypes {
		for _, dim := range []int{64, 96, 128, 256, 512} {
			for _, group := range []int{3, 6, 8} {
				cs = append(cs, decodeCase(fmt.Sprintf("d%dg%d", dim, group), dt, 2*group, 2, dim, plain, false, 1, 9,
					[2]int32{0, 263}))
			}
		}
		cs = append(cs, decodeCase("first", dt, 4, 2, 64, plain, false, 1, 1, [2]int32{0, 0}),
			decodeCase("sinks", dt, 4, 2, 64, ops.AttentionAttrs{Scale: 0.2, Softcap: 5}, true, 2, 40,
				[2]int32{1, 1234}, [2]int32{0, 7}),
			decodeCase("window", dt, 4, 1, 64, ops.AttentionAttrs{Scale: 0.2, Window: 700}, false, 2, 40,
				[2]int32{0, 1234}, [2]int32{1, 600}))
	}
	d80 := decodeCase("d80", tensor.F16, 4, 2, 80, plain, false, 1, 9, [2]int32{0, 70})
	var draft, mixed [][2]int32
	for i := range int32(7) {
		draft = append(draft, [2]int32{0, 60 + i})
		mixed = append(mixed, [2]int32{i / 3, 600 - 300*(i/3) + i%3}, [2]int32{-1, 0})
	}
	all := ops.AttentionAttrs{Scale: 0.2, Softcap: 9, Window: 61}
	return append(cs, d80,
		decodeCase("draft", tensor.F16, 4, 2, 64, plain, false, 1, 3, draft...),
		decodeCase("mixed", tensor.F16, 4, 2, 64, plain, false, 3, 20, mixed...),
		decodeCase("mixed/all", quant.Q8_0, 4, 2, 64, all, true, 3, 20, mixed...),
		decodeCase("narrow", tensor.F16, 3, 3, 64, plain, false, 1, 3, draft...),
		decodeCase("wide", tensor.F16, 20, 1, 64, plain, true, 2, 40, [2]int32{1, 1100}, [2]int32{-1, 0},
			[2]int32{0, 3}),
		decodeCase("batch", tensor.F16, 4, 2, 64, plain, false, 20, 1, manySequences(20)...))
}

// manySequences has a token of each of n sequences.
func manySequences(n int32) (at [][2]int32) {
	for i := range n {
		at = append(at, [2]int32{n - 1 - i, i})
	}
	return at
}

// TestDecodeLong compares attention_decode with the oracle at positions from the first to far ones, and asks for the
// same bits again.
func TestDecodeLong(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for i, target := range emulated {
		e := newEmulator(t, target)
		e.target.CUs = 96
		for _, dt := range []tensor.DType{tensor.F16, quant.Q8_0} {
			for _, pos := range []int32{0, 1, 31, 1000, 33000, 131071} {
				if i > 0 && pos > 1000 {
					continue // takes long, and one target is enough
				}
				t.Run(fmt.Sprint(target, "/", dt, "/", pos), func(t *testing.T) {
					p := newProblem(t, ops.AttentionOp,
						decodeCase(fmt.Sprint(pos), dt, 4, 1, 64, ops.AttentionAttrs{Scale: 0.125}, false, 1,
							int(pos)/32+1, [2]int32{0, pos}))
					k, ok := kernels.find(p.node, e.target)
					if !ok || k.Name != "attention_decode" {
						t.Fatalf("kernel %q is chosen", k.Name)
					}
					stored, wide := p.reference(t, opsref.Options{Oracle: true})
					got := e.run(t, p, k)
					compare(t, p, got, stored, wide, boundFloat)
					if again := e.run(t, p, k); !bytes.Equal(again[0], got[0]) {
						t.Error("a second run gives other bits")
					}
				})
			}
		}
	}
}

// TestDecodeReadsOnce bounds the bytes that lanes load by those that must come from memory.
func TestDecodeReadsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		d, err := OpenCounting(target, "attention_decode", 96)
		must(t, err)
		defer closing(t, d.Close)
		for _, dt := range []tensor.DType{tensor.F16, quant.Q8_0} {
			for symbol, c := range map[string]ops.Case{
				"128x4": decodeCase("once", dt, 8, 2, 128, ops.AttentionAttrs{Scale: 0.1}, false, 1, 65,
					[2]int32{0, 2050}),
				"256x6": decodeCase("once", dt, 12, 2, 256, ops.AttentionAttrs{Scale: 0.1}, false, 1, 65,
					[2]int32{0, 2050}),
			} {
				symbol = fmt.Sprintf("attention_%s_decode%s", cacheTypes[dt], symbol)
				newProblem(t, ops.AttentionOp, c).results(t, d, ops.AttentionOp)
				k := d.Executed()[symbol]
				if k.Launches != 1 || float64(k.GlobalLoadBytes) > 1.2*float64(k.LoadedOnce) {
					t.Errorf("%s: %s: %d launches load %d bytes, of which %d are different", target, symbol,
						k.Launches, k.GlobalLoadBytes, k.LoadedOnce)
				}
			}
		}
	}
}

// TestDecodeEmits compares products of codes that attention writes with those of codes that are made from its result,
// with one block for a sequence and with several.
func TestDecodeEmits(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		emits, plain := emitters(t, target)
		for _, dim := range []int{64, 96, 256} {
			for _, pos := range []int32{20, 700} {
				c := decodeCase("emits", tensor.F16, 4, 2, dim, ops.AttentionAttrs{Scale: 0.1}, false, 2, 24,
					[2]int32{0, pos}, [2]int32{-1, 0}, [2]int32{1, 3})
				p := newProblem(t, ops.AttentionOp, c)
				others := map[string][]byte{}
				for i, v := range p.node.In {
					if i > 0 {
						others[v.Node().Name] = p.data[i]
					}
				}
				run := func(d *Device, packs int) []float32 {
					return productOf(t, d, 3, 4*dim, packs, others, func(g *ops.Graph, x, _ ops.Value) ops.Value {
						in := []ops.Value{ops.Reshape(g, x, 3, 4, dim)}
						for _, v := range p.node.In[1:] {
							in = append(in, g.Input(v.Node().Name, v.DType(), v.Shape()...))
						}
						return ops.Reshape(g, g.Add(ops.AttentionOp, c.Attrs, in...)[0], 3, 4*dim)
					})
				}
				if e := relative(run(emits, 0), run(plain, 1)); !(e <= 1e-13) {
					t.Errorf("%s: heads of %d, position %d: error %g", target, dim, pos, e)
				}
			}
		}
	}
}

// TestDecodeReplays runs a plan directly and as a graph, whose blocks count themselves anew each time.
func TestDecodeReplays(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	d, err := OpenWith("emu:"+emulated[0], FromEnv())
	must(t, err)
	defer closing(t, d.Close)
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	p := newProblem(t, ops.AttentionOp,
		decodeCase("replays", tensor.F16, 4, 1, 64, ops.AttentionAttrs{Scale: 0.125}, false, 1, 20, [2]int32{0, 600}))
	g := &ops.Graph{}
	var in []ops.Value
	for _, v := range p.node.In {
		in = append(in, g.Input(v.Node().Name, v.DType(), v.Shape()...))
	}
	plan, err := d.compile(g, nil, g.Add(ops.AttentionOp, p.node.Attrs, in...))
	must(t, err)
	defer closing(t, plan.Close)
	if plan.counters == nil {
		t.Fatal("keys are not shared out")
	}
	for i, v := range p.node.In {
		ten, _ := plan.Input(v.Node().Name)
		must(t, s.Upload(ten, p.data[i]))
	}
	first, again := make([]byte, 4*4*64), make([]byte, 4*4*64)
	for i := range 1000 {
		must(t, s.Run(plan))
		must(t, s.Download(again, plan.Output(0)))
		must(t, s.Sync(t.Context()))
		if i == 0 {
			copy(first, again)
		}
		if !bytes.Equal(first, again) {
			t.Fatalf("run %d gives other bits", i)
		}
	}
}

// TestDecodePlans checks how tokens and heads are shared out.
func TestDecodePlans(t *testing.T) {
	for _, c := range []struct {
		dt                             tensor.DType
		tokens, sequences, group, dim  int
		columns, tile, chunks, grid, n int // n is the largest number of columns that a token's heads take
	}{
		{tensor.F16, 1, 1, 4, 128, 4, 1, 1, 1, 4},
		{tensor.F16, 2, 1, 4, 128, 8, 2, 1, 1, 4},
		{tensor.F16, 3, 1, 4, 128, 8, 2, 1, 2, 4},
		{tensor.F16, 32, 32, 4, 128, 4, 1, 1, 32, 4},
		{tensor.F16, 1, 1, 6, 256, 6, 1, 1, 1, 6},
		{quant.Q8_0, 1, 1, 8, 256, 8, 1, 1, 1, 8},
		{quant.Q8_0, 1, 1, 16, 128, 8, 1, 2, 2, 8},
		{tensor.F16, 8, 1, 1, 96, 8, 8, 1, 1, 1},
		{tensor.BF16, 1, 1, 8, 64, 4, 1, 2, 2, 4},
		{tensor.F16, 1, 1, 2, 512, 4, 1, 1, 1, 2},
	} {
		var at [][2]int32
		for i := range c.tokens {
			at = append(at, [2]int32{int32(i % c.sequences), int32(i / c.sequences)})
		}
		p := newProblem(t, ops.AttentionOp,
			decodeCase("plan", c.dt, 2*c.group, 2, c.dim, ops.AttentionAttrs{Scale: 0.1}, false, c.sequences, 1,
				at...))
		a := attentionOf(p.node)
		got, ok := planDecode(a, NewTarget("gfx1100", 96))
		if !ok || !a.matchesDecode(NewTarget("gfx1100", 96)) || got.columns != c.columns || got.tile != c.tile ||
			got.chunks != c.chunks || got.blocks != c.grid {
			t.Errorf("%d tokens of %d sequences, %d heads of %d: %+v, want %+v", c.tokens, c.sequences, c.group, c.dim,
				got, c)
		}
		if got.tile*c.n > got.columns || got.splits < 1 || got.splits*got.blocks*2 > 96 && got.splits > 1 {
			t.Errorf("%+v: tokens of a tile do not fit, or there are too many blocks", got)
		}
	}
}

// TestDecodeGrid checks that what a plan launches does not depend on how long sequences can become.
func TestDecodeGrid(t *testing.T) {
	targets := []string{"gfx1100", "gfx1201", "sm_90"}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves all but one target to make emulator")
		targets = targets[:1]
	}
	for _, target := range targets {
		d := planner(target)
		var grids [][3]uint32
		for _, pages := range []int{1, 4, 1024} {
			p := newProblem(t, ops.AttentionOp,
				decodeCase("grid", tensor.F16, 8, 2, 128, ops.AttentionAttrs{Scale: 0.1}, false, 1, pages,
					[2]int32{0, 0}))
			k, err := d.kernelFor(p.node, d.target)
			must(t, err)
			ls, err := k.Launch(p.node, d.target)
			must(t, err)
			if len(ls) != 1 || ls[0].Counters == 0 {
				t.Fatalf("%s: %d launches, %d counters", target, len(ls), ls[0].Counters)
			}
			grids = append(grids, ls[0].Grid)
		}
		for _, g := range grids {
			if g != grids[0] || g[1] < 8 {
				t.Errorf("%s: grids are %v", target, grids)
			}
		}
	}
}
