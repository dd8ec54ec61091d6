package opship

import "github.com/hipengine/hipengine/ops"

// skinnyTokens is the largest number of tokens that mul_mat_skinny.hip takes at once: matrix instructions whose operands
// lanes load themselves, since each weight serves few tokens.
const skinnyTokens = 32

// skinnyMost is how many several launches of those kernels take, of weights of one type: those of several are better
// multiplied apart.
const skinnyMost = 3 * skinnyTokens

// skinny reports whether those kernels take the products: of several tokens, which must not be the same alone, and of
// halves.
func (p products) skinny(node *ops.Node, t *Target) bool {
	kernel := p.m <= 16 && p.dots() || p.fewDots() && (p.m <= skinnyTokens || p.m <= skinnyMost && !p.mixed)
	return kernel && p.m > 1 && !t.Invariant && t.MMA != MMANone && p.k%mmaStep == 0 && !ops.Exact(node)
}

// skinnyLaunches are those of mul_mat_skinny for node, whose halves are in pack x. add and gate are those of
// matrixLaunch.
func skinnyLaunches(t *Target, p products, x ops.Value, ys []ops.Value, add ops.Value, gate int) (ls []Launch) {
	for first := 0; first < p.m; first += skinnyTokens {
		tokens := min(skinnyTokens, p.m-first)
		suffix, rows := "16", 32
		if tokens > 16 {
			suffix = "32"
		} else if t.MMA == MMANvidia {
			if tokens <= 8 { // its instructions take so few
				suffix = "8"
			}
			if gate != 0 {
				suffix += "_gated"
			} else {
				rows = 16
			}
		}
		blocks := p.blocks(rows)
		if gate != 0 {
			blocks = Blocks(p.w[0].Shape()[0], rows/2)
		}
		a := Args{}.PtrAt(x, 2*int64(first)*int64(p.k)).PtrAt(x, p.halves(false).scales()+4*int64(first)).
			outputs(p.w, ys, first)
		if add.Valid() {
			a = a.PtrAt(add, 4*int64(first)*int64(p.w[0].Shape()[0]))
		} else {
			a = a.NullPtr()
		}
		ls = append(ls, Launch{Object: "mul_mat_skinny", Symbol: "mul_mat_skinny" + suffix, Grid: [3]uint32{blocks},
			Block: [3]uint32{256}, Args: a.U32(p.dotTypes()).i32s(tokens, p.k, gate)})
	}
	return ls
}

// registerSkinny registers kernel <op>_skinny of op, which has the given number of weights. k is what it has beside.
func registerSkinny(op *ops.Def, weights int, k Kernel, match func(node *ops.Node, p products) bool,
	launch func(t *Target, node *ops.Node, p products) []Launch) {
	k.Name, k.Op = op.Name+"_skinny", op
	k.Match = func(node *ops.Node, t *Target) int {
		p, ok := productsOf(node, weights)
		return matchIf(ok && p.skinny(node, t) && (match == nil || match(node, p)), matchGood)
	}
	k.packs = func(node *ops.Node, _ *Target) []pack {
		p, _ := productsOf(node, weights)
		return []pack{{node.In[0], p.halves(false)}}
	}
	k.Launch = func(node *ops.Node, t *Target) ([]Launch, error) {
		p, _ := productsOf(node, weights)
		return launch(t, node, p), nil
	}
	Register(k)
}
