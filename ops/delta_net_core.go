package ops

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

// DeltaNetCoreAttrs are the attributes of [DeltaNetCoreOp]: those of the ops that it is made of.
type DeltaNetCoreAttrs struct {
	Q, K, V      SliceAttrs // where queries, keys and values lie in the channels of the convolution
	QNorm, KNorm NormAttrs  // of the L2 norms
	Delta        GatedDeltaNetAttrs
	Norm         NormAttrs // of the gated norm
}

// DeltaNetCoreOp is a gated DeltaNet layer (Yang et al. 2024, arXiv 2412.06464) between its projections.
var DeltaNetCoreOp = Register(&Def{
	Name:    "delta_net_core",
	Results: 3,
	InPlace: map[int]int{1: 1, 2: 9},
	Infer:   inferDeltaNetCore,
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		a, s := attrs.(DeltaNetCoreAttrs), in[9].Shape()
		tokens := in[0].Shape()[0]
		mixed, conv := CausalConv(g, in[0], in[1], in[2], in[3], in[4])
		mixed = SiLU(g, mixed)
		heads := func(at SliceAttrs, dim int) Value {
			return Reshape(g, Slice(g, mixed, at.Lo, at.Hi), tokens, (at.Hi-at.Lo)/dim, dim)
		}
		q := L2Norm(g, heads(a.Q, s[3]), a.QNorm.Eps)
		k := L2Norm(g, heads(a.K, s[3]), a.KNorm.Eps)
		v := heads(a.V, s[2])
		beta := Sigmoid(g, in[5])
		decay := Mul(g, Softplus(g, Add(g, in[6], in[7])), in[8])
		o, state := GatedDeltaNet(g, q, k, v, decay, beta, in[9], in[3], in[4], a.Delta)
		return []Value{GatedRMSNorm(g, o, in[10], in[11], a.Norm.Eps), conv, state}
	},
	Work: func(n *Node) (flop, bytes int64) {
		x, conv, w, state, z := n.In[0].Shape(), n.In[1].Shape(), n.In[2].Shape(), n.In[9].Shape(), n.In[11].Shape()
		tokens := int64(x[0])
		perToken := 2*int64(w.Elems()) + 7*int64(state[1:].Elems())
		states := int64(conv[1:].Elems()) + int64(state[1:].Elems())
		return tokens * perToken, 4 * (int64(x.Elems()) + 2*int64(z.Elems()) + int64(w.Elems()) + states*stateMoves(n.In[4]))
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct {
			name      string
			nk, nv, d int
			tiled     bool
			spans     []span
		}{
			{"decode", 2, 4, 32, true, []span{{0, 1}, {0, 1}}},
			{"few", 2, 6, 32, false, []span{{0, 5}, {0, 2}}},
			{"odd", 1, 2, 20, true, []span{{0, 3}}},
			{"chunks", 1, 2, 32, true, []span{{0, 65}}},
			{"d128", 1, 2, 128, true, []span{{0, 3}}},
			{"chunks d128", 1, 1, 128, true, []span{{0, 33}}},
			{"padded", 2, 4, 64, true, []span{{0, 2}, {0, 5}, {0, 1}, {0, 0}}},
			{"chunks padded", 1, 2, 64, true, []span{{0, 70}, {0, 1}}},
			{"kept", 2, 4, 32, true, []span{{0, 4}}},
			{"kept few", 1, 2, 128, true, []span{{0, 3}, {0, 2}, {0, 2}, {0, 1}}},
			{"kept taps", 2, 6, 32, false, []span{{0, 5}, {0, 3}}},
			{"kept d32", 1, 2, 32, true, []span{{0, 2}, {0, 31}}},
			{"kept d128", 1, 1, 128, true, []span{{0, 3}, {0, 40}}},
			{"kept mixed", 1, 2, 64, true, []span{{0, 4}, {0, 90}, {0, 1}, {0, 2}, {0, 0}}},
			{"long", 1, 2, 32, true, []span{{0, 301}, {0, 64}}},
			{"long remembering", 1, 1, 64, true, []span{{0, 330}}},
			{"long idle", 1, 1, 32, false, []span{{0, 310}}},
			{"chunks forgetting", 2, 10, 32, true, []span{{0, 40}, {0, 33}, {0, 31}}},
			{"chunks wide", 2, 4, 32, false, []span{{0, 50}}},
			{"chunks blank", 1, 1, 32, true, []span{{0, 50}}},
		} {
			b, slots := layout(8, c.spans...).keeping(c.name)
			if c.name == "padded" || c.name == "chunks padded" || c.name == "kept mixed" {
				b.tokens += 2
			}
			taps := 4
			if c.name == "few" || c.name == "kept taps" {
				taps = 3
			}
			dv := c.d
			if strings.HasSuffix(c.name, "wide") {
				dv = 80
			}
			keys, channels := c.nk*c.d, 2*c.nk*c.d+c.nv*dv
			x, beta, bias, decay := f32(b.tokens, channels), f32(b.tokens, c.nv), f32(c.nv), f32(c.nv)
			conv := Arg{Leaf: State, DType: tensor.F32, Shape: tensor.Shape{b.places, taps - 1, channels}}
			state := Arg{Leaf: State, DType: tensor.F32, Shape: tensor.Shape{b.places, c.nv, dv, c.d}}
			decay.Gen = between(-3, 0)
			switch _, gates, _ := strings.Cut(c.name, " "); gates {
			case "remembering": // all that is written, and for long
				beta.Gen, decay.Gen = between(5, 20), between(-0.01, 0)
			case "forgetting": // all at once: e^-88 is the smallest normal number
				beta.Gen, decay.Gen = between(5, 20), between(-90, -10)
			case "idle":
				beta.Gen, decay.Gen = between(-20, -5), between(-0.01, 0)
			case "blank":
				x.Gen, conv.Gen, state.Gen = scaled(0), scaled(0), scaled(0)
			}
			cs = append(cs, Case{Name: c.name,
				Attrs: DeltaNetCoreAttrs{SliceAttrs{0, keys}, SliceAttrs{keys, 2 * keys},
					SliceAttrs{2 * keys, channels},
					NormAttrs{1e-6}, NormAttrs{1e-5}, GatedDeltaNetAttrs{0.25, c.tiled}, NormAttrs{1e-4}},
				Args: []Arg{x, conv, f32(channels, taps), i32(b.starts), slots, beta, f32(b.tokens, c.nv), bias, decay, state,
					f32(dv), f32(b.tokens, c.nv, dv)}})
		}
		return cs
	},
})

