package opship

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// mixture is the operands and sizes of a mixture or shared_mixture, with or without residual and norm.
type mixture struct {
	x, router, gate, up, down                      ops.Value
	sharedGate, sharedUp, sharedDown, factor, bias ops.Value // the zero Value for none
	route                                          ops.RouteAttrs
	node                                           *ops.Node
	// h and the weights of a norm come before; its results are sum and norm
	norm bool

	tokens, in, experts, ff, out int
	choices                      int // of a token, the shared expert included
	first, last                  weightType
}

// mixtureOf returns a node's operands and sizes, and whether kernels can take them: experts of types that they know,
// which share their type with the shared one.
func mixtureOf(n *ops.Node) (m mixture, ok bool) {
	in := n.In
	a, plain := n.Attrs.(ops.MixtureAttrs)
	if !plain {
		in, a = in[2:], n.Attrs.(ops.MixtureNormAttrs).Mixture
	}
	m = mixture{x: in[0], router: in[1], gate: in[2], up: in[3], down: in[4], route: a.Route, node: n, norm: !plain}
	rest := 5
	if n.Op == ops.SharedMixtureOp || n.Op == ops.SharedMixtureAddRMSNormOp {
		m.sharedGate, m.sharedUp, m.sharedDown, m.factor = in[5], in[6], in[7], in[8]
		rest = 9
	}
	if len(in) > rest && in[rest].DType() == tensor.F32 { // and no pack
		m.bias = in[rest]
	}
	m.tokens, m.in, m.choices = in[0].Shape()[0], in[0].Shape()[1], m.route.K
	s := m.gate.Shape()
	m.experts, m.ff, m.out = s[0], s[1], m.down.Shape()[1]
	same := func(v, w ops.Value) bool { return v.DType() == w.DType() && readAs(v) && readAs(w) }
	var known [2]bool
	m.first, known[0] = weightTypeOf(m.gate)
	m.last, known[1] = weightTypeOf(m.down)
	ok = known[0] && known[1] && same(m.gate, m.up) && isF32(m.router) && m.experts <= maxRouteExperts &&
		m.route.K <= maxRouteK
	if m.factor.Valid() {
		m.choices++
		ok = ok && same(m.gate, m.sharedGate) && same(m.up, m.sharedUp) && same(m.down, m.sharedDown) &&
			isF32(m.factor) && m.sharedGate.Shape()[0] == m.ff
	}
	if m.norm {
		ok = ok && m.out%4 == 0 && m.out <= normRow
	}
	pairs := m.tokens * m.choices
	return m, ok && fits(m.in, m.out, pairs*m.ff, pairs*m.out, m.tokens*m.in)
}

// rows returns the number of logits of a token: of experts, and what gates the shared one.
func (m *mixture) rows() int { return m.experts + m.choices - m.route.K }

// or adds the address of v, or null if there is none.
func (a Args) or(v ops.Value) Args {
	if v.Valid() {
		return a.Ptr(v)
	}
	return a.NullPtr()
}

func init() {
	for _, op := range []*ops.Def{ops.MixtureOp, ops.SharedMixtureOp, ops.MixtureAddRMSNormOp,
		ops.SharedMixtureAddRMSNormOp} {
		k := Kernel{
			Op: op,
			alsoReads: func(n *ops.Node, i int) bool { // the router does
				m, _ := mixtureOf(n)
				return n.In[i] == m.x
			},
			spares: func(_ *ops.Node, r int) bool { return r == 1 },
		}
		dots := func(m *mixture) bool {
			return fewDot(m.gate) && fewDot(m.down) && m.in%32 == 0 && m.ff%32 == 0 && m.tokens <= vecTokens
		}
		dot := k
		dot.Name = op.Name + "_dot"
		dot.Match = func(n *ops.Node, _ *Target) int {
			m, ok := mixtureOf(n)
			return matchIf(ok && dots(&m), matchGood)
		}
		dot.packs = func(n *ops.Node, _ *Target) []pack {
			m, _ := mixtureOf(n)
			return []pack{{m.x, codeForm(m.tokens, m.in)}}
		}
		dot.emits = func(n *ops.Node, r int, f packForm) bool {
			m, _ := mixtureOf(n)
			return m.norm && r == 1 && f.kind == packQ24 && f.k == m.out && f.k%128 == 0
		}
		dot.Launch = func(n *ops.Node, _ *Target) ([]Launch, error) {
			m, _ := mixtureOf(n)
			return m.dot(), nil
		}
		Register(dot)
		stream := dot
		stream.Name = op.Name + "_stream"
		stream.Match = func(n *ops.Node, t *Target) int {
			m, ok := mixtureOf(n)
			return matchIf(ok && dots(&m) && m.tokens == 1 && m.out >= 4 && !t.Invariant, matchStream(t))
		}
		stream.Launch = func(n *ops.Node, t *Target) ([]Launch, error) {
			m, _ := mixtureOf(n)
			return m.stream(t), nil
		}
		Register(stream)
		for _, split := range []bool{false, true} {
			matrix := k
			matrix.Name = op.Name + "_mma"
			if split {
				matrix.Name += "3"
			}
			matrix.Match = func(n *ops.Node, t *Target) int {
				m, ok := mixtureOf(n)
				ok = ok && m.tokens > vecTokens && mmaWeights(t, m.first, m.in) && mmaWeights(t, m.last, m.ff) &&
					cover(m.tokens, 64) <= maxGridYZ && fits(m.tokens*m.in, m.tokens*m.choices*m.ff) &&
					m.experts < maxSortExperts && (!m.norm || normName(n.Out[1].Shape) != "")
				if split {
					return matchThree(ok, n)
				}
				return matchIf(ok, matchGood)
			}
			matrix.packs = func(n *ops.Node, _ *Target) []pack {
				m, _ := mixtureOf(n)
				return []pack{{m.x, m.halves(m.first, m.tokens, m.in, split)}}
			}
			matrix.emits = func(n *ops.Node, r int, f packForm) bool { return r == 1 && normEmits(n.Out[1].Shape, f) }
			matrix.Launch = func(n *ops.Node, t *Target) ([]Launch, error) {
				m, _ := mixtureOf(n)
				return m.matrix(t, split), nil
			}
			Register(matrix)
		}
	}
}

