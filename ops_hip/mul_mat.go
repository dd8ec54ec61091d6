package opship

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// vecTokens is the largest number of tokens that the mat-vec kernels take.
const vecTokens = 8

// fewDot reports whether there are integer dot products of weights w for several tokens, and as parts of larger
// kernels.
func fewDot(w ops.Value) bool { return weightTypes[w.DType().String()].dot.few }

// products are the sizes of a node that multiplies m rows of k elements, its first input, with the weights that
// follow.
type products struct {
	m, k  int
	w     []ops.Value
	typ   weightType // of all weights
	mixed bool       // they have several types; typ is that of the first
}

// productsOf returns the products of node with its first weights, and whether kernels take them.
func productsOf(node *ops.Node, weights int) (p products, ok bool) {
	x := node.In[0].Shape()
	p = products{m: x[0], k: x[1], w: node.In[1 : 1+weights]}
	ok = fits(p.m, p.k, p.m*p.k/32) && cover(p.m, 64) <= maxGridYZ
	for i, w := range p.w {
		typ, known := weightTypeOf(w)
		if i == 0 {
			p.typ = typ
		}
		p.mixed = p.mixed || typ != p.typ
		ok = ok && known && fits(w.Shape()[0])
	}
	return p, ok
}

// blocks returns how many blocks of the given number of rows cover all weights.
func (p products) blocks(rows int) uint32 {
	n := uint32(0)
	for _, w := range p.w {
		n += Blocks(w.Shape()[0], rows)
	}
	return n
}

// dots reports whether there are integer dot products of all weights.
func (p products) dots() bool {
	return !slices.ContainsFunc(p.w, func(w ops.Value) bool { return weightTypes[w.DType().String()].dot.number == 0 })
}

// gridRows are the rows of a block of mul_mat_grid.hip.
const gridRows = 16

// grid reports whether the kernels of mul_mat_grid.hip take the products.
func (p products) grid(t *Target) bool { return p.typ.dot.grid && !p.mixed && p.m == 1 && !t.Invariant }

// fewDots reports whether all weights have those for several tokens; dot also that few enough tokens are there for
// them.
func (p products) fewDots() bool {
	return !slices.ContainsFunc(p.w, func(w ops.Value) bool { return !fewDot(w) })
}
func (p products) dot() bool { return p.fewDots() && p.m <= vecTokens }

// dotTypes are the numbers of the weights' types as kernels of several types want them.
func (p products) dotTypes() (types uint32) {
	for i, w := range p.w {
		types |= uint32(weightTypes[w.DType().String()].dot.number-1) << (8 * i)
	}
	return types
}

// matrix reports whether matrix kernels take the products, which are of many tokens.
func (p products) matrix(t *Target) bool {
	return p.m > vecTokens && !p.mixed && mmaWeights(t, p.typ, p.k) && fits(p.m*p.k) && p.blocks(64) <= maxGridYZ
}

// suffix says which mat-vec kernel takes the tokens.
func (p products) suffix(t *Target) string {
	if p.m == 1 && !t.Invariant {
		return "1"
	}
	return "8"
}

// matchVec is the match of the mat-vec kernels, which are best for few tokens. Where results must not depend on how
// many there are, they take all, some at a time: decoding loses nothing by that, and prompts read the weights more
// often.
func matchVec(ok bool, m int, t *Target, score int) int {
	if t.Invariant {
		return matchIf(ok, matchInvariant+score)
	}
	return matchIf(ok && m <= vecTokens, score)
}

// vecGroups calls f for each group of tokens that mat-vec kernels take at a time, from token first on, and returns the
// launches.
func vecGroups(m int, f func(first, tokens int) Launch) ([]Launch, error) {
	var ls []Launch
	for first := 0; first < m; first += vecTokens {
		ls = append(ls, f(first, min(vecTokens, m-first)))
	}
	return ls, nil
}

// codes is the form in which integer dot products read x; halves is that of matrix kernels.
func (p products) codes() packForm            { return codeForm(p.m, p.k) }
func (p products) halves(split bool) packForm { return matrixForm(p.typ, p.m, p.low(split), p.k) }

// low is how many rows follow with what rounding takes from x, where split says that this is multiplied too.
func (p products) low(split bool) int {
	if split {
		return p.m
	}
	return 0
}

