package opship

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Shapes and contents on which kernels can go wrong and references cannot: the tails of their tiles, their limits,
// padding, and the other variants of a kernel that conformance cases are too small to reach.

func input(shape ...int) ops.Arg {
	return ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: shape}
}

func inputOf(gen func(*rand.Rand) float32, shape ...int) ops.Arg {
	return ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: shape, Gen: gen}
}

func weight(dt tensor.DType, shape ...int) ops.Arg {
	return ops.Arg{Leaf: ops.Weight, DType: dt, Shape: shape}
}

func state(dt tensor.DType, shape ...int) ops.Arg {
	return ops.Arg{Leaf: ops.State, DType: dt, Shape: shape}
}

func ints(v ...int32) ops.Arg { return intsOf(tensor.Shape{len(v)}, v) }

func intsOf(s tensor.Shape, v []int32) ops.Arg {
	return ops.Arg{Leaf: ops.Input, DType: tensor.I32, Shape: s, Ints: v}
}

// wild returns magnitudes from 2^-40 to 2^40, zeros and both signs.
func wild(r *rand.Rand) float32 {
	if r.IntN(8) == 0 {
		return 0
	}
	return float32(math.Ldexp(r.NormFloat64(), r.IntN(80)-40))
}

func constant(x float32) func(*rand.Rand) float32 { return func(*rand.Rand) float32 { return x } }

// kernelCases are the conformance cases of op and those of this file.
func kernelCases(op *ops.Def) []ops.Case {
	var cs []ops.Case
	if op.Cases != nil {
		cs = op.Cases()
	}
	if more := moreCases[op]; more != nil {
		cs = append(cs, more()...)
	}
	return cs
}

var moreCases = map[*ops.Def]func() []ops.Case{
	ops.AddOp: func() []ops.Case {
		return []ops.Case{{Name: "wide",
			Args: []ops.Arg{input(3, 700), input(700)}}}
	},
	ops.SiLUOp:          wildCase(nil),
	ops.SigmoidOp:       wildCase(nil),
	ops.SoftplusOp:      wildCase(nil),
	ops.GELUOp:          wildCase(nil),
	ops.SoftcapOp:       wildCase(ops.SoftcapAttrs{Cap: 30}),
	ops.RMSNormOp:       normCases(true),
	ops.L2NormOp:        normCases(false),
	ops.EmbedOp:         embedCases,
	ops.RoPEOp:          ropeCases,
	ops.RouteOp:         routeCases,
	ops.TopKOp:          topKCases,
	ops.KVAppendOp:      kvAppendCases,
	ops.MulMatOp:        mulMatCases,
	ops.MulMatExpertsOp: expertCases,
	ops.AttentionOp:     attentionCases,
	ops.SelfAttentionOp: selfAttentionCases,

	ops.LatentAttentionOp: latentCases,

	ops.CausalConvOp:    convCases,
	ops.GatedDeltaNetOp: deltaCases,

	ops.MixtureOp:           oneTokenMixtures,
	ops.MixtureAddRMSNormOp: mixtureCases,
}

func wildCase(attrs any) func() []ops.Case {
	return func() []ops.Case {
		return []ops.Case{
			{Name: "wild", Attrs: attrs, Args: []ops.Arg{inputOf(wild, 3, 401)}},
			{Name: "small", Attrs: attrs,
				Args: []ops.Arg{inputOf(func(r *rand.Rand) float32 { return r.Float32()*2e-3 - 1e-3 }, 999)}},
			{Name: "large", Attrs: attrs,
				Args: []ops.Arg{inputOf(func(r *rand.Rand) float32 { return r.Float32()*400 - 200 }, 999)}},
			{Name: "minus20", Attrs: attrs,
				Args: []ops.Arg{inputOf(func(r *rand.Rand) float32 { return -20 - r.Float32() }, 99)}},
		}
	}
}