func inferDeltaNetCore(n *Node) error {
	if err := arity(n, 12); err != nil {
		return err
	}
	x, conv, state, z, a := n.In[0], n.In[1], n.In[9], n.In[11], n.Attrs.(DeltaNetCoreAttrs)
	probe := &Node{Op: CausalConvOp, In: n.In[:5]}
	if err := CausalConvOp.Infer(probe); err != nil {
		return err
	}
	if err := is(state, "state", state.DType(), 4); err != nil {
		return err
	}
	tokens, channels, s := x.Shape()[0], x.Shape()[1], state.Shape()
	for _, p := range []struct {
		what     string
		at       SliceAttrs
		dim, sum int // of a head, of all heads; 0 for any number of them
	}{{"queries", a.Q, s[3], 0}, {"keys", a.K, s[3], a.Q.Hi - a.Q.Lo}, {"values", a.V, s[2], s[1] * s[2]}} {
		width := p.at.Hi - p.at.Lo
		if p.at.Lo < 0 || width <= 0 || p.at.Hi > channels || width%p.dim != 0 || p.sum != 0 && width != p.sum {
			return fmt.Errorf("%s in channels [%d,%d) of %d do not fit state %v", p.what, p.at.Lo, p.at.Hi, channels,
				s)
		}
	}
	if keyHeads := (a.Q.Hi - a.Q.Lo) / s[3]; s[1]%keyHeads != 0 {
		return fmt.Errorf("%d key heads for %d value heads", keyHeads, s[1])
	}
	gate, out := tensor.Shape{tokens, s[1]}, tensor.Shape{tokens, s[1], s[2]}
	for i, what := range []string{"beta", "alpha"} {
		v := n.In[5+i]
		if err := is(v, what, tensor.F32, 2); err != nil {
			return err
		}
		if !v.Shape().Equal(gate) {
			return fmt.Errorf("%s is %v, want %v", what, v.Shape(), gate)
		}
	}
	if err := is(z, "z", tensor.F32, 3); err != nil {
		return err
	}
	if !z.Shape().Equal(out) {
		return fmt.Errorf("z is %v, want %v", z.Shape(), out)
	}
	if err := vector(n.In[7], "bias", s[1]); err != nil {
		return err
	}
	if err := vector(n.In[8], "decay", s[1]); err != nil {
		return err
	}
	n.Out = []Type{{tensor.F32, out}, conv.Type(), state.Type()}
	return vector(n.In[10], "norm", s[2])
}

// DeltaNetCore convolves x along each sequence (see [CausalConv]) and applies SiLU, cuts queries, keys and values from
// the channels as attributes say, scales queries and keys to unit length (see [L2Norm]), runs the gated delta rule
// (see [GatedDeltaNet]) with the gates sigmoid(beta) and decay·softplus(alpha + bias), and returns the result's
// [GatedRMSNorm] with norm and z, and the updated states. x: F32 [tokens, channels]; conv, w: state and filters of
// CausalConv; starts, slots: as there; beta, alpha: F32 [tokens, value heads]; bias, decay: F32 [value heads]; state:
// that of GatedDeltaNet; norm: F32 [value dim]; z and the result: F32 [tokens, value heads, value dim].
func DeltaNetCore(g *Graph, x, conv, w, starts, slots, beta, alpha, bias, decay, state, norm, z Value,
	a DeltaNetCoreAttrs) (y, newConv, newState Value) {
	r := g.Add(DeltaNetCoreOp, a, x, conv, w, starts, slots, beta, alpha, bias, decay, state, norm, z)
	return r[0], r[1], r[2]
}
