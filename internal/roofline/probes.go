package roofline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// probe is an op at one size, which conform --limits executes with one kernel.
type probe struct {
	op     *ops.Def
	kernel string // registered name
	ops.Case
}

// String lists the operands: "mul_mat F32 1x4096, Q4_K 1024x4096".
func (p probe) String() string {
	var args []string
	for _, a := range p.Args {
		dims := make([]string, len(a.Shape))
		for i, n := range a.Shape {
			dims[i] = fmt.Sprint(n)
		}
		args = append(args, a.DType.String()+" "+strings.Join(dims, "x"))
	}
	return p.op.Name + " " + strings.Join(args, ", ")
}

// Sizes of the probes. Bounds of a mat-vec do not depend on the number of rows, nor those of a tile on the number of
// tiles, so that few are enough.
const (
	decodeRows, decodeCols   = 1024, 4096 // a quarter of the rows of an 8B model's attention output
	prefillTokens            = 256
	prefillRows, prefillCols = 1024, 4096
	plainTokens              = 64 // of kernels without matrix instructions, which take long to emulate
	plainRows, plainCols     = 512, 1024
	decodeKeys               = 4096   // keys of the attention of a decode step
	longKeys                 = 131072 // and of a long one
	hidden                   = 5120   // width of Qwen3.6-27B
	vocabulary               = 151936 // of Qwen3
)

// probeList collects probes.
type probeList []probe

func (l *probeList) add(op *ops.Def, kernel string, attrs any, args ...ops.Arg) {
	*l = append(*l, probe{op, kernel, ops.Case{Args: args, Attrs: attrs}})
}

func f32s(shape ...int) ops.Arg { return ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: shape} }

func i32s(ints []int32, shape ...int) ops.Arg {
	return ops.Arg{Leaf: ops.Input, DType: tensor.I32, Shape: shape, Ints: ints}
}

func weightOf(d tensor.DType, shape ...int) ops.Arg {
	return ops.Arg{Leaf: ops.Weight, DType: d, Shape: shape}
}

func stateOf(d tensor.DType, shape ...int) ops.Arg {
	return ops.Arg{Leaf: ops.State, DType: d, Shape: shape}
}

// probes are sizes of real models for every registered kernel, in every form that it has. Those that a target cannot
// run are left out by who executes them.
func probes() []probe {
	var l probeList
	l.products()
	l.attention()
	l.recurrent()
	l.experts()
	l.rest()
	return l
}

// weightTypes are the types of weights.
func weightTypes() []tensor.DType {
	var ds []tensor.DType
	for _, f := range tensor.Formats() {
		if f.Dequant != nil {
			ds = append(ds, f.DType)
		}
	}
	return ds
}

// products are mul_mat and embed for every type of weights.
func (l *probeList) products() {
	for _, d := range weightTypes() {
		for _, kernel := range []string{"mul_mat_dot", "mul_mat_vec"} {
			l.add(ops.MulMatOp, kernel, nil, f32s(1, decodeCols), weightOf(d, decodeRows, decodeCols))
			l.add(ops.MulMatOp, kernel, nil, f32s(8, decodeCols), weightOf(d, decodeRows/4, decodeCols))
		}
		for _, tokens := range []int{2, 16, 32} {
			l.add(ops.MulMatOp, "mul_mat_skinny", nil, f32s(tokens, decodeCols), weightOf(d, decodeRows, decodeCols))
		}
		for _, tokens := range []int{1, 8} {
			x, w := f32s(tokens, decodeCols), weightOf(d, decodeRows, decodeCols)
			l.add(ops.MulMatGroup3Op, "mul_mat_group3_dot", ops.MulMatAttrs{}, x, w,
				w, weightOf(quant.Q8_0, decodeRows, decodeCols))
			l.add(ops.MulMatSwiGLUOp, "mul_mat_swiglu_dot", ops.MulMatAttrs{}, x, w, w)
			l.add(ops.MulMatAddRMSNormOp, "mul_mat_add_rms_norm_dot",
				ops.MulMatNormAttrs{Norm: ops.NormAttrs{Eps: 1e-6}}, x, w,
				f32s(tokens, decodeRows), f32s(decodeRows))
		}
		if d == quant.Q8_0 || d == quant.Q4_K || d == quant.Q6_K {
			x, w := f32s(1, decodeCols), weightOf(d, decodeRows, decodeCols)
			l.add(ops.MulMatOp, "mul_mat_stream", nil, x, w)
			l.add(ops.MulMatGroup3Op, "mul_mat_group3_stream", ops.MulMatAttrs{}, x, w, w,
				weightOf(quant.Q8_0, decodeRows, decodeCols))
			l.add(ops.MulMatSwiGLUOp, "mul_mat_swiglu_stream", ops.MulMatAttrs{}, x, w, w)
			l.add(ops.MulMatAddRMSNormOp, "mul_mat_add_rms_norm_stream",
				ops.MulMatNormAttrs{Norm: ops.NormAttrs{Eps: 1e-6}}, x, w, f32s(1, decodeRows), f32s(decodeRows))
		}
		l.add(ops.MulMatOp, "mul_mat_mma", nil, f32s(prefillTokens, prefillCols),
			weightOf(d, prefillRows, prefillCols))
		if d == quant.Q8_0 || d == quant.Q4_K || d == quant.Q6_K { // whose tiles are smaller where they are few
			for _, rows := range []int{2 * prefillRows, 3 * prefillRows} {
				l.add(ops.MulMatOp, "mul_mat_mma", nil, f32s(prefillTokens, prefillCols),
					weightOf(d, rows, prefillCols))
			}
		}
		l.add(ops.MulMatOp, "mul_mat_tile", nil, f32s(plainTokens, plainCols), weightOf(d, plainRows, plainCols))
		if d == tensor.F32 || d == tensor.F64 { // whose tiles are smaller where they are few
			for _, n := range []int{320, 640} {
				l.add(ops.MulMatOp, "mul_mat_tile", nil, f32s(n, 32), weightOf(d, n, 32))
			}
		}
		l.add(ops.EmbedOp, "embed", nil, weightOf(d, plainRows, hidden), i32s(rising(0, prefillTokens), prefillTokens))
	}
}