// outputs adds the weights and results of outputs.h, from that of token first on.
func (a Args) outputs(ws, ys []ops.Value, first int) Args {
	var rows [ops.MaxGroup]int
	for i := range rows {
		if i >= len(ws) {
			a = a.NullPtr().NullPtr()
			continue
		}
		a = a.Ptr(ws[i])
		if i < len(ys) {
			rows[i] = ws[i].Shape()[0]
			a = a.PtrAt(ys[i], 4*int64(first)*int64(rows[i]))
		} else {
			a = a.NullPtr()
		}
	}
	return a.i32s(rows[:]...)
}

// results returns the results of node that were recorded with it.
func results(node *ops.Node) []ops.Value {
	ys := make([]ops.Value, max(1, node.Op.Results))
	for i := range ys {
		ys[i] = node.Result(i)
	}
	return ys
}

// matrixTile is the tokens, and the rows of weights, of a tile of the matrix kernels.
const matrixTile = 128

// whole reports whether there is a kernel of whole tiles for the weights, and so few places of them have no token that
// it pays.
func (p products) whole(split bool) bool {
	kernel := p.typ.dot.number > 0 || p.typ.group == "float"
	return kernel && !split && cover(p.m, matrixTile)*matrixTile <= p.m+p.m/4
}

// matrixThreads are the threads of a block of the matrix kernels, but on NVIDIA of those of whole tiles.
const matrixThreads = 256

// matrixLaunch is that of mul_mat_<q>_mma for node, which sees halves in pack x. add is what is added to the product,
// or the zero Value; gate is one of math.h.
func matrixLaunch(t *Target, p products, x ops.Value, ys []ops.Value, add ops.Value, gate int, split bool) Launch {
	// grid is that of tiles of so many tokens and rows of weights.
	grid := func(tile int) [3]uint32 {
		g := [3]uint32{Blocks(p.m, tile), p.blocks(tile)}
		if gate != 0 {
			g[1] = Blocks(p.w[0].Shape()[0], tile/2)
		}
		return g
	}
	l := Launch{Object: "mul_mat_" + p.typ.group, Symbol: "mul_mat_" + p.typ.kernel + "_mma", Grid: grid(matrixTile),
		Block: [3]uint32{matrixThreads},
		Args:  Args{}.pack(x, p.halves(split)).outputs(p.w, ys, 0).or(add).i32s(p.m, p.k, p.low(split), gate)}
	switch {
	case p.typ.dot.few && !split && int(l.Grid[0])*int(l.Grid[1]) < t.units():
		l.Symbol += "64"
		l.Grid, l.Block[0] = grid(64), 128
		if int(l.Grid[0])*int(l.Grid[1]) < 2*t.units() {
			l.Symbol, l.Block[0] = l.Symbol+"k", 256
		}
	case p.whole(split):
		l.Symbol += "128"
		if t.MMA == MMANvidia {
			l.Block[0] = 128
		}
	}
	return l
}

// tileLaunch is that of mul_mat_<q>_tile, or of its smaller tiles where they are few, for m rows of k elements of x and
// n of weights of type w.
func tileLaunch(t *Target, w weightType, m, n, k int) Launch {
	l := Launch{Object: "mul_mat_" + w.group, Symbol: "mul_mat_" + w.kernel + "_tile",
		Grid: [3]uint32{Blocks(n, 64), Blocks(m, 64)}, Block: [3]uint32{256}}
	few := func() bool { return w.wide && int(l.Grid[0])*int(l.Grid[1]) < 2*t.units() }
	for _, tile := range []int{32, 16} {
		// tiles of 16 sum in another order
		if few() && cover(m, tile) <= maxGridYZ && !(tile == 16 && t.Invariant) {
			l.Symbol = fmt.Sprintf("mul_mat_%s_tile%d", w.kernel, tile)
			l.Grid = [3]uint32{Blocks(n, 32), Blocks(m, tile)}
		}
	}
	return l
}

// registerMatrix registers the matrix kernels of op, which has the given number of weights: <op>_mma, and <op>_mma3
// of three products, see matchThree. match says what else they want of a node, nil for nothing; k is what they have
// beside.
func registerMatrix(op *ops.Def, weights int, k Kernel, match func(node *ops.Node) bool,
	launch func(t *Target, node *ops.Node, p products, split bool) []Launch) {
	for _, split := range []bool{false, true} {
		k := k
		k.Name, k.Op = op.Name+"_mma", op
		if split {
			k.Name += "3"
		}
		k.Match = func(node *ops.Node, t *Target) int {
			p, ok := productsOf(node, weights)
			// other sizes of steps take other kernels
			ok = ok && p.matrix(t) && !t.Invariant && (match == nil || match(node))
			if split {
				return matchThree(ok, node)
			}
			return matchIf(ok, matchGood)
		}
		k.packs = func(node *ops.Node, _ *Target) []pack {
			p, _ := productsOf(node, weights)
			return []pack{{node.In[0], p.halves(split)}}
		}
		k.Launch = func(node *ops.Node, t *Target) ([]Launch, error) {
			p, _ := productsOf(node, weights)
			return launch(t, node, p, split), nil
		}
		Register(k)
	}
}

