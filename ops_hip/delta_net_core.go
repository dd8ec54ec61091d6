package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

// coreWidths are the widths of key heads that the kernels of delta_net_core are compiled for.
var coreWidths = []int{32, 64, 128}

// maxCoreValues is the widest value head that they take.
const maxCoreValues = 128

// coreTaps is the number of taps of the convolutions that the step makes itself.
const coreTaps = 4

// coreArgs are the arguments of the kernels: see PARAMS in kernels/delta_net_core.hip. If conv, they make the
// convolution; else its result is at the start of scratch memory.
func coreArgs(n *ops.Node, conv bool) Args {
	a, x, s := n.Attrs.(ops.DeltaNetCoreAttrs), n.In[0].Shape(), n.In[9].Shape()
	tiled := 0
	if a.Delta.Tiled {
		tiled = 1
	}
	args := Args{}
	if conv {
		args = args.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.In[2]).CounterPtr()
	} else {
		args = args.ScratchPtr(0).NullPtr().NullPtr().NullPtr()
	}
	args = args.Ptr(n.In[6]).Ptr(n.In[5]).Ptr(n.In[7]).Ptr(n.In[8]).Ptr(n.In[9]).Ptr(n.In[3]).Ptr(n.In[4]).
		i32s(x[1], a.Q.Lo, a.K.Lo, a.V.Lo, n.In[4].Shape()[0], x[0], (a.Q.Hi-a.Q.Lo)/s[3], s[1], s[3], s[2], tiled).
		F32(a.Delta.Scale).F32(a.QNorm.Eps).F32(a.KNorm.Eps).Ptr(n.In[10]).Ptr(n.In[11]).Ptr(n.Result(0))
	if len(n.Out) == n.Op.Results {
		args = args.NullPtr().NullPtr()
	} else {
		args = args.pack(n.Result(n.Op.Results), coreForm(n))
	}
	return args.F32(a.Norm.Eps)
}

// coreForm is the form in which the result is packed: rows of all heads of a token.
func coreForm(n *ops.Node) packForm {
	y := n.Out[0].Shape
	return packForm{kind: packQ24, rows: y[0], k: y[1] * y[2]}
}

// coreChunk returns what the chunked kernels need to know of n, and where their scratch memory starts, behind the
// convolution's result. The rule's result is in scratch memory too, from o on.
func coreChunk(n *ops.Node) (r chunkedRule, at, o int64) {
	a, x, s := n.Attrs.(ops.DeltaNetCoreAttrs), n.In[0].Shape(), n.In[9].Shape()
	r = chunkedRule{tokens: x[0], keyHeads: (a.Q.Hi - a.Q.Lo) / s[3], state: n.In[9], starts: n.In[3], slots: n.In[4],
		attrs: a.Delta}
	at = aligned(coreConvBytes(n))
	return r, at, at + r.bytes()
}

// coreConvBytes is the size of the convolution's result, which lies at the start of scratch memory.
func coreConvBytes(n *ops.Node) int64 { return 4 * int64(n.In[0].Shape().Elems()) }

// coreChunks are the launches of the chunked form behind the convolution.
func coreChunks(n *ops.Node) []Launch {
	a, x, z := n.Attrs.(ops.DeltaNetCoreAttrs), n.In[0].Shape(), n.In[11].Shape()
	r, at, o := coreChunk(n)
	column := func(c int) reloc { return reloc{off: 4 * int64(c)} } // of the convolution's result
	keys := Args{}.ptr(column(a.Q.Lo)).ptr(column(a.K.Lo)).Ptr(n.In[6]).Ptr(n.In[5]).Ptr(n.In[7]).Ptr(n.In[8])
	end := Args{}.ScratchPtr(o).Ptr(n.In[10]).Ptr(n.In[11]).Ptr(n.Result(0))
	if len(n.Out) == n.Op.Results {
		end = end.NullPtr().NullPtr()
	} else {
		end = end.pack(n.Result(n.Op.Results), coreForm(n))
	}
	launches := append(r.launches("delta_net_core", at, keys, x[1], a.QNorm.Eps, a.KNorm.Eps, column(a.V.Lo), x[1],
		reloc{off: o}, false),
		Launch{Object: chunkObject, Symbol: "delta_net_core_f32_chunk_end",
			Grid: [3]uint32{uint32(z[0]), Blocks(z[1], 16)}, Block: [3]uint32{128},
			Args: end.Ptr(r.starts).Ptr(r.slots).i32s(r.slots.Shape()[0], z[0], z[1], z[2]).
				F32(a.Norm.Eps).F32(1 / float32(z[2])).i32s(ops.Kept(r.slots))})
	for i := range launches {
		launches[i].Scratch = o + 4*int64(z.Elems())
	}
	return launches
}