// halves is the form in which matrix kernels read rows that they multiply with weights of type w. split says whether
// what rounding takes from them is multiplied too.
func (m *mixture) halves(w weightType, rows, k int, split bool) packForm {
	low := 0
	if split {
		low = rows
	}
	return matrixForm(w, rows, low, k)
}

// matrix is the launches for many tokens: router, choice, tiles of experts, first half, its pack, second half, and
// the sum.
func (m *mixture) matrix(t *Target, split bool) []Launch {
	n, pairs := m.node, m.tokens*m.choices
	e := tilesOf(t, pairs, m.rows(), split, m.first, m.last)
	x, y := m.halves(m.first, m.tokens, m.in, split), m.halves(m.last, pairs, m.ff, split)
	weights := aligned(4 * int64(pairs)) // behind ids
	order := 2 * weights
	tiles := 3 * weights
	packed := tiles + aligned(e.bytes())
	floats := packed + aligned(y.bytes()) // logits, then the first half's result
	second := floats + aligned(4*max(int64(m.tokens*m.experts), int64(pairs*m.ff)))
	scratch := second + 4*int64(pairs*m.out)
	product := func(w weightType, gated bool, a Args, result int64, rows, k, per int, f packForm) Launch {
		return e.launch(w, rows, k, gated, a.ScratchPtr(order).ScratchPtr(tiles).ScratchPtr(result).
			i32s(m.experts, rows, k, per, f.low))
	}
	router := tileLaunch(t, weightTypes[tensor.F32.String()], m.tokens, m.experts, m.in)
	router.Args = Args{}.Ptr(m.x).Ptr(m.router).ScratchPtr(floats).i32s(m.tokens, m.experts, m.in)
	ls := []Launch{
		router,
		{Object: "mixture_route", Symbol: "mixture_route", Grid: [3]uint32{uint32(m.tokens)}, Block: [3]uint32{32},
			Args: Args{}.ScratchPtr(floats).or(m.bias).Ptr(m.x).or(m.factor).ScratchPtr(0).ScratchPtr(weights).
				i32s(m.experts, m.route.K, int(m.route.Gating), m.renormed(), m.in).F32(m.route.Scale)},
		e.sort(Args{}.ScratchPtr(0), order, tiles, pairs, m.rows()),
		product(m.first, true, Args{}.pack(n.In[len(n.In)-1], x).Ptr(m.gate).Ptr(m.up).or(m.sharedGate).or(m.sharedUp),
			floats, m.ff, m.in, m.choices, x),
		{Object: "mul_mat_x", Symbol: string(y.kind), Grid: [3]uint32{uint32(pairs)}, Block: [3]uint32{256},
			Args: Args{}.ScratchPtr(floats).ScratchPtr(packed).ScratchPtr(packed+y.scales()).i32s(m.ff, y.low)},
		product(m.last, false, Args{}.ScratchPtr(packed).ScratchPtr(packed+y.scales()).Ptr(m.down).NullPtr().
			or(m.sharedDown).NullPtr(), second, m.out, m.ff, 1, y),
	}
	if m.norm {
		ls = append(ls, normLaunch("mixture_norm", normName(n.Out[1].Shape), n, n.Out[1].Shape,
			Args{}.Ptr(n.In[0]).ScratchPtr(second).ScratchPtr(weights).Ptr(n.In[1]).Ptr(n.Result(0)).Ptr(n.Result(1)).
				i32s(m.choices),
			n.Attrs.(ops.MixtureNormAttrs).Norm.Eps))
	} else {
		ls = append(ls, Launch{Object: "weighted_sum", Symbol: "weighted_sum_f32",
			Grid: [3]uint32{uint32(m.tokens), Blocks(m.out, 256)}, Block: [3]uint32{256},
			Args: Args{}.ScratchPtr(second).ScratchPtr(weights).Ptr(n.Result(0)).i32s(m.choices, m.out)})
	}
	for i := range ls {
		ls[i].Scratch = scratch
	}
	return ls
}

