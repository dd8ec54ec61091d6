package opship

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// packOp makes a pack: activations in a form that the kernels of other nodes read instead of floats. Its result is
// bytes. Graphs that are recorded never have it: the device inserts it before the first kernel that wants the pack,
// and all that want the same of one value share it. Kernels that can write a pack with their result save its launch.
// So what is packed is not said by the graph, and no other device sees it.
var packOp = &ops.Def{
	Name: "pack",
	Infer: func(*ops.Node) error {
		return fmt.Errorf("packs are made by the device alone")
	},
}

// packForm is a form of activations, the attributes of packOp: rows of k elements each. Where halves lie before
// scales, scales start at the next multiple of memAlign.
type packForm struct {
	kind  packKind
	first int // row of the activations
	rows  int // from there on
	k     int
	low   int // 0, or rows if what rounding takes from each follows
}

// packKind names the kernel that makes a form, which documents it.
type packKind string

const (
	packF16  packKind = "mul_mat_x_f16"
	packBF16 packKind = "mul_mat_x_bf16"
	packQ24  packKind = "mul_mat_x_q24" // k is a multiple of 32
)

// String says what the form is, for lists of kernels.
func (f packForm) String() string {
	if f.low > 0 {
		return fmt.Sprintf("{%s and rest [%d %d]}", f.kind, f.rows, f.k)
	}
	return fmt.Sprintf("{%s [%d %d]}", f.kind, f.rows, f.k)
}

// scales returns the byte at which scales start.
func (f packForm) scales() int64 {
	if f.kind == packQ24 {
		return aligned(3 * int64(f.rows) * int64(f.k))
	}
	return aligned(2 * int64(f.rows+f.low) * int64(f.k))
}

// bytes returns the size of the pack.
func (f packForm) bytes() int64 {
	if f.kind == packQ24 {
		return f.scales() + 8*int64(f.rows*f.k/32)
	}
	return f.scales() + 4*int64(f.rows)
}

// pack is what a kernel wants: an input of its node in a form. Its Launch finds the pack behind the inputs that the
// node was recorded with.
type pack struct {
	of   ops.Value
	form packForm
}

// pack adds the addresses of a pack: of what it holds, and of its scales.
func (a Args) pack(v ops.Value, f packForm) Args { return a.Ptr(v).PtrAt(v, f.scales()) }

// forms are those that kernels can write with their results, of a matrix of rows by k, in the order of norm_form in
// norm.h.
func forms(rows, k int) []packForm {
	return []packForm{codeForm(rows, k), {kind: packF16, rows: rows, k: k},
		{kind: packF16, rows: rows, k: k, low: rows}}
}

// emittedForm returns the form in which n writes its last result too, and its number in norm.h, 0 for none.
func emittedForm(n *ops.Node) (packForm, int) { return emittedFormOf(n, max(1, n.Op.Results)-1) }

// emittedFormOf is emittedForm for result r.
func emittedFormOf(n *ops.Node, r int) (packForm, int) {
	i := max(1, n.Op.Results)
	if len(n.Out) == i {
		return packForm{}, 0
	}
	y := n.Out[r].Shape
	for j, f := range forms(y.Rows(), y.Last()) {
		if f.bytes() == int64(n.Out[i].Shape[0]) {
			return f, j + 1
		}
	}
	return packForm{}, 0 // packs.emits has seen to it that there is one
}

// emitted adds the addresses of the pack of its last result that n makes too, null if it makes none.
func (a Args) emitted(n *ops.Node) Args { return a.emittedOf(n, max(1, n.Op.Results)-1) }

// emittedOf is emitted for result r.
func (a Args) emittedOf(n *ops.Node, r int) Args {
	f, form := emittedFormOf(n, r)
	if form == 0 {
		return a.NullPtr().NullPtr()
	}
	return a.pack(n.Result(max(1, n.Op.Results)), f)
}

// key returns the pack that p is the same as: views of a value have its bytes. A state may be updated between two
// nodes that read it, so that each of them packs it anew.
func (p pack) key() (pack, bool) {
	p.of = viewed(p.of)
	return p, ops.Root(p.of).Leaf != ops.State
}

// packs are those of a graph so far.
type packs struct {
	have   map[pack]ops.Value
	chosen map[*ops.Node]Kernel // for the nodes so far
	read   map[ops.Value]bool   // values that are read as they are
}

func newPacks() packs {
	return packs{map[pack]ops.Value{}, map[*ops.Node]Kernel{}, map[ops.Value]bool{}}
}

// reads notes that v, or what it is a view of, is read as it is.
func (ps packs) reads(v ops.Value) { ps.read[viewed(v)] = true }

// viewed returns what v is a view of, or v.
func viewed(v ops.Value) ops.Value {
	for n := v.Node(); n.Op != nil && n.Op.View; n = v.Node() {
		v = n.In[0]
	}
	return v
}

