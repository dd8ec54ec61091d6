package plan

import (
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// bytes counts float32 and int32 values, so that no format need be registered.
func bytes(v ops.Value) int64 { return int64(4 * v.Shape().Elems()) }

// TestNoLiveValueIsOverwritten interprets random graphs on the planned arena with one tag per value: each node
// must find the tags of its inputs where they were written.
func TestNoLiveValueIsOverwritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		g := &ops.Graph{}
		vals := []ops.Value{g.Input("a", tensor.F32, 1+r.IntN(40)), g.Input("b", tensor.F32, 1+r.IntN(40))}
		for range 30 {
			x := vals[r.IntN(len(vals))]
			switch r.IntN(4) {
			case 0:
				vals = append(vals, ops.Reshape(g, x, 1, x.Shape().Elems()))
			case 1:
				vals = append(vals, ops.Slice(g, x, 0, 1+r.IntN(x.Shape().Last())))
			case 2:
				vals = append(vals, ops.Add(g, x, x))
			default:
				vals = append(vals, ops.SiLU(g, x))
			}
		}
		if g.Err() != nil {
			t.Fatal(g.Err())
		}
		outs := []ops.Value{vals[len(vals)-1], vals[r.IntN(len(vals))]}
		a := Build(g, outs, bytes, 16)
		owner := func(v ops.Value) ops.Value {
			for v.Node().Op != nil && v.Node().Op.View {
				v = v.Node().In[0]
			}
			return v
		}
		arena := make([]*ops.Node, a.Bytes)
		write := func(v ops.Value) {
			off := a.Offset[v]
			if off%16 != 0 || off < 0 || off+bytes(v) > a.Bytes {
				t.Fatalf("value at %d with %d bytes in an arena of %d", off, bytes(v), a.Bytes)
			}
			for i := range bytes(v) {
				arena[off+i] = owner(v).Node()
			}
		}
		check := func(v ops.Value) {
			for i := range bytes(v) {
				if arena[a.Offset[v]+i] != owner(v).Node() {
					t.Fatalf("%v was overwritten", v.Node())
				}
			}
		}
		for _, n := range g.Nodes { // inputs are uploaded before the run
			if n.Leaf == ops.Input {
				write(n.Result(0))
			}
		}
		for _, n := range g.Nodes {
			for _, v := range n.In {
				check(v)
			}
			if n.Op != nil {
				write(n.Result(0))
			}
		}
		for _, o := range outs {
			check(o)
		}
	}
}

func TestChainReusesMemory(t *testing.T) {
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, 1000)
	for range 50 {
		x = ops.SiLU(g, x)
	}
	if a := Build(g, []ops.Value{x}, bytes, 64); a.Bytes > 3*4096 {
		t.Errorf("a chain of 50 values of 4000 bytes takes %d bytes", a.Bytes)
	}
}

func TestStatesHaveNoPlace(t *testing.T) {
	g := &ops.Graph{}
	s := g.State(tensor.Tensor{Name: "k", DType: tensor.F32, Shape: tensor.Shape{1, 8, 1, 4}})
	idx, pages := g.Input("idx", tensor.I32, 2), g.Input("pages", tensor.I32, 1, 1)
	k := ops.KVAppend(g, s, g.Input("x", tensor.F32, 2, 1, 4), idx, idx, pages)
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	a := Build(g, nil, bytes, 64)
	for _, v := range []ops.Value{s, k} {
		if _, ok := a.Offset[v]; ok {
			t.Errorf("%v has a place in the arena", v.Node())
		}
	}
}

// TestIndexDataIsOnePiece puts I32 inputs one behind the other, and keeps them until the last of them is read.
func TestIndexDataIsOnePiece(t *testing.T) {
	g := &ops.Graph{}
	ids, x := g.Input("ids", tensor.I32, 3), g.Input("x", tensor.F32, 5, 100)
	more, last := g.Input("more", tensor.I32, 1), g.Input("last", tensor.I32, 2)
	y := ops.Rows(g, x, ids)
	for range 3 {
		y = ops.SiLU(g, y)
	}
	z := ops.Rows(g, ops.Rows(g, y, more), more)
	z = ops.Rows(g, ops.SiLU(g, z), last)
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	a := Build(g, []ops.Value{z}, bytes, 64)
	first := a.Offset[ids]
	if first%64 != 0 || a.Offset[more] != first+12 || a.Offset[last] != first+16 {
		t.Errorf("I32 inputs are at %d, %d and %d", first, a.Offset[more], a.Offset[last])
	}
	for _, n := range g.Nodes {
		v := n.Result(0)
		if v.DType() == tensor.I32 || v == z { // the last node may not write over what it reads either
			continue
		}
		if at := a.Offset[v]; at < first+24 && at+bytes(v) > first {
			t.Errorf("%v lies at %d, over index data at %d", n, at, first)
		}
	}
}