func normCases(weighted bool) func() []ops.Case {
	return func() []ops.Case {
		var cs []ops.Case
		for _, c := range []struct {
			name  string
			gen   func(*rand.Rand) float32
			shape []int
		}{{"wave", nil, []int{5, 1024}}, {"block", nil, []int{2, 5003}}, {"zero", constant(0), []int{2, 64}},
			{"wild", wild, []int{3, 2048}}} {
			args := []ops.Arg{inputOf(c.gen, c.shape...)}
			if weighted {
				args = append(args, input(c.shape[1]))
			}
			cs = append(cs, ops.Case{Name: c.name, Attrs: ops.NormAttrs{Eps: 1e-6}, Args: args})
		}
		return cs
	}
}

// rareTypes are the weight types that have no conformance cases: those that need an importance matrix, those of
// activations, and F64.
func rareTypes() []tensor.Format {
	var fs []tensor.Format
	for _, f := range tensor.Formats() {
		if _, ok := weightTypes[f.Name]; ok &&
			(quant.RequiresImatrix(f.DType) || f.Activation || f.DType == tensor.F64) {
			fs = append(fs, f)
		}
	}
	return fs
}

// weightFormats are all types with kernels.
func weightFormats() []tensor.Format {
	var fs []tensor.Format
	for _, f := range tensor.Formats() {
		if _, ok := weightTypes[f.Name]; ok {
			fs = append(fs, f)
		}
	}
	return fs
}

func embedCases() []ops.Case {
	var cs []ops.Case
	for _, f := range rareTypes() {
		cs = append(cs, ops.Case{Name: f.Name, Args: []ops.Arg{weight(f.DType, 9, 256), ints(0, 8, 3, 3, 1)}})
	}
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.F64} {
		cs = append(cs, ops.Case{Name: fmt.Sprint(dt, "/odd"), Args: []ops.Arg{weight(dt, 3, 37), ints(2, 1)}})
	}
	return append(cs, ops.Case{Name: "wide", Args: []ops.Arg{weight(quant.Q4_K, 3, 4608), ints(1, 2)}})
}

func ropeCases() []ops.Case {
	freqs := func(n int) ops.Arg {
		i := -1
		return inputOf(func(*rand.Rand) float32 {
			i = (i + 1) % (n / 2)
			return float32(math.Pow(1e6, -2*float64(i)/float64(n)))
		}, n/2)
	}
	var cs []ops.Case
	for _, p := range []ops.Pairing{ops.NeoX, ops.Interleaved} {
		cs = append(cs, ops.Case{Name: fmt.Sprint("far/", p), Attrs: ops.RoPEAttrs{NRot: 128, Pairing: p, MScale: 1},
			Args: []ops.Arg{input(4, 5, 160), ints(1<<20+1, 131071, 999983, 16777213), freqs(128)}})
	}
	return cs
}

func routeCases() []ops.Case {
	return []ops.Case{
		{Name: "most", Args: []ops.Arg{input(2, 1024)},
			Attrs: ops.RouteAttrs{K: 32, Gating: ops.Softmax, Norm: true, Scale: 1}},
		{Name: "odd", Args: []ops.Arg{input(3, 77), input(77)},
			Attrs: ops.RouteAttrs{K: 9, Gating: ops.SigmoidGate, Norm: true, Scale: 2.5}},
		{Name: "ties", Args: []ops.Arg{inputOf(constant(0.5), 2, 70)},
			Attrs: ops.RouteAttrs{K: 8, Gating: ops.Softmax, Scale: 1}},
		{Name: "tiny", Args: []ops.Arg{inputOf(constant(-30), 1, 64)},
			Attrs: ops.RouteAttrs{K: 4, Gating: ops.SigmoidGate, Norm: true, Scale: 1}},
		{Name: "topk", Args: []ops.Arg{inputOf(func(r *rand.Rand) float32 { return 30 * float32(r.NormFloat64()) }, 3,
			128)},
			Attrs: ops.RouteAttrs{K: 4, Gating: ops.SoftmaxTopK, Scale: 1}},
	}
}