// fewLayout is where the kernels for few tokens have what they tell each other, in scratch memory.
type fewLayout struct {
	codes, scales, logits, ids, weights, y, bytes int64
}

func (m *mixture) fewLayout() (l fewLayout) {
	y := codeForm(m.tokens*m.choices, m.ff)
	l.scales = y.scales()
	l.logits = aligned(y.bytes())
	l.ids = l.logits + aligned(4*int64(m.tokens*m.rows()))
	l.weights = l.ids + aligned(4*int64(m.tokens*m.route.K))
	l.y = l.weights + aligned(4*int64(m.tokens*m.route.K))
	l.bytes = l.y + 4*int64(m.tokens*m.choices*m.ff)
	return l
}

// routerLaunch is that of the router for few tokens.
func (m *mixture) routerLaunch(l fewLayout) Launch {
	return Launch{Object: "mixture_dot", Symbol: "mixture_router_f32",
		Grid: [3]uint32{Blocks(m.rows(), 2), uint32(m.tokens)}, Block: [3]uint32{64}, Scratch: l.bytes,
		Args: Args{}.Ptr(m.x).Ptr(m.router).or(m.factor).ScratchPtr(l.logits).i32s(m.experts, m.rows(), m.in)}
}

// glu is the arguments of the first half for few tokens, up to where its codes go.
func (m *mixture) glu(l fewLayout) Args {
	x := m.node.In[len(m.node.In)-1] // packed
	return Args{}.pack(x, codeForm(m.tokens, m.in)).ScratchPtr(l.logits).or(m.bias).Ptr(m.gate).Ptr(m.up).
		or(m.sharedGate).or(m.sharedUp).ScratchPtr(l.ids).ScratchPtr(l.weights).ScratchPtr(l.codes).ScratchPtr(l.scales)
}

// sum is the launch of the second half for few tokens by the kernel called so, with or without a norm; args are the
// sizes that it wants.
func (m *mixture) sum(l fewLayout, object, format string, grid [3]uint32, args ...int) Launch {
	n, name := m.node, "sum"
	if m.norm {
		name = "sum_norm"
	}
	sum := Launch{Object: object, Symbol: fmt.Sprintf(format, name, m.last.kernel), Grid: grid, Block: [3]uint32{256},
		Scratch: l.bytes}
	sum.Args = Args{}.ScratchPtr(l.codes).ScratchPtr(l.scales).ScratchPtr(l.ids).ScratchPtr(l.weights).
		ScratchPtr(l.logits).Ptr(m.down).or(m.sharedDown).i32s(args...)
	if m.norm {
		sum.Counters = 1
		sum.Args = sum.Args.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)).Ptr(n.Result(1)).emitted(n).CounterPtr().
			F32(n.Attrs.(ops.MixtureNormAttrs).Norm.Eps)
	} else {
		sum.Args = sum.Args.Ptr(n.Result(0))
	}
	return sum
}

// renormed is 1 if the weights of the choices are made to add up to 1.
func (m *mixture) renormed() int {
	if m.route.Norm {
		return 1
	}
	return 0
}

// dot is the launches for few tokens: router; choice and first half; second half. See kernels/mixture_dot.hip.
func (m *mixture) dot() []Launch {
	l := m.fewLayout()
	return []Launch{
		m.routerLaunch(l),
		{Object: "mixture_dot", Symbol: "mixture_" + m.first.kernel + "_glu",
			Grid: [3]uint32{uint32(m.ff / 32), uint32(m.choices), uint32(m.tokens)}, Block: [3]uint32{512},
			Scratch: l.bytes, Args: m.glu(l).i32s(m.tokens, m.in, m.ff, int(m.route.Gating), m.experts, m.route.K,
				m.renormed()).F32(m.route.Scale)},
		m.sum(l, "mixture_dot", "mixture_%[2]s_%[1]s", [3]uint32{Blocks(m.out, 16), uint32(m.tokens)},
			m.tokens, m.experts, m.route.K, m.ff, m.out),
	}
}

// stream is the same for one token. See kernels/mixture_stream.hip.
func (m *mixture) stream(t *Target) []Launch {
	l, pairs := m.fewLayout(), m.choices*m.ff
	first, blocks := streamRows(t, 2, 2*streamFours, streamed{pairs, m.in, m.gate.DType()})
	last, sums := streamRows(t, 4, 4*streamFours, streamed{m.out, pairs, m.down.DType()})
	return []Launch{
		m.routerLaunch(l),
		{Object: "mixture_stream", Symbol: "mixture_glu_stream_" + m.first.kernel, Grid: [3]uint32{uint32(blocks)},
			Block: [3]uint32{32 * streamWaves}, Scratch: l.bytes, Counters: pairs / 32,
			Args: m.glu(l).ScratchPtr(l.y).CounterPtr().i32s(m.in, m.ff, int(m.route.Gating), m.experts, m.route.K,
				m.renormed(), first[0]).F32(m.route.Scale)},
		m.sum(l, "mixture_stream", "mixture_%s_stream_%s", [3]uint32{uint32(sums)}, m.experts, m.route.K,
			m.ff, m.out, last[0]),
	}
}
