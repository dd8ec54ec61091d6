package opship

import "github.com/hipengine/hipengine/ops"

// maxSortExperts is how many experts the sort of the matrix kernels has threads for.
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

// expertTiles is how matrix kernels share pairs of token and expert out.
type expertTiles struct {
	pairs int  // of a tile at most, all of one expert
	most  int  // tiles
	few   bool // those of mul_mat_experts_few.hip
	split bool
}

// The kernels of mul_mat_experts_few.hip dequantize for less than those of larger tiles, and leave fewer places empty. They
// take steps with at most as many pairs for each expert as a tile has. Experts that are chosen more often have several
// tiles then, which is bounded: there are at most as many tiles again as experts.
const (
	fewPairs   = 16 // of a tile
	fewScaled  = 32 // of those of weights whose scales are integers, where there are such kernels
	fewThreads = 128
	fewRow     = 2048 // elements of rows that a block multiplies one after the other
)

// scaledFew reports whether a kernel multiplies the scales of weights of type w with their codes, which makes them as exact
// as split wants.
func scaledFew(t *Target, w weightType) bool {
	return t.MMA == MMANvidia && w.dot.few && w.group == "k"
}

// tilesOf returns the tiles of pairs with experts, which all are of types ws. split says whether what rounding takes from
// either factor is multiplied too.
func tilesOf(t *Target, pairs, experts int, split bool, ws ...weightType) expertTiles {
	scaled, few := true, true
	for _, w := range ws {
		few = few && w.dot.number > 0
		scaled = scaled && scaledFew(t, w)
	}
	e := expertTiles{pairs: fewPairs, split: split}
	if scaled && !split {
		e.pairs = fewScaled
	}
	e.few = few && (scaled || !split) && pairs <= e.pairs*experts
	if !e.few {
		e.pairs = matrixTile
	}
	e.most = cover(pairs, e.pairs) + min(pairs, experts)
	return e
}

// bytes is how many the list of tiles has.
func (e expertTiles) bytes() int64 { return 4 * int64(1+3*e.most) }

// sort is the launch that lists the tiles, of pairs whose experts are at ids.
func (e expertTiles) sort(ids Args, order, tiles int64, pairs, experts int) Launch {
	return Launch{Object: "mul_mat_experts_sort", Symbol: "mul_mat_experts_sort", Grid: [3]uint32{1},
		Block: [3]uint32{maxSortExperts}, Args: ids.ScratchPtr(order).ScratchPtr(tiles).i32s(pairs, experts, e.pairs)}
}

// launch is the product with n rows of k weights of type w, of which a is the operands, gated if up is among them.
func (e expertTiles) launch(w weightType, n, k int, gated bool, a Args) Launch {
	rows := matrixTile
	if gated {
		rows /= 2
	}
	l := Launch{Object: "mul_mat_experts_" + w.group, Symbol: "mul_mat_experts_" + w.kernel + "_mma",
		Grid: [3]uint32{uint32(e.most), Blocks(n, rows)}, Block: [3]uint32{matrixThreads}, Args: a}
	if e.few {
		groups := 1
		if e.pairs == fewScaled || e.split { // a block of short rows would do little but begin and end
			groups = max(1, fewRow/k)
		}
		l.Object, l.Symbol = "mul_mat_experts_few", "mul_mat_experts_"+w.kernel+"_few"
		if e.split {
			l.Symbol += "3"
		}
		l.Grid[1], l.Block[0], l.Args = Blocks(n, rows*groups), fewThreads, a.i32s(groups)
	}
	return l
}

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
			Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
				s, _ := expertSizesOf(node)
				tiles := aligned(4 * int64(s.pairs))
				e := tilesOf(t, s.pairs, s.experts, split, s.w)
				ls := []Launch{
					e.sort(Args{}.Ptr(node.In[2]), 0, tiles, s.pairs, s.experts),
					e.launch(s.w, s.n, s.k, false, Args{}.pack(node.In[3], matrixForm(s.w, s.rows, low(s), s.k)).
						Ptr(node.In[1]).NullPtr().NullPtr().NullPtr().ScratchPtr(0).ScratchPtr(tiles).
						Ptr(node.Result(0)).i32s(s.experts, s.n, s.k, s.per, low(s))),
				}
				for i := range ls {
					ls[i].Scratch = tiles + e.bytes()
				}
				return ls, nil
			},
		})
	}
	register("mul_mat_experts_mma", false, func(ok bool, _ *ops.Node) int { return matchIf(ok, matchGood) })
	register("mul_mat_experts_mma3", true, matchThree)
}