// topKCases have a tail of a part, more parts than one join takes at once, and rows that are not finite.
func topKCases() []ops.Case {
	nth := func(at int, x float32) func(*rand.Rand) float32 {
		i := -1
		return func(r *rand.Rand) float32 {
			if i++; i == at || i > at && i%1000 == 0 {
				return x
			}
			return float32(r.NormFloat64())
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	var cs []ops.Case
	for _, k := range []int{1, 3, 64} {
		cs = append(cs,
			ops.Case{Name: fmt.Sprint("parts/", k), Args: []ops.Arg{input(2, 3*topKPart+1)},
				Attrs: ops.TopKAttrs{K: k}},
			ops.Case{Name: fmt.Sprint("equal/", k), Args: []ops.Arg{inputOf(constant(-2), 1, 2*topKPart)},
				Attrs: ops.TopKAttrs{K: k}},
			ops.Case{Name: fmt.Sprint("nan/", k), Args: []ops.Arg{inputOf(nth(5000, nan), 1, 9000)},
				Attrs: ops.TopKAttrs{K: k}},
			ops.Case{Name: fmt.Sprint("inf/", k), Args: []ops.Arg{inputOf(nth(17, inf), 2, 5000)},
				Attrs: ops.TopKAttrs{K: k}},
			ops.Case{Name: fmt.Sprint("-inf/", k), Args: []ops.Arg{inputOf(nth(4999, -inf), 1, 5000)},
				Attrs: ops.TopKAttrs{K: k}})
	}
	return append(cs, ops.Case{Name: "joins", Args: []ops.Arg{input(1, 70*topKPart)}, Attrs: ops.TopKAttrs{K: 64}})
}

// tokens are the index operands of a step, page tables scrambled.
type tokens struct {
	pos, seq []int32
	pages    ops.Arg
	total    int // pages of the cache
}

// stepOf builds the operands for tokens given as (sequence, position), -1 for padding, in pages of the given size.
func stepOf(page, sequences, perSeq int, at ...[2]int32) tokens {
	t := tokens{total: sequences*perSeq + 2}
	for _, a := range at {
		t.seq, t.pos = append(t.seq, a[0]), append(t.pos, a[1])
	}
	ids := rand.New(rand.NewPCG(uint64(page), uint64(sequences))).Perm(t.total)
	var table []int32
	for _, id := range ids[:sequences*perSeq] {
		table = append(table, int32(id))
	}
	t.pages = intsOf(tensor.Shape{sequences, perSeq}, table)
	return t
}

func kvAppendCases() []ops.Case {
	var cs []ops.Case
	t := stepOf(16, 3, 4, [2]int32{0, 5}, [2]int32{-1, 0}, [2]int32{2, 63}, [2]int32{1, 16}, [2]int32{-1, 77})
	for dt := range cacheTypes {
		for name, gen := range map[string]func(*rand.Rand) float32{"normal": nil, "wild": wild, "zero": constant(0),
			"halves": func(r *rand.Rand) float32 {
				return []float32{127, -127, float32(r.IntN(126)) + 0.5, -float32(r.IntN(126)) - 0.5}[r.IntN(4)]
			},
			"subnormal": func(r *rand.Rand) float32 { return float32(math.Ldexp(r.NormFloat64(), -140)) }} {
			if name == "wild" && dt == tensor.F32 {
				continue
			}
			cs = append(cs, ops.Case{Name: fmt.Sprint(dt, "/", name),
				Args: []ops.Arg{state(dt, t.total, 16, 3, 96), inputOf(gen, 5, 3, 96),
					ints(t.pos...), ints(t.seq...), t.pages}})
		}
	}
	return cs
}

func mulMatCases() []ops.Case {
	var cs []ops.Case
	add := func(name string, dt tensor.DType, gen func(*rand.Rand) float32, m, n, k int) {
		cs = append(cs, ops.Case{Name: fmt.Sprintf("%v/%sm%dn%dk%d", dt, name, m, n, k),
			Args: []ops.Arg{inputOf(gen, m, k), weight(dt, n, k)}})
	}
	for _, f := range rareTypes() {
		add("", f.DType, nil, 1, 5, 512)
		add("", f.DType, nil, 3, 5, 512)
		add("", f.DType, nil, 17, 66, 256)
	}
	add("", tensor.F64, nil, 130, 67, 40)
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64} { // in tiles of 32
		add("", dt, nil, 40, 70, 72)
	}
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.F64} {
		add("", dt, nil, 2, 5, 37)
		add("", dt, nil, 19, 5, 37)
		add("", dt, nil, 9, 3, 160)
		add("", dt, nil, 1, 1, 1)
		add("", dt, nil, 1, 9, 1000)
	}
	for _, f := range weightFormats() {
		if weightTypes[f.Name].dot.number == 0 {
			continue
		}
		dt := f.DType
		add("", dt, nil, 8, 6, 1280)
		add("", dt, nil, 1, 3, 4096)
		add("", dt, nil, 1, 47, 2560)
		add("", dt, nil, 2, 3, 256)
	}
	add("", quant.Q8_0, nil, 1, 43, 96)
	add("", quant.Q8_0, nil, 8, 9, 544)
	add("", quant.Q8_0, nil, 70, 130, 96)
	add("", quant.Q8_0, nil, 40, 66, 544) // halves of k that are not equal
	add("big", quant.Q4_K, func(r *rand.Rand) float32 { return 1e9 * float32(r.NormFloat64()) }, 10, 5, 256)
	add("tiny", quant.Q4_K, func(r *rand.Rand) float32 { return 1e-30 * float32(r.NormFloat64()) }, 10, 5, 256)
	add("zero", quant.Q4_K, constant(0), 10, 5, 256)
	add("zero", quant.Q4_K, constant(0), 2, 5, 256)
	return cs
}

