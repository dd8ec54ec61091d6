package opship

import "github.com/hipengine/hipengine/ops"

// maxSortExperts is how many experts the sort of the matrix kernels has LDS for.
const maxSortExperts = 1024

// expertSizes are the sizes of a mul_mat_experts.
type expertSizes struct {
	rows    int // of x
	per     int // pairs that share a row of x
	pairs   int // of token and choice
	experts int
	n, k    int
	w       weightType
}

// expertSizesOf returns a node's sizes and whether the kernels take them.
func expertSizesOf(node *ops.Node) (expertSizes, bool) {
	x, w := node.In[0].Shape(), node.In[1].Shape()
	s := expertSizes{rows: x[0] * x[1], pairs: node.In[2].Shape().Elems(), experts: w[0], n: w[1], k: w[2]}
	s.per = s.pairs / s.rows
	var ok bool
	s.w, ok = weightTypeOf(node.In[1])
	return s, ok && fits(s.rows, s.pairs, s.n, s.k) && cover(s.n, 4) <= maxGridYZ
}

// tiles returns how many tiles of the matrix kernels there are at most.
func (s expertSizes) tiles() int { return cover(s.pairs, matrixTile) + min(s.pairs, s.experts) }

func init() {
	Register(Kernel{
		Name: "mul_mat_experts_vec",
		Op:   ops.MulMatExpertsOp,
		Match: func(node *ops.Node, t *Target) int {
			s, ok := expertSizesOf(node)
			return matchIf(ok && !s.w.experts(), t.invariantFirst(matchPlain))
		},
		Launch: func(node *ops.Node, _ *Target) ([]Launch, error) {
			s, _ := expertSizesOf(node)
			return one(Launch{Object: "mul_mat_experts_" + s.w.group, Symbol: "mul_mat_experts_" + s.w.kernel + "_vec",
				Grid: [3]uint32{uint32(s.pairs), Blocks(s.n, 4)}, Block: [3]uint32{128},
				Args: Args{}.Ptr(node.In[0]).Ptr(node.In[1]).Ptr(node.In[2]).Ptr(node.Result(0)).i32s(s.n, s.k,
					s.per)})
		},
	})
	codes := func(s expertSizes) packForm { return codeForm(s.rows, s.k) }
	Register(Kernel{
		Name: "mul_mat_experts_dot",
		Op:   ops.MulMatExpertsOp,
		Match: func(node *ops.Node, t *Target) int {
			s, ok := expertSizesOf(node)
			return matchIf(ok && s.w.experts() && fits(s.rows*s.k) && s.per <= maxGridYZ, t.invariantFirst(matchPlain))
		},
		packs: func(node *ops.Node, _ *Target) []pack {
			s, _ := expertSizesOf(node)
			return []pack{{node.In[0], codes(s)}}
		},
		Launch: func(node *ops.Node, _ *Target) ([]Launch, error) {
			s, _ := expertSizesOf(node)
			object, rows := "mul_mat_experts_dot", 8
			if s.w.dot.grid {
				object, rows = "mul_mat_grid", gridRows
			}
			return one(Launch{Object: object, Symbol: "mul_mat_experts_" + s.w.kernel + "_dot",
				Grid: [3]uint32{uint32(s.rows), Blocks(s.n, rows), uint32(s.per)}, Block: [3]uint32{128},
				Args: Args{}.pack(node.In[3], codes(s)).Ptr(node.In[1]).Ptr(node.In[2]).Ptr(node.Result(0)).
					i32s(s.rows, s.n, s.k, s.per)})
		},
	})
	mma := func(node *ops.Node, t *Target) bool {
		s, ok := expertSizesOf(node)
		return ok && node.In[0].Shape()[0] > vecTokens && s.experts <= maxSortExperts && mmaWeights(t, s.w, s.k) &&
			fits(s.rows*s.k)
	}
	// split says whether what rounding takes from x is multiplied too.
	register := func(name string, split bool, match func(ok bool, node *ops.Node) int) {
		low := func(s expertSizes) int {
			if split {
				return s.rows
			}
			return 0
		}
		Register(Kernel{
			Name:  name,
			Op:    ops.MulMatExpertsOp,
			Match: func(node *ops.Node, t *Target) int { return match(mma(node, t), node) },
			packs: func(node *ops.Node, _ *Target) []pack {
				s, _ := expertSizesOf(node)
				return []pack{{node.In[0], matrixForm(s.w, s.rows, low(s), s.k)}}
			},
			Launch: func(node *ops.Node, _ *Target) ([]Launch, error) {
				s, _ := expertSizesOf(node)
				tiles := aligned(4 * int64(s.pairs))
				scratch := tiles + 4*int64(1+3*s.tiles())
				return []Launch{
					{Object: "mul_mat_experts_sort", Symbol: "mul_mat_experts_sort", Grid: [3]uint32{1},
						Block: [3]uint32{256}, Scratch: scratch,
						Args: Args{}.Ptr(node.In[2]).ScratchPtr(0).ScratchPtr(tiles).i32s(s.pairs, s.experts)},
					{Object: "mul_mat_experts_" + s.w.group, Symbol: "mul_mat_experts_" + s.w.kernel + "_mma",
						Grid:  [3]uint32{uint32(s.tiles()), Blocks(s.n, matrixTile)},
						Block: [3]uint32{matrixThreads}, Scratch: scratch,
						Args: Args{}.pack(node.In[3], matrixForm(s.w, s.rows, low(s), s.k)).Ptr(node.In[1]).NullPtr().
							NullPtr().NullPtr().
							ScratchPtr(0).ScratchPtr(tiles).Ptr(node.Result(0)).i32s(s.experts, s.n, s.k, s.per,
							low(s))},
				}, nil
			},
		})
	}
	register("mul_mat_experts_mma", false, func(ok bool, _ *ops.Node) int { return matchIf(ok, matchGood) })
	register("mul_mat_experts_mma3", true, matchThree)
}
