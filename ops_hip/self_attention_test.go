package opship

import (
	"fmt"
	"math/rand/v2"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// selfAttentionCases are layers of shapes that models have, for few tokens and for many.
func selfAttentionCases() []ops.Case {
	var cs []ops.Case
	add := func(name string, dt tensor.DType, heads, kv, dim int, gated bool, a ops.SelfAttentionAttrs, t tokens) {
		n, width := len(t.pos), dim
		if gated {
			width *= 2
		}
		c := ops.Case{Name: fmt.Sprint(dt, "/", name), Attrs: a,
			Args: []ops.Arg{input(n, heads, width), input(n, kv, dim), input(n, kv, dim),
				ints(t.pos...), ints(t.seq...), t.pages, state(dt, t.total, 32, kv, dim),
				state(dt, t.total, 32, kv, dim)}}
		if a.Norm.Eps > 0 {
			c.Args = append(c.Args, input(dim), input(dim))
		}
		c.Args = append(c.Args, inputOf(func(r *rand.Rand) float32 { return r.Float32() }, a.RoPE.NRot/2))
		cs = append(cs, c)
	}
	attrs := func(eps float32, rot int, p ops.Pairing) ops.SelfAttentionAttrs {
		return ops.SelfAttentionAttrs{Norm: ops.NormAttrs{Eps: eps},
			RoPE: ops.RoPEAttrs{NRot: rot, Pairing: p, MScale: 1.25}, Attention: ops.AttentionAttrs{Scale: 0.08}}
	}
	few := stepOf(32, 2, 10, [2]int32{1, 300}, [2]int32{-1, 0}, [2]int32{0, 31})
	var prompt [][2]int32
	for i := range int32(19) {
		prompt = append(prompt, [2]int32{1, 50 + i}, [2]int32{0, i})
	}
	many := stepOf(32, 2, 3, append(prompt, [2]int32{-1, 0})...)
	for dt := range cacheTypes {
		for name, t := range map[string]tokens{"few": few, "many": many} {
			add(name+"/llama", dt, 4, 1, 128, false, attrs(0, 128, ops.Interleaved), t)
			add(name+"/qwen3", dt, 4, 2, 64, false, attrs(1e-6, 64, ops.NeoX), t)
			add(name+"/qwen3.5", dt, 6, 1, 256, true, attrs(1e-6, 64, ops.NeoX), t)
		}
	}
	add("phi", tensor.F16, 2, 2, 96, false, attrs(0, 96, ops.NeoX), few)
	add("wide", quant.Q8_0, 2, 1, 512, true, attrs(1e-6, 512, ops.NeoX), few)
	return cs
}