func expertCases() []ops.Case {
	var cs []ops.Case
	add := func(dt tensor.DType, tokens, shared, k, experts, n, in int) {
		r := rand.New(rand.NewPCG(uint64(tokens), uint64(experts)))
		var ids []int32
		for range tokens {
			for _, e := range r.Perm(experts)[:k] {
				ids = append(ids, int32(e*e/max(1, experts-1))) // uneven, and some serve nobody
			}
		}
		cs = append(cs, ops.Case{Name: fmt.Sprintf("%v/t%dx%dk%de%dn%di%d", dt, tokens, shared, k, experts, n, in),
			Args: []ops.Arg{
				input(tokens, shared, in), weight(dt, experts, n, in), intsOf(tensor.Shape{tokens, k}, ids)}})
	}
	for _, f := range weightFormats() {
		add(f.DType, 20, 1, 2, 5, 70, max(256, f.Block))
	}
	add(quant.Q4_K, 9, 3, 3, 8, 33, 512)
	add(quant.Q8_0, 130, 1, 4, 6, 65, 96)
	add(tensor.F16, 40, 1, 1, 40, 64, 37)
	return cs
}

func attentionCases() []ops.Case {
	var cs []ops.Case
	add := func(name string, dt tensor.DType, page, heads, kv, dk, dv int, a ops.AttentionAttrs, sinks bool,
		t tokens) {
		c := ops.Case{Name: name, Attrs: a, Args: []ops.Arg{input(len(t.pos), heads, dk),
			state(dt, t.total, page, kv, dk), state(dt, t.total, page, kv, dv), ints(t.pos...), ints(t.seq...),
			t.pages}}
		if sinks {
			c.Args = append(c.Args, input(heads))
		}
		cs = append(cs, c)
	}
	// Prompts of two sequences, interleaved, with padding between: every tile of tokens meets both.
	var mixed [][2]int32
	for i := range int32(21) {
		mixed = append(mixed, [2]int32{1, 40 + i}, [2]int32{-1, 3}, [2]int32{0, i})
	}
	long := stepOf(16, 2, 5, mixed...)
	for _, dt := range []tensor.DType{tensor.F16, tensor.BF16, quant.Q8_0} {
		for _, d := range []int{64, 96, 128, 256} {
			add(fmt.Sprintf("%v/d%d", dt, d), dt, 16, 4, 2, d, d, ops.AttentionAttrs{Scale: 0.1}, false, long)
		}
		// Waves that share queries, of more blocks than one for each KV head.
		add(fmt.Sprintf("%v/d512", dt), dt, 16, 3, 1, 512, 512, ops.AttentionAttrs{Scale: 0.05, Window: 21}, true, long)
	}
	add("f16/d80", tensor.F16, 16, 2, 1, 80, 80, ops.AttentionAttrs{Scale: 0.1, Softcap: 9}, true, long)
	add("bf16/d80", tensor.BF16, 16, 3, 3, 80, 80, ops.AttentionAttrs{Scale: 0.1, Window: 30}, false, long)
	add("mma/window", tensor.F16, 16, 2, 1, 64, 64, ops.AttentionAttrs{Scale: 0.1, Window: 7}, false, long)
	add("mma/softcap", tensor.F16, 16, 2, 1, 64, 64, ops.AttentionAttrs{Scale: 1, Softcap: 5}, false, long)
	add("mma/sinks", tensor.F16, 16, 2, 1, 64, 64, ops.AttentionAttrs{Scale: 0.1}, true, long)
	add("mma/all", tensor.F16, 16, 3, 3, 128, 128, ops.AttentionAttrs{Scale: 0.1, Softcap: 9, Window: 33}, true, long)

	// A page table for 1024 keys makes plans split them, whatever the lengths are.
	few := stepOf(16, 3, 64, [2]int32{0, 1000}, [2]int32{1, 2}, [2]int32{-1, 0}, [2]int32{2, 511})
	for dt := range cacheTypes {
		add(fmt.Sprintf("%v/split", dt), dt, 16, 4, 2, 64, 64, ops.AttentionAttrs{Scale: 0.2}, false, few)
	}
	add("split/sinks", tensor.F16, 16, 2, 1, 32, 32, ops.AttentionAttrs{Scale: 0.2, Softcap: 20}, true, few)
	add("split/window", tensor.F16, 16, 2, 1, 32, 32, ops.AttentionAttrs{Scale: 0.2, Window: 600}, false, few)
	add("split/wide", tensor.F16, 16, 1, 1, 40, 300, ops.AttentionAttrs{Scale: 0.2}, false, few)

	short := stepOf(3, 2, 7, [2]int32{0, 20}, [2]int32{-1, 1}, [2]int32{1, 9})
	add("mla", tensor.F16, 3, 4, 1, 576, 512, ops.AttentionAttrs{Scale: 0.05}, false, short)
	add("odd", tensor.F16, 3, 2, 1, 37, 51, ops.AttentionAttrs{Scale: 0.2}, true, short)
	add("odd", tensor.F32, 3, 2, 1, 5, 3, ops.AttentionAttrs{Scale: 0.2}, false, short)
	return append(cs, decodeCases()...)
}