// experts are the ops of mixtures at the sizes of Qwen3.6-35B-A3B; only experts that are chosen cost.
func (l *probeList) experts() {
	const chosen, in, out = 8, 2048, 512
	ids := func(tokens, experts int) ops.Arg {
		x := make([]int32, tokens*chosen)
		for i := range x {
			x[i] = int32(i % experts)
		}
		return i32s(x, tokens, chosen)
	}
	for _, d := range weightTypes() {
		for _, kernel := range []string{"mul_mat_experts_dot", "mul_mat_experts_vec"} {
			l.add(ops.MulMatExpertsOp, kernel, nil, f32s(1, 1, in), weightOf(d, chosen, out, in), ids(1, chosen))
		}
		// 16 pairs of token and choice for each expert, as a prompt of 512 tokens has with 256 experts, and 64
		for _, experts := range []int{32, 8} {
			l.add(ops.MulMatExpertsOp, "mul_mat_experts_mma", nil, f32s(plainTokens, 1, in),
				weightOf(d, experts, out, in), ids(plainTokens, experts))
		}
	}
	mixture := func(kernel string, tokens, out, experts int, first, down tensor.DType, norm bool) {
		const ff = 512
		a := ops.MixtureAttrs{Route: ops.RouteAttrs{K: chosen, Norm: true, Scale: 1}}
		args := []ops.Arg{f32s(tokens, in), weightOf(tensor.F32, experts, in),
			weightOf(first, experts, ff, in), weightOf(first, experts, ff, in), weightOf(down, experts, out, ff),
			weightOf(first, ff, in), weightOf(first, ff, in), weightOf(down, out, ff), weightOf(tensor.F32, 1, in)}
		if norm {
			args = append([]ops.Arg{f32s(tokens, out), f32s(out)}, args...)
			l.add(ops.SharedMixtureAddRMSNormOp, kernel,
				ops.MixtureNormAttrs{Mixture: a, Norm: ops.NormAttrs{Eps: 1e-6}}, args...)
			return
		}
		l.add(ops.SharedMixtureOp, kernel, a, args...)
	}
	for _, d := range []tensor.DType{quant.Q8_0, quant.Q4_K, quant.Q6_K} {
		for _, kernel := range []string{"dot", "stream"} {
			mixture("shared_mixture_"+kernel, 1, in, chosen, d, d, false)
			mixture("shared_mixture_add_rms_norm_"+kernel, 1, in, chosen, d, d, true)
		}
	}
	mixture("shared_mixture_add_rms_norm_mma", plainTokens, in, 16, quant.Q4_K, quant.Q4_K, true)
	mixture("shared_mixture_add_rms_norm_mma", plainTokens, 512, 16, quant.Q4_K, quant.Q4_K, true)
	for _, g := range []ops.Gating{ops.Softmax, ops.SigmoidGate, ops.SoftmaxTopK} {
		l.add(ops.RouteOp, "route_f32", ops.RouteAttrs{K: chosen, Gating: g, Norm: true, Scale: 1},
			f32s(prefillTokens, 256))
	}
	l.add(ops.AddExpertsOp, "add_experts_f32", nil, f32s(prefillTokens, chosen, out), f32s(256, out),
		ids(prefillTokens, 256))
	l.add(ops.WeightedSumOp, "weighted_sum_f32", nil, f32s(prefillTokens, chosen, in), f32s(prefillTokens, chosen))
}

