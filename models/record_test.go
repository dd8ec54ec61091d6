package models_test

import (
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// chooser is a device that notes what it is told of weights.
type chooser struct {
	ops.Device
	readers map[string][]*ops.Def
}

func (c *chooser) Layout(u ops.WeightUse) tensor.Layout {
	c.readers[u.Name] = u.Ops
	return c.Device.Layout(u)
}

// TestReadersOfWeights checks that a device learns which ops read a weight.
func TestReadersOfWeights(t *testing.T) {
	m := newModel(t, tiny.Meta("qwen35moe"))
	src := tiny.Weights(m, tensor.F32, 1)
	src.Remove("output.weight")
	ref := opsref.New(opsref.Options{Threads: 1})
	defer ref.Close()
	dev := &chooser{ref, map[string][]*ops.Def{}}
	if _, _, err := models.DeclareWeights(m, src, dev); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]*ops.Def{
		"token_embd.weight":          {ops.EmbedOp, ops.MulMatOp},
		"output_norm.weight":         {ops.RMSNormOp},
		"blk.0.ssm_conv1d.weight":    {ops.CausalConvOp},
		"blk.1.attn_q.weight":        {ops.MulMatOp},
		"blk.1.ffn_down_exps.weight": {ops.MulMatExpertsOp},
	} {
		if got := dev.readers[name]; !slices.Equal(got, want) {
			t.Errorf("%s is read by %d ops, want %s first of %d", name, len(got), want[0].Name, len(want))
		}
	}
	for name, readers := range dev.readers {
		if len(readers) == 0 {
			t.Errorf("nobody reads %s", name)
		}
	}
}

// TestExactProducts checks that models with routed experts ask for exact products everywhere, and others nowhere.
func TestExactProducts(t *testing.T) {
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()
	routed := 0
	for _, arch := range tiny.Archs {
		m := newModel(t, tiny.Meta(arch))
		w, _, err := models.DeclareWeights(m, tiny.Weights(m, tensor.F32, 1), dev)
		if err != nil {
			t.Fatal(err)
		}
		ts, err := m.State().Tensors(kv.Storage{Pages: func(int) int { return 2 }, Slots: 2, KVType: tensor.F16,
			Type: tensor.F32})
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]tensor.Tensor{}
		for _, s := range ts {
			states[s.Name] = s
		}
		g, out, err := models.Record(m, w, states, 0, models.Sizes{Tokens: 6, Seqs: 2, Pages: 1, Rows: 3})
		if err != nil {
			t.Fatal(err)
		}
		logits := tensor.Shape{3, tiny.Vocab}
		if m.Params().Encoder {
			logits = nil
		}
		if h, l := out.Hidden.Shape(), out.Logits.Shape(); !h.Equal(tensor.Shape{3, m.Params().Embd}) ||
			!l.Equal(logits) || !out.Result().Valid() {
			t.Errorf("%s: outputs %v and %v", arch, h, l)
		}
		want := slices.ContainsFunc(g.Nodes, func(n *ops.Node) bool { return n.Op == ops.RouteOp })
		if want {
			routed++
		}
		for _, n := range g.Nodes {
			if (n.Op == ops.MulMatOp || n.Op == ops.MulMatExpertsOp) && ops.Exact(n) != want {
				t.Errorf("%s: %v is exact: %v", arch, n, !want)
				break
			}
		}
		if g.Exact {
			t.Errorf("%s leaves the graph exact for others", arch)
		}
	}
	if routed < 5 {
		t.Errorf("%d models with routed experts", routed)
	}
}