// codesOf is the packs of kernels of integer dot products: 24-bit codes as three matrices of bytes, with two floats
// for each block of 32.
func codesOf(node *ops.Node, _ *Target) []pack {
	p, _ := productsOf(node, 1)
	return []pack{{node.In[0], p.codes()}}
}

func init() {
	Register(Kernel{
		Name: "mul_mat_tile",
		Op:   ops.MulMatOp,
		Match: func(node *ops.Node, _ *Target) int {
			_, ok := productsOf(node, 1)
			return matchIf(ok, matchPlain)
		},
		Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
			p, _ := productsOf(node, 1)
			n := p.w[0].Shape()[0]
			l := tileLaunch(t, p.typ, p.m, n, p.k)
			l.Args = Args{}.Ptr(node.In[0]).Ptr(node.In[1]).Ptr(node.Result(0)).i32s(p.m, n, p.k)
			return one(l)
		},
	})
	registerProducts(ops.MulMatOp, 1)
}

// registerProducts registers the kernels of products of one input with weights: <op>_vec, _dot, _mma and _mma3.
func registerProducts(op *ops.Def, weights int) {
	Register(Kernel{
		Name: op.Name + "_vec",
		Op:   op,
		Match: func(node *ops.Node, t *Target) int {
			p, ok := productsOf(node, weights)
			return matchVec(ok && !p.mixed && p.typ.dot.number == 0, p.m, t, matchGood)
		},
		Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
			p, _ := productsOf(node, weights)
			return vecGroups(p.m, func(first, tokens int) Launch {
				suffix := p.suffix(t)
				if p.typ.dot.grid { // one token alone is for mul_mat_grid
					suffix = "8"
				}
				return Launch{Object: "mul_mat_" + p.typ.group, Symbol: "mul_mat_" + p.typ.kernel + "_vec" + suffix,
					Grid: [3]uint32{p.blocks(4)}, Block: [3]uint32{128},
					Args: Args{}.PtrAt(node.In[0], 4*int64(first)*int64(p.k)).outputs(p.w, results(node),
						first).i32s(tokens, p.k)}
			})
		},
	})
	Register(Kernel{
		Name: op.Name + "_dot",
		Op:   op,
		Match: func(node *ops.Node, t *Target) int {
			p, ok := productsOf(node, weights)
			return matchVec(ok && (p.dots() || p.grid(t)), p.m, t, matchGood)
		},
		packs: func(node *ops.Node, _ *Target) []pack {
			p, _ := productsOf(node, weights)
			var ps []pack
			for first := 0; first < p.m; first += vecTokens {
				ps = append(ps, pack{node.In[0], codeFormFrom(first, min(vecTokens, p.m-first), p.k)})
			}
			return ps
		},
		Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
			p, _ := productsOf(node, weights)
			return vecGroups(p.m, func(first, tokens int) Launch {
				suffix, rows := p.suffix(t), uint32(1)
				if !p.fewDots() {
					suffix, rows = "1", uint32(tokens)
				}
				l := Launch{Object: "mul_mat_dot", Symbol: "mul_mat_" + p.typ.kernel + "_dot" + suffix,
					Grid: [3]uint32{p.blocks(8), rows}, Block: [3]uint32{128}}
				if p.typ.dot.grid {
					l.Object, l.Grid = "mul_mat_grid", [3]uint32{p.blocks(gridRows)}
				}
				codes := node.In[1+weights+first/vecTokens]
				l.Args = Args{}.pack(codes, codeFormFrom(first, tokens, p.k)).outputs(p.w, results(node), first)
				if p.mixed {
					l.Symbol, l.Args = "mul_mat_mixed_dot"+suffix, l.Args.U32(p.dotTypes())
				}
				l.Args = l.Args.i32s(tokens, p.k)
				return l
			})
		},
	})
	registerMatrix(op, weights, Kernel{}, nil, func(t *Target, node *ops.Node, p products, split bool) []Launch {
		return []Launch{matrixLaunch(t, p, node.In[1+weights], results(node), ops.Value{}, 0, split)}
	})
	registerSkinny(op, weights, Kernel{}, nil, func(t *Target, node *ops.Node, p products) []Launch {
		return skinnyLaunches(t, p, node.In[1+weights], results(node), ops.Value{}, 0)
	})
}