// attention is attention at the sizes of Qwen3-8B, of Qwen3.6-27B for heads of 256 and of Gemma 4 for those of 512,
// latent attention at those of DeepSeek V2 Lite, and the cache.
func (l *probeList) attention() {
	add := func(kernel string, d tensor.DType, tokens, keys, heads, kv, dim int) {
		pages := (keys + runner.PageSize - 1) / runner.PageSize
		l.add(ops.AttentionOp, kernel, ops.AttentionAttrs{Scale: 0.1}, f32s(tokens, heads, dim),
			stateOf(d, pages, runner.PageSize, kv, dim), stateOf(d, pages, runner.PageSize, kv, dim),
			i32s(rising(keys-tokens, tokens), tokens), i32s(make([]int32, tokens), tokens),
			i32s(rising(0, pages), 1, pages))
	}
	for _, d := range []tensor.DType{tensor.F16, tensor.BF16, quant.Q8_0, tensor.F32} {
		add("attention_plain", d, 1, decodeKeys, 32, 8, 128)
		for _, heads := range []int{32, 64} {
			add("attention_decode", d, 1, decodeKeys, heads, 8, 64)
			add("attention_decode", d, 1, decodeKeys, heads, 8, 128)
		}
		for _, heads := range []int{16, 24, 32} {
			add("attention_decode", d, 1, decodeKeys, heads, 4, 256)
		}
		add("attention_decode", d, 1, decodeKeys, 8, 2, 512)
		for _, dim := range []int{64, 96, 128} {
			add("attention_mma", d, prefillTokens, prefillTokens, 32, 8, dim)
		}
		add("attention_mma", d, prefillTokens, prefillTokens, 24, 4, 256)
		add("attention_mma", d, prefillTokens, prefillTokens, 16, 2, 512)
		pages := prefillTokens / runner.PageSize
		l.add(ops.KVAppendOp, "kv_append", nil, stateOf(d, pages, runner.PageSize, 8, 128),
			f32s(prefillTokens, 8, 128),
			i32s(rising(0, prefillTokens), prefillTokens), i32s(make([]int32, prefillTokens), prefillTokens),
			i32s(rising(0, pages), 1, pages))
	}
	for _, d := range []tensor.DType{tensor.F16, tensor.BF16} { // rows of Q8_0 are multiples of 32
		add("attention_mma", d, prefillTokens, prefillTokens, 32, 32, 80)
	}
	add("attention_plain", tensor.F16, 1, decodeKeys, 24, 4, 256)
	for _, d := range []tensor.DType{tensor.F16, quant.Q8_0} {
		add("attention_decode", d, 1, longKeys, 4, 1, 128)
		add("attention_decode", d, 1, longKeys, 6, 1, 256)
		pages := decodeKeys / runner.PageSize
		l.add(ops.LatentAttentionOp, "latent_attention_shared", ops.LatentAttentionAttrs{Scale: 0.1, Values: 512},
			f32s(1, 16, 576), stateOf(d, pages, runner.PageSize, 1, 576), i32s([]int32{decodeKeys - 1}, 1),
			i32s([]int32{0}, 1), i32s(rising(0, pages), 1, pages))
	}
}