// latentCases have page tables that make plans split the rows, for the sizes of the matrix kernels and others.
func latentCases() []ops.Case {
	few := stepOf(16, 3, 32, [2]int32{0, 300}, [2]int32{1, 2}, [2]int32{-1, 0}, [2]int32{2, 127})
	var cs []ops.Case
	for _, dt := range []tensor.DType{tensor.F16, quant.Q8_0} {
		cs = append(cs, ops.Case{Name: fmt.Sprintf("%v/split", dt),
			Attrs: ops.LatentAttentionAttrs{Scale: 0.05, Values: latentValues}, Args: []ops.Arg{
				input(len(few.pos), 18, latentDim), state(dt, few.total, 16, 1, latentDim), ints(few.pos...),
				ints(few.seq...), few.pages}})
	}
	return append(cs, ops.Case{Name: "split/odd", Attrs: ops.LatentAttentionAttrs{Scale: 0.2, Values: 51}, Args: []ops.Arg{
		input(len(few.pos), 3, 77), state(tensor.BF16, few.total, 16, 1, 77), ints(few.pos...), ints(few.seq...),
		few.pages}})
}

func convCases() []ops.Case {
	var cs []ops.Case
	for _, c := range []struct {
		name           string
		channels, taps int
		starts, slots  []int32
	}{
		{"padding", 300, 4, []int32{0, 2, 2, 5, 5}, []int32{3, 0, 4, 1}},
		{"long", 300, 4, []int32{0, 37, 37, 60}, []int32{1, 2, 0}},
		{"taps2", 33, 2, []int32{0, 1, 40}, []int32{1, 0}},
		{"taps5", 33, 5, []int32{0, 2, 3}, []int32{0, 1}},
	} {
		last := int(c.starts[len(c.starts)-1]) + 21 // padding, more than a run of causal_conv_f32_tokens
		cs = append(cs, ops.Case{Name: c.name,
			Args: []ops.Arg{input(last, c.channels), state(tensor.F32, 5, c.taps-1, c.channels),
				input(c.channels, c.taps), ints(c.starts...), ints(c.slots...)}})
	}
	return cs
}