func init() {
	match := func(n *ops.Node) bool {
		a, x, s := n.Attrs.(ops.DeltaNetCoreAttrs), n.In[0].Shape(), n.In[9].Shape()
		ok := isF32(n.In[1]) && isF32(n.In[9]) && convFits(x) &&
			fits(x.Elems(), s[1:].Elems(), n.In[11].Shape().Elems())
		aligned := a.Q.Lo%4 == 0 && a.K.Lo%4 == 0 && a.V.Lo%4 == 0 && x[1]%4 == 0
		return ok && aligned && atLeast(coreWidths, s[3]) == s[3] && s[2]%4 == 0 && s[2] <= maxCoreValues &&
			n.In[4].Shape()[0] < maxGridYZ
	}
	emits := func(n *ops.Node, r int, f packForm) bool {
		y := n.Out[0].Shape
		return r == 0 && f.kind == packQ24 && y[2] == maxCoreValues && f.rows*f.k == y.Elems()
	}
	// step is the launch of the step, with the convolution or behind it, for the sequences that keep states only, or all.
	step := func(n *ops.Node, conv bool, only int) Launch {
		s, args, form := n.In[9].Shape(), coreArgs(n, conv), "step"
		if kept := ops.Kept(n.In[4]); kept > 0 {
			args, form = args.i32s(kept, only), "step_kept"
		}
		l := Launch{Object: "delta_net_core", Symbol: fmt.Sprintf("delta_net_core_f32_%s%d", form, s[3]),
			Grid: [3]uint32{uint32(s[1]), uint32(n.In[4].Shape()[0])}, Block: [3]uint32{512}, Args: args}
		if conv {
			l.Counters = 1
		} else {
			l.Scratch = coreConvBytes(n)
		}
		return l
	}
	// conv is the launch of the convolution.
	conv := func(n *ops.Node) Launch {
		x, w := n.In[0].Shape(), n.In[2].Shape()
		serial, form := !convRuns(x, w[1], n.In[4].Shape()[0]), "tokens"
		if serial {
			form = "serial"
		}
		l := convLaunch("causal_conv_silu_f32_"+form, serial, n.In[0], n.In[1], n.In[2], n.In[3], n.In[4],
			func(a Args) Args { return a.ScratchPtr(0) })
		l.Scratch = coreConvBytes(n)
		return l
	}
	// fewest is from how many tokens on, of a sequence on average, the chunked form pays. Where states are kept, it takes
	// another launch, for the sequences that keep some: those have few tokens.
	fewest := func(n *ops.Node) int {
		if kept := ops.Kept(n.In[4]); kept > 0 {
			return max(chunkTokens/2, 4*(1+kept))
		}
		return chunkTokens / 2
	}
	Register(Kernel{
		Name:   "delta_net_core_f32_step",
		Op:     ops.DeltaNetCoreOp,
		Match:  func(n *ops.Node, t *Target) int { return matchIf(match(n), t.invariantFirst(matchPlain)) },
		emits:  emits,
		spares: func(_ *ops.Node, r int) bool { return r == 0 },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			if n.In[2].Shape()[1] == coreTaps {
				return one(step(n, true, 0))
			}
			return []Launch{conv(n), step(n, false, 0)}, nil
		},
	})
	Register(Kernel{
		Name: "delta_net_core_f32_chunk",
		Op:   ops.DeltaNetCoreOp,
		Match: func(n *ops.Node, _ *Target) int {
			tokens, sequences := n.In[0].Shape()[0], n.In[4].Shape()[0]
			r, _, _ := coreChunk(n)
			ok := match(n) && r.fits() && fits(tokens*n.In[9].Shape()[1])
			return matchIf(ok && tokens >= fewest(n)*sequences, matchGood)
		},
		emits:  emits,
		spares: func(_ *ops.Node, r int) bool { return r == 0 },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			launches := append([]Launch{conv(n)}, coreChunks(n)...)
			if ops.Kept(n.In[4]) > 0 {
				launches = append(launches, step(n, false, 1))
			}
			return launches, nil
		},
	})
}
