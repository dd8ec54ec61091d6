package opship

import (
	"slices"
	"sort"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// What mul_mat_stream.h is written for: blocks that a compute unit runs at once, their waves, and the most fours of
// rows of a block.
const (
	streamBlocks = 2
	streamWaves  = 8
	streamFours  = 36
)

// streams reports whether those kernels take the products: of one token, where results may depend on that, with at least
// as many rows as are read at once.
func (p products) streams(t *Target) bool {
	few := slices.ContainsFunc(p.w, func(w ops.Value) bool { return w.Shape()[0] < 4 })
	return p.m == 1 && p.fewDots() && !few && !t.Invariant
}

// matchStream is how well those kernels suit one token: best on NVIDIA, where few blocks run at once, and products of
// many end with most of the device idle.
func matchStream(t *Target) int {
	if t.MMA == MMANvidia {
		return matchGood + 1
	}
	return matchPlain
}

// streamed is weights of n rows of k elements that blocks share out.
type streamed struct {
	n, k  int
	dtype tensor.DType
}

// streamed is the weights of p.
func (p products) streamed() (ws []streamed) {
	for _, w := range p.w {
		ws = append(ws, streamed{w.Shape()[0], p.k, w.DType()})
	}
	return ws
}

// streamRows returns how many rows of each weight a block takes, multiples of unit and at most `most`, and how many
// blocks there are: as many as run at once or a little less, or some times that many, which read about as many bytes
// each.
func streamRows(t *Target, unit, most int, ws ...streamed) (rows []int, blocks int) {
	cus := t.computeUnits()
	bytes := make([]int64, len(ws)) // of a row
	for i, w := range ws {
		b, _ := tensor.Bytes(w.dtype, tensor.Shape{1, w.k})
		bytes[i] = max(1, b)
	}
	lightest := slices.Min(bytes)
	// split gives blocks so many rows of the lightest weight.
	split := func(r int) (rows []int, blocks int) {
		for i, w := range ws {
			n := max(1, int(int64(r)*lightest/bytes[i])/unit) * unit
			rows, blocks = append(rows, n), blocks+cover(w.n, n)
		}
		return rows, blocks
	}
	_, fewest := split(most)
	slots := cover(fewest, cus*streamBlocks) * cus * streamBlocks
	r := unit + sort.Search(most/unit-1, func(i int) bool {
		_, blocks := split(unit + i*unit)
		return blocks <= slots
	})*unit
	return split(r)
}

func init() {
	for n := 1; n <= ops.MaxGroup; n++ {
		op := ops.MulMatOp
		if n > 1 {
			op = ops.MulMatGroupOp(n)
		}
		registerStream(op, n, Kernel{}, nil, func(t *Target, node *ops.Node, p products) Launch {
			rows, blocks := streamRows(t, 4, 4*streamFours, p.streamed()...)
			packed := uint32(0)
			for i, r := range rows {
				packed |= uint32(r) << (8 * i)
			}
			return Launch{Symbol: "mul_mat_stream", Grid: [3]uint32{uint32(blocks)},
				Args: Args{}.pack(node.In[1+n], p.codes()).outputs(p.w, results(node), 0).U32(p.dotTypes()).U32(packed).
					i32s(p.k)}
		})
	}
	registerStreamGated(ops.MulMatSwiGLUOp, 1)
	registerStreamGated(ops.MulMatGeGLUOp, 2)
	norm := Kernel{emits: emitsSumNorm, spares: sparesNorm}
	registerStream(ops.MulMatAddRMSNormOp, 1, norm, func(node *ops.Node, _ products) bool {
		n := node.Out[0].Shape[1]
		return n%4 == 0 && n <= normRow
	}, func(t *Target, node *ops.Node, p products) Launch {
		rows, blocks := streamRows(t, 4, 4*streamFours, p.streamed()...)
		return Launch{Symbol: "mul_mat_stream_norm", Grid: [3]uint32{uint32(blocks)}, Counters: 1,
			Args: Args{}.pack(node.In[4], p.codes()).Ptr(node.In[1]).Ptr(node.In[2]).Ptr(node.In[3]).
				Ptr(node.Result(0)).Ptr(node.Result(1)).emitted(node).CounterPtr().U32(p.dotTypes()).
				i32s(rows[0], node.Out[0].Shape[1], p.k).F32(node.Attrs.(ops.MulMatNormAttrs).Norm.Eps)}
	})
}

// registerStreamGated registers the kernel of both products of a gated network; gate is the activation's number in
// math.h. Gate and up must have one type.
func registerStreamGated(op *ops.Def, gate int) {
	registerStream(op, 2, Kernel{emits: emitsGated}, func(_ *ops.Node, p products) bool { return !p.mixed },
		func(t *Target, node *ops.Node, p products) Launch {
			rows, blocks := streamRows(t, 2, 2*streamFours, p.streamed()[0])
			n := p.w[0].Shape()[0]
			return Launch{Symbol: "mul_mat_stream_gated", Grid: [3]uint32{uint32(blocks)}, Counters: cover(n, 32),
				Args: Args{}.pack(node.In[3], p.codes()).Ptr(node.In[1]).Ptr(node.Result(0)).Ptr(node.In[2]).
					emitted(node).CounterPtr().U32(p.dotTypes()&255).i32s(rows[0], n, p.k, gate)}
		})
}

// registerStream registers kernel <op>_stream of op, which has the given number of weights. k is what it has beside,
// and match what else it wants of a node, nil for nothing.
func registerStream(op *ops.Def, weights int, k Kernel, match func(node *ops.Node, p products) bool,
	launch func(t *Target, node *ops.Node, p products) Launch) {
	k.Name, k.Op = op.Name+"_stream", op
	k.Match = func(node *ops.Node, t *Target) int {
		p, ok := productsOf(node, weights)
		return matchIf(ok && p.streams(t) && (match == nil || match(node, p)), matchStream(t))
	}
	k.packs = codesOf
	k.Launch = func(node *ops.Node, t *Target) ([]Launch, error) {
		p, _ := productsOf(node, weights)
		l := launch(t, node, p)
		l.Object, l.Block = "mul_mat_stream", [3]uint32{32 * streamWaves}
		return one(l)
	}
	Register(k)
}