// spared returns the results of n that its kernel k need not write.
func (ps packs) spared(n *ops.Node, k Kernel) (vs []ops.Value) {
	if k.spares == nil {
		return nil
	}
	for r := range max(1, n.Op.Results) {
		if v := n.Result(r); !ps.read[v] && k.spares(n, r) {
			vs = append(vs, v)
		}
	}
	return vs
}

// add gives n, for which k was chosen, the packs that k wants as further inputs, and returns the nodes that must make
// them before n: none for those that the kernel of what is packed can write as well, which becomes a further result
// of its node.
func (ps packs) add(n *ops.Node, k Kernel, t *Target) ([]*ops.Node, error) {
	ps.chosen[n] = k
	var wanted []pack
	if k.packs != nil {
		wanted = k.packs(n, t)
	}
	for i, v := range n.In {
		packed := slices.ContainsFunc(wanted, func(p pack) bool { return p.of == v })
		// What is packed is read once, in the form.
		if !packed || slices.Contains(n.In[:i], v) || k.alsoReads != nil && k.alsoReads(n, i) {
			ps.reads(v)
		}
	}
	if wanted == nil {
		return nil, nil
	}
	var made []*ops.Node
	n.In = slices.Clone(n.In) // it may be shared
	for _, p := range wanted {
		key, shared := p.key()
		v, ok := ps.have[key]
		if !ok || !shared {
			size := p.form.bytes()
			if size < 0 || size > maxAlloc {
				return nil, fmt.Errorf("opship: %s: %v: kernel %s wants a pack of %d bytes", n.Pos, n, k.Name, size)
			}
			typ := ops.Type{DType: tensor.I8, Shape: tensor.Shape{int(size)}}
			// A kernel that writes the pack has its own way of rounding: then it must not depend on the number of
			// rows.
			if from := key.of.Node(); shared && !t.Invariant && ps.emits(key) {
				from.Out = append(slices.Clone(from.Out), typ)
				v = from.Result(len(from.Out) - 1)
			} else {
				maker := &ops.Node{Op: packOp, In: []ops.Value{p.of}, Attrs: p.form, Pos: n.Pos, Out: []ops.Type{typ}}
				ps.reads(p.of)
				made = append(made, maker)
				v = maker.Result(0)
			}
			ps.have[key] = v
		}
		n.In = append(n.In, v)
	}
	return made, nil
}

// emits reports whether the kernel of what p packs can write the pack.
func (ps packs) emits(p pack) bool {
	n := p.of.Node()
	k, ok := ps.chosen[n]
	if !ok || k.emits == nil || len(n.Out) != max(1, n.Op.Results) {
		return false
	}
	// Halves are of the rows that a result has, which views may cut otherwise; codes are of blocks in them.
	y := n.Out[p.of.Index()].Shape
	if p.form.kind != packQ24 && (y.Rows() != p.form.rows || y.Last() != p.form.k) {
		return false
	}
	// The size tells Launch which form it is, as it does for all but tiny matrices.
	var same []packForm
	for _, f := range forms(y.Rows(), y.Last()) {
		if f.bytes() == p.form.bytes() {
			same = append(same, f)
		}
	}
	return len(same) == 1 && same[0].kind == p.form.kind && same[0].low == p.form.low &&
		k.emits(n, p.of.Index(), p.form)
}

// alone returns what k launches for n, the only node of its graph, with the packs that it wants.
func alone(n *ops.Node, k Kernel, t *Target) ([]step, error) {
	made, err := newPacks().add(n, k, t)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, p := range made {
		maker, ok := kernels.find(p, t)
		if !ok {
			return nil, fmt.Errorf("opship: %w: %v", ops.ErrUnsupported, p)
		}
		ls, err := maker.Launch(p, t)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{p, maker.Name, ls})
	}
	ls, err := k.Launch(n, t)
	return append(steps, step{n, k.Name, ls}), err
}

func init() {
	register := func(kind packKind, launch func(n *ops.Node, f packForm) Launch) {
		Register(Kernel{
			Name:  string(kind),
			Op:    packOp,
			Match: func(n *ops.Node, _ *Target) int { return matchIf(n.Attrs.(packForm).kind == kind, matchPlain) },
			Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
				l := launch(n, n.Attrs.(packForm))
				l.Object, l.Symbol, l.Block = "mul_mat_x", string(kind), [3]uint32{256}
				return one(l)
			},
		})
	}
	from := func(n *ops.Node, f packForm) Args { return Args{}.PtrAt(n.In[0], 4*int64(f.first)*int64(f.k)) }
	rows := func(n *ops.Node, f packForm) Launch {
		return Launch{Grid: [3]uint32{uint32(f.rows)}, Args: from(n, f).pack(n.Result(0), f).i32s(f.k, f.low)}
	}
	register(packF16, rows)
	register(packBF16, rows)
	register(packQ24, func(n *ops.Node, f packForm) Launch {
		blocks := f.rows * f.k / 32
		return Launch{Grid: [3]uint32{Blocks(blocks, 8)}, Args: from(n, f).pack(n.Result(0), f).i32s(blocks)}
	})
}