// recurrent are the ops of gated DeltaNet at the sizes of Qwen3.6-27B, in all widths of heads.
func (l *probeList) recurrent() {
	const keyHeads, valueHeads, channels = 16, 48, 10240
	steps := func(tokens int) []ops.Arg { return []ops.Arg{i32s([]int32{0, int32(tokens)}, 2), i32s([]int32{0}, 1)} }
	delta := func(kernel string, tokens, width int) {
		l.add(ops.GatedDeltaNetOp, kernel, ops.GatedDeltaNetAttrs{Scale: 0.1, Tiled: true}, append([]ops.Arg{
			f32s(tokens, keyHeads, width), f32s(tokens, keyHeads, width), f32s(tokens, valueHeads, width),
			f32s(tokens, valueHeads),
			f32s(tokens, valueHeads), stateOf(tensor.F32, 1, valueHeads, width, width)}, steps(tokens)...)...)
	}
	for _, width := range []int{16, 32, 64, 128, 256} {
		delta("gated_delta_net_f32_serial", 1, width)
		if width >= 32 && width <= 128 {
			delta("gated_delta_net_f32_chunk", prefillTokens, width)
		}
	}
	conv := func(kernel string, tokens int) {
		l.add(ops.CausalConvOp, kernel, nil,
			append([]ops.Arg{f32s(tokens, channels), stateOf(tensor.F32, 1, 3, channels), f32s(channels, 4)},
				steps(tokens)...)...)
	}
	conv("causal_conv_f32_serial", 1)
	conv("causal_conv_f32_tokens", prefillTokens)
	core := func(kernel string, tokens, width int) {
		q, k, v := keyHeads*width, 2*keyHeads*width, (2*keyHeads+valueHeads)*width
		step := steps(tokens)
		l.add(ops.DeltaNetCoreOp, kernel, ops.DeltaNetCoreAttrs{
			Q: ops.SliceAttrs{Hi: q}, K: ops.SliceAttrs{Lo: q, Hi: k}, V: ops.SliceAttrs{Lo: k, Hi: v},
			Delta: ops.GatedDeltaNetAttrs{Scale: 0.1, Tiled: true}, Norm: ops.NormAttrs{Eps: 1e-6}},
			f32s(tokens, v), stateOf(tensor.F32, 1, 3, v), f32s(v, 4), step[0], step[1], f32s(tokens, valueHeads),
			f32s(tokens, valueHeads),
			f32s(valueHeads), f32s(valueHeads), stateOf(tensor.F32, 1, valueHeads, width, width), f32s(width),
			f32s(tokens, valueHeads, width))
	}
	for _, width := range []int{32, 64, 128} {
		core("delta_net_core_f32_step", 1, width)
		core("delta_net_core_f32_chunk", prefillTokens, width)
	}
}

// rest are normalization, positions, sampling and elementwise ops.
func (l *probeList) rest() {
	norm := ops.NormAttrs{Eps: 1e-6}
	for _, tokens := range []int{1, prefillTokens} {
		l.add(ops.RMSNormOp, "rms_norm_f32_block", norm, f32s(tokens, hidden), weightOf(tensor.F32, hidden))
	}
	l.add(ops.RMSNormOp, "rms_norm_f32_wave", norm, f32s(prefillTokens*32, 128), weightOf(tensor.F32, 128))
	l.add(ops.L2NormOp, "l2_norm_f32_block", norm, f32s(prefillTokens, hidden))
	l.add(ops.L2NormOp, "l2_norm_f32_wave", norm, f32s(prefillTokens*16, 128))
	l.add(ops.RoPEOp, "rope_f32", ops.RoPEAttrs{NRot: 128, MScale: 1}, f32s(prefillTokens, 32, 128),
		i32s(rising(0, prefillTokens), prefillTokens), f32s(64))
	l.add(ops.RowsOp, "rows_f32", nil, f32s(prefillTokens, hidden), i32s([]int32{prefillTokens - 1}, 1))
	l.add(ops.TopKOp, "argmax_f32", ops.TopKAttrs{K: 1}, f32s(1, vocabulary))
	l.add(ops.TopKOp, "top_k_f32", ops.TopKAttrs{K: 64}, f32s(1, vocabulary))
	l.add(ops.SliceOp, "slice_f32", ops.SliceAttrs{Hi: hidden}, f32s(prefillTokens, 2*hidden))
	for _, op := range ops.Defs() { // elementwise ops: all operands have one shape
		if op.View || op.Cases == nil || slices.ContainsFunc(*l, func(p probe) bool { return p.op == op }) {
			continue
		}
		same := func(c ops.Case) bool {
			return !slices.ContainsFunc(c.Args, func(a ops.Arg) bool {
				return a.Leaf != ops.Input || a.DType != tensor.F32 || !a.Shape.Equal(c.Args[0].Shape)
			})
		}
		i := slices.IndexFunc(op.Cases(), same)
		if i < 0 {
			continue
		}
		c := op.Cases()[i]
		args := make([]ops.Arg, len(c.Args))
		for k := range args {
			args[k] = f32s(prefillTokens, hidden)
		}
		l.add(op, op.Name+"_f32", c.Attrs, args...)
	}
}

// rising returns n numbers from first on.
func rising(first, n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(first + i)
	}
	return x
}
