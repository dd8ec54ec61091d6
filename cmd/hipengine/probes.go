package main

import (
	"fmt"

	"github.com/hipengine/hipengine/models/runner"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// probe is one op at sizes of real models, as conform --limits executes it.
type probe struct {
	op *ops.Def
	ops.Case
}

// String names the probe like a check of the conformance suite.
func (p probe) String() string { return p.op.Name + "/" + p.Name }

// Sizes of the probes. Bounds of a mat-vec and of a tile do not depend on the number of rows, so that few are enough.
const (
	decodeRows, decodeCols   = 1024, 4096 // a quarter of the rows of an 8B model's attention output
	prefillTokens            = 256
	prefillRows, prefillCols = 2048, 2048
	decodeKeys               = 4096 // keys of the attention of a decode step
)

// probes are the kernels in which models spend their time.
func probes() []probe {
	f32 := func(shape ...int) ops.Arg { return ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: shape} }
	i32 := func(ints []int32, shape ...int) ops.Arg {
		return ops.Arg{Leaf: ops.Input, DType: tensor.I32, Shape: shape, Ints: ints}
	}
	weight := func(d tensor.DType, shape ...int) ops.Arg {
		return ops.Arg{Leaf: ops.Weight, DType: d, Shape: shape}
	}
	state := func(d tensor.DType, shape ...int) ops.Arg {
		return ops.Arg{Leaf: ops.State, DType: d, Shape: shape}
	}

	var ps []probe
	add := func(op *ops.Def, attrs any, name string, args ...ops.Arg) {
		ps = append(ps, probe{op, ops.Case{Name: name, Args: args, Attrs: attrs}})
	}
	types := []tensor.DType{tensor.F16, tensor.BF16, quant.Q8_0, quant.Q6_K, quant.Q5_K, quant.Q4_K, quant.Q3_K, quant.Q4_0, quant.IQ4_XS, quant.MXFP4}
	for _, d := range types {
		add(ops.MulMatOp, nil, fmt.Sprintf("decode/%v", d), f32(1, decodeCols), weight(d, decodeRows, decodeCols))
	}
	for _, d := range types {
		add(ops.MulMatOp, nil, fmt.Sprintf("prefill/%v", d), f32(prefillTokens, prefillCols), weight(d, prefillRows, prefillCols))
	}
	experts := func(name string, tokens, experts int) { // sizes of Qwen3.6-35B-A3B; only experts that are chosen cost
		ids := make([]int32, tokens*8)
		for i := range ids {
			ids[i] = int32(i % experts)
		}
		add(ops.MulMatExpertsOp, nil, name, f32(tokens, 1, 2048), weight(quant.Q4_K, experts, 512, 2048), i32(ids, tokens, 8))
	}
	experts("decode/Q4_K", 1, 8)
	experts("prefill/Q4_K", 64, 32)
	attention := func(name string, tokens, keys, heads, kv, dim int) {
		pages := (keys + runner.PageSize - 1) / runner.PageSize
		add(ops.AttentionOp, ops.AttentionAttrs{Scale: 0.1}, name, f32(tokens, heads, dim),
			state(tensor.F16, pages, runner.PageSize, kv, dim), state(tensor.F16, pages, runner.PageSize, kv, dim),
			i32(rising(keys-tokens, tokens), tokens), i32(make([]int32, tokens), tokens), i32(rising(0, pages), 1, pages))
	}
	attention("decode/d128", 1, decodeKeys, 32, 8, 128)
	attention("decode/d256", 1, decodeKeys, 24, 4, 256)
	attention("prefill/d128", prefillTokens, prefillTokens, 32, 8, 128)
	attention("prefill/d256", prefillTokens, prefillTokens, 24, 4, 256)
	delta := func(name string, tokens int) { // sizes of Qwen3.6-27B
		add(ops.GatedDeltaNetOp, ops.GatedDeltaNetAttrs{Scale: 0.1, Tiled: true}, name,
			f32(tokens, 16, 128), f32(tokens, 16, 128), f32(tokens, 48, 128), f32(tokens, 48), f32(tokens, 48),
			state(tensor.F32, 1, 48, 128, 128), i32([]int32{0, int32(tokens)}, 2), i32([]int32{0}, 1))
	}
	delta("decode", 1)
	delta("prefill", prefillTokens)
	for _, tokens := range []int{1, prefillTokens} {
		add(ops.RMSNormOp, ops.NormAttrs{Eps: 1e-6}, fmt.Sprintf("%dx5120", tokens), f32(tokens, 5120), weight(tensor.F32, 5120))
	}
	return ps
}

// rising returns n numbers from first on.
func rising(first, n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(first + i)
	}
	return x
}

// bytes returns what the op must move at least: every operand and result once.
func (p probe) bytes(n *ops.Node) (float64, error) {
	if p.op.Work != nil {
		_, b := p.op.Work(n)
		return float64(b), nil
	}
	total := 0.0
	types := n.Out
	for _, v := range n.In {
		types = append(types[:len(types):len(types)], v.Type())
	}
	for _, t := range types {
		b, err := tensor.Bytes(t.DType, t.Shape)
		if err != nil {
			return 0, err
		}
		total += float64(b)
	}
	return total, nil
}