func deltaCases() []ops.Case {
	var cs []ops.Case
	for _, c := range []struct {
		name           string
		nk, nv, dk, dv int
		tiled          bool
		starts, slots  []int32
	}{
		{"padding", 2, 4, 32, 32, true, []int32{0, 3, 3, 100, 100}, []int32{3, 0, 4, 1}},
		{"d20", 1, 2, 20, 7, false, []int32{0, 1, 34}, []int32{1, 0}},
		{"d64", 1, 2, 64, 64, false, []int32{0, 1, 66}, []int32{1, 2}},
		{"d96", 1, 2, 96, 100, false, []int32{0, 33}, []int32{1}},
		{"d256", 1, 1, 256, 40, true, []int32{0, 11}, []int32{0}},
	} {
		n := int(c.starts[len(c.starts)-1]) + 3 // padding
		unit := inputOf(func(r *rand.Rand) float32 { return 2 * float32(r.NormFloat64()/math.Sqrt(float64(4*c.dk))) },
			n, c.nk, c.dk)
		cs = append(cs, ops.Case{Name: c.name, Attrs: ops.GatedDeltaNetAttrs{Scale: 0.25, Tiled: c.tiled},
			Args: []ops.Arg{
				unit, unit, input(n, c.nv, c.dv),
				inputOf(func(r *rand.Rand) float32 { return -3 * r.Float32() }, n, c.nv),
				inputOf(func(r *rand.Rand) float32 { return r.Float32() }, n, c.nv),
				state(tensor.F32, 5, c.nv, c.dv, c.dk), ints(c.starts...), ints(c.slots...)}})
	}
	return cs
}

// mixtureCases have rows that a block normalizes, not a wave, and types that conformance cases leave out.
func mixtureCases() []ops.Case {
	var cs []ops.Case
	for _, c := range []struct {
		tokens, ff int
		down       tensor.DType
	}{{1, 32, quant.Q8_0}, {5, 256, quant.Q6_K}, {11, 32, quant.Q8_0}} {
		cs = append(cs, ops.Case{Name: fmt.Sprintf("wide/%v/t%d", c.down, c.tokens),
			Attrs: ops.MixtureNormAttrs{Mixture: ops.MixtureAttrs{Route: ops.RouteAttrs{K: 2, Norm: true, Scale: 1}},
				Norm: ops.NormAttrs{Eps: 1e-6}},
			Args: []ops.Arg{input(c.tokens, 516), input(516), input(c.tokens, 32), weight(tensor.F32, 3, 32),
				weight(quant.Q8_0, 3, c.ff, 32),
				weight(quant.Q8_0, 3, c.ff, 32), weight(c.down, 3, 516, c.ff)}})
	}
	for _, c := range oneTokenMixtures() {
		out := c.Args[4].Shape[1]
		cs = append(cs, ops.Case{Name: c.Name, Attrs: ops.MixtureNormAttrs{Mixture: c.Attrs.(ops.MixtureAttrs),
			Norm: ops.NormAttrs{Eps: 1e-6}}, Args: append([]ops.Arg{input(1, out), input(out)}, c.Args...)})
	}
	return cs
}

// oneTokenMixtures are those of each type with integer dot products for several tokens.
func oneTokenMixtures() []ops.Case {
	var cs []ops.Case
	for _, d := range []tensor.DType{quant.Q8_0, quant.Q4_K, quant.Q6_K} {
		cs = append(cs, ops.Case{Name: fmt.Sprintf("one/%v", d),
			Attrs: ops.MixtureAttrs{Route: ops.RouteAttrs{K: 3, Norm: true, Scale: 1}},
			Args: []ops.Arg{input(1, 256), weight(tensor.F32, 5, 256), weight(d, 5, 256, 256),
				weight(d, 5, 256, 256), weight(d, 5, 44, 256)}})
	}
	return cs
}
