package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

// coreWidths are the widths of key heads that the kernels of delta_net_core are compiled for.
var coreWidths = []int{32, 64, 128}

// maxCoreValues is the widest value head that they take.
const maxCoreValues = 128

// coreArgs are the arguments that the kernels of the rule share: see RULE in kernels/delta_net_core.hip. The convolution's
// result is in scratch memory.
func coreArgs(n *ops.Node) Args {
	a, x, s := n.Attrs.(ops.DeltaNetCoreAttrs), n.In[0].Shape(), n.In[9].Shape()
	tiled := 0
	if a.Delta.Tiled {
		tiled = 1
	}
	return Args{}.ScratchPtr(0).Ptr(n.In[6]).Ptr(n.In[5]).Ptr(n.In[7]).Ptr(n.In[8]).Ptr(n.In[9]).Ptr(n.In[3]).Ptr(n.In[4]).
		i32s(x[1], a.Q.Lo, a.K.Lo, a.V.Lo, n.In[4].Shape()[0], x[0], (a.Q.Hi-a.Q.Lo)/s[3], s[1], s[3], s[2], tiled).
		F32(a.Delta.Scale).F32(a.QNorm.Eps).F32(a.KNorm.Eps)
}

// coreForm is the form in which the result is packed: rows of all heads of a token.
func coreForm(n *ops.Node) packForm {
	y := n.Out[0].Shape
	return packForm{kind: packQ24, rows: y[0], k: y[1] * y[2]}
}

// coreEmitted adds the addresses of the pack of the result, null if it is not wanted.
func coreEmitted(a Args, n *ops.Node) Args {
	if len(n.Out) == n.Op.Results {
		return a.NullPtr().NullPtr()
	}
	return a.pack(n.Result(n.Op.Results), coreForm(n))
}

func init() {
	match := func(n *ops.Node) bool {
		a, x, s := n.Attrs.(ops.DeltaNetCoreAttrs), n.In[0].Shape(), n.In[9].Shape()
		ok := isF32(n.In[1]) && isF32(n.In[9]) && convFits(x) && fits(x.Elems(), s[1:].Elems(), n.In[11].Shape().Elems())
		aligned := a.Q.Lo%4 == 0 && a.K.Lo%4 == 0 && a.V.Lo%4 == 0 && x[1]%4 == 0
		return ok && aligned && atLeast(coreWidths, s[3]) == s[3] && s[2]%4 == 0 && s[2] <= maxCoreValues && n.In[4].Shape()[0] < maxGridYZ
	}
	// conv is the launch before, whose result is at the start of scratch memory.
	conv := func(n *ops.Node, scratch int64) Launch {
		x, w, sequences := n.In[0].Shape(), n.In[2].Shape(), n.In[4].Shape()[0]
		serial, form := !convRuns(x, w[1], sequences), "tokens"
		if serial {
			form = "serial"
		}
		return Launch{Object: "causal_conv", Symbol: "causal_conv_silu_f32_" + form, Grid: convGrid(x, sequences, serial), Block: [3]uint32{256},
			Scratch: scratch, Args: Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.In[2]).Ptr(n.In[3]).Ptr(n.In[4]).ScratchPtr(0).
					i32s(sequences, x[0], x[1], w[1])}
	}
	emits := func(n *ops.Node, r int, f packForm) bool {
		y := n.Out[0].Shape
		return r == 0 && f.kind == packQ24 && y[2] == maxCoreValues && f.rows*f.k == y.Elems()
	}
	mixed := func(n *ops.Node) int64 { return aligned(4 * int64(n.In[0].Shape().Elems())) }
	Register(Kernel{
		Name:  "delta_net_core_f32_step",
		Op:    ops.DeltaNetCoreOp,
		Match: func(n *ops.Node, t *Target) int { return matchIf(match(n), t.invariantFirst(matchPlain)) },
		emits: emits,
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s := n.In[9].Shape()
			args := coreEmitted(coreArgs(n).Ptr(n.In[10]).Ptr(n.In[11]).Ptr(n.Result(0)), n).F32(n.Attrs.(ops.DeltaNetCoreAttrs).Norm.Eps)
			return []Launch{conv(n, mixed(n)), {Object: "delta_net_core", Symbol: fmt.Sprintf("delta_net_core_f32_step%d", s[3]),
				Grid: [3]uint32{uint32(s[1]), uint32(n.In[4].Shape()[0])}, Block: [3]uint32{512}, Scratch: mixed(n), Args: args}}, nil
		},
	})
	Register(Kernel{
		Name: "delta_net_core_f32_chunk",
		Op:   ops.DeltaNetCoreOp,
		Match: func(n *ops.Node, _ *Target) int {
			return matchIf(match(n) && n.In[0].Shape()[0] >= deltaChunkTokens*n.In[4].Shape()[0], matchGood)
		},
		emits: emits,
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, y := n.In[9].Shape(), n.Out[0].Shape
			at := mixed(n) // of the rule's result
			scratch := at + 4*int64(y.Elems())
			rows := y[0] * y[1]
			norm := Args{}.ScratchPtr(at).Ptr(n.In[10]).Ptr(n.In[11]).Ptr(n.Result(0))
			return []Launch{conv(n, scratch),
				{Object: "delta_net_core", Symbol: fmt.Sprintf("delta_net_core_f32_chunk%d", s[3]),
					Grid:  [3]uint32{uint32(s[1]) * Blocks(s[2], 32), uint32(n.In[4].Shape()[0] + 1)},
					Block: [3]uint32{128}, Scratch: scratch, Args: coreArgs(n).ScratchPtr(at)},
				{Object: "gated_rms_norm", Symbol: "gated_rms_norm_f32_wave", Grid: [3]uint32{Blocks(rows, 4)}, Block: [3]uint32{128}, Scratch: scratch,
					Args: coreEmitted(norm, n).i32s(rows, s[2]).F32(n.Attrs.(ops.DeltaNetCoreAttrs).Norm.Eps)},
			}, nil
		},
	})
}
