package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// MoE is a mixture of experts: a router picks Used of Experts feed-forward networks for each token, gated ones unless
// Plain says otherwise, and adds their outputs with weights; a shared expert, if there is one, serves every token.
// Experts and router may have biases, and exp_probs_b.bias, where present, joins the choice but not the weights. Files
// may fuse the experts' gate and up matrices, in that order, into ffn_gate_up_exps, or hold each expert's matrices as
// tensors of their own (ffn_gate.0, ffn_gate.1, ...).
type MoE struct {
	Embd, FF      int
	Experts, Used int
	Act           Activation // nil: ops.SwiGLU
	Plain         Unary      // of experts without a gate, in place of Act; nil: they have one
	InTurn        bool       // rows of gate and up alternate in ffn_gate_up_exps

	Gating ops.Gating
	Norm   bool         // weights of a token sum to one
	Scale  float32      // on the weights; 0: 1
	Sparse *SparseMixer // routes in place of all of these, without a bias; nil: none

	// Groups of neighbouring experts, of which the best are used, as in ops.RouteAttrs; 0 or 1: no groups.
	Groups, UsedGroups, GroupBest int

	Shared     int  // FF size of the shared expert; 0: none
	SharedGate bool // the shared expert's output is multiplied by sigmoid(ffn_gate_inp_shexp·x)

	// Slots is how many experts another device than theirs has copies of, which it runs in place of theirs; 0: none.
	// See models.ExpertCacher.
	Slots int

	split *moePart // of one rank; nil: the whole
}

type moePart struct {
	*part
	whole *MoE
}

// shared is the shared expert.
func (m *MoE) shared() interface {
	FFN
	kind() string
} {
	if m.Plain != nil {
		return &FeedForward{Embd: m.Embd, FF: m.Shared, Act: m.Plain, Suffix: "_shexp"}
	}
	return &MLP{Embd: m.Embd, FF: m.Shared, Act: m.Act, Suffix: "_shexp"}
}

// Specs adds router, experts and shared expert.
func (m *MoE) Specs(s *Specs) {
	if m.split != nil {
		m.split.specs(s, m.split.whole.Specs)
		return
	}
	s.Linear("ffn_gate_inp", m.Experts, m.Embd)
	if m.Sparse != nil {
		m.Sparse.specs(s)
	} else {
		s.Add(models.WeightSpec{Name: "exp_probs_b.bias", Shape: tensor.Shape{m.Experts}, Vector: true, Optional: true})
	}
	fused := func(half int) models.Part {
		p := models.Part{Name: "ffn_gate_up_exps", Lo: half * m.FF, Of: 2 * m.FF}
		if m.InTurn {
			p.At = func(i int) int { return 2*i + half }
		}
		return p
	}
	in, out := tensor.Shape{m.Experts, m.FF, m.Embd}, tensor.Shape{m.Experts, m.Embd, m.FF}
	before := len(s.List)
	columns := []models.Segment{{Kind: expertColumns, Units: m.FF, Size: 1}}
	rows := models.Split{Axis: 1, Segments: columns}
	gate := models.WeightSpec{Name: "ffn_gate_exps", Shape: in, Part: fused(0), Stack: "ffn_gate.%d", Split: rows}
	up := models.WeightSpec{Name: "ffn_up_exps", Shape: in, Part: fused(1), Stack: "ffn_up.%d", Split: rows}
	if m.Plain == nil {
		s.linear(gate, false)
	} else {
		up.Part = models.Part{}
	}
	s.linear(up, false)
	s.linear(models.WeightSpec{Name: "ffn_down_exps", Shape: out, Stack: "ffn_down.%d",
		Split: models.Split{Axis: 2, Segments: columns}}, false)
	if m.Slots > 0 {
		m.slotSpecs(s, s.List[before:])
	}
	if m.Shared > 0 {
		m.shared().Specs(s)
		if m.SharedGate {
			s.Add(models.WeightSpec{Name: "ffn_gate_inp_shexp.weight", Shape: tensor.Shape{1, m.Embd}})
		}
	}
}

// expertColumns names the columns of experts.
const expertColumns = "ffn_down_exps"

// Split gives each rank columns of every expert and of the shared one; each runs the router. Whole experts would leave
// ranks idle: of the few that a token uses, one rank may have most.
func (m *MoE) Split(r Ranks) ([]FFN, error) {
	shares, err := r.columns(expertColumns, m.FF)
	if err != nil {
		return nil, err
	}
	shared := make([]models.Range, r.N)
	if m.Shared > 0 {
		if shared, err = r.columns(m.shared().kind(), m.Shared); err != nil {
			return nil, err
		}
	}
	out := make([]FFN, r.N)
	for i, p := range parts(r.N) {
		p.units[expertColumns], p.units[m.shared().kind()] = shares[i:i+1], shared[i:i+1]
		own := *m
		own.FF, own.Shared, own.split = shares[i].Len(), shared[i].Len(), &moePart{p, m}
		out[i] = &own
	}
	return out, nil
}

// Build records the mixture.
func (m *MoE) Build(g *ops.Graph, w models.Weights, x ops.Value) ops.Value {
	ids, weights := m.Route(g, w, x)
	y := m.Mix(g, w, x, ids, weights)
	if m.Shared > 0 {
		z := m.shared().Build(g, w, x)
		if m.SharedGate {
			gate := ops.Sigmoid(g, Linear(g, w, "ffn_gate_inp_shexp", x))
			z = ops.WeightedSum(g, ops.Reshape(g, z, x.Shape().Rows(), 1, m.Embd), gate)
		}
		y = ops.Add(g, y, z)
	}
	return y
}

// Route records the router: ids, I32 [tokens, Used], and weights, [tokens, Used], of the experts of x.
func (m *MoE) Route(g *ops.Graph, w models.Weights, x ops.Value) (ids, weights ops.Value) {
	if m.Sparse != nil {
		return m.Sparse.route(g, w, Linear(g, w, "ffn_gate_inp", x))
	}
	attrs := ops.RouteAttrs{K: m.Used, Gating: m.Gating, Norm: m.Norm, Scale: m.Scale}
	if m.Groups > 1 {
		attrs.Groups, attrs.UsedGroups, attrs.GroupBest = m.Groups, m.UsedGroups, m.GroupBest
	}
	if attrs.Scale == 0 {
		attrs.Scale = 1
	}
	var bias ops.Value
	if w.Has("exp_probs_b.bias") {
		bias = w.Get(g, "exp_probs_b.bias")
	}
	return ops.Route(g, Linear(g, w, "ffn_gate_inp", x), bias, attrs)
}

// Mix records the weighted sum of what the chosen experts make of x.
func (m *MoE) Mix(g *ops.Graph, w models.Weights, x, ids, weights ops.Value) ops.Value {
	row := ops.Reshape(g, x, x.Shape().Rows(), 1, m.Embd)
	if m.Slots > 0 {
		return ops.WeightedSum(g, m.mixSlots(g, w, row, ids), weights)
	}
	return ops.WeightedSum(g, m.each(g, w, row, "exps", ops.MulMatExperts, ids, ids), weights)
}

// product is ops.MulMatExperts, or ops.MulMatSomeExperts.
type product func(g *ops.Graph, x, w, ids ops.Value) ops.Value

// each records what the experts of each token, of the stacks of tensors with the given suffix, make of row, [tokens, 1,
// Embd]: [tokens, Used, Embd]. Of ids, product takes some, and what else experts have is read for all.
func (m *MoE) each(g *ops.Graph, w models.Weights, row ops.Value, suffix string, mul product,
	some, all ops.Value) ops.Value {
	linear := func(name string, x ops.Value) ops.Value {
		return experts(g, w, name+"_"+suffix, x, mul, some, all)
	}
	if m.Plain != nil {
		return linear("ffn_down", m.Plain(g, linear("ffn_up", row)))
	}
	return linear("ffn_down", activate(g, m.Act, linear("ffn_gate", row), linear("ffn_up", row)))
}

// experts is Linear with the matrices of each token's own experts: of ids, mul takes some, and factors and biases are
// those of all. x: [tokens, 1 or k, in]; result [tokens, k, out].
func experts(g *ops.Graph, w models.Weights, name string, x ops.Value, mul product, some, ids ops.Value) ops.Value {
	y := mul(g, x, w.Get(g, name+".weight"), some)
	if factor := models.FactorName(name); w.Has(factor) {
		s := y.Shape()
		each := ops.AddExperts(g, ops.Scale(g, ops.Slice(g, y, 0, 1), 0), w.Get(g, factor), ids)
		y = ops.WeightedSum(g, ops.Reshape(g, y, s[0]*s[1], 1, s[2]), ops.Reshape(g, each, s[0]*s[1], 1))
		y = ops.Reshape(g, y, s[0], s[1], s[2])
	}
	if w.Has(name + ".bias") {
		y = ops.AddExperts(g, y, w.Get(g, name+".bias"), ids)
	}
	return y
}

// ReadMoE reads the numbers of experts and the width of each. expert_feed_forward_length defaults to
// feed_forward_length, as in files of Mixtral; expert_weights_scale to none. d becomes exact.
func ReadMoE(k *models.Keys, d *Decoder) *MoE {
	d.Exact = true
	m := &MoE{Embd: d.Embd, Experts: k.Int("expert_count", 1, models.MaxExperts)}
	m.Used = k.Int("expert_used_count", 1, m.Experts)
	if k.Has("expert_feed_forward_length") {
		m.FF = k.Int("expert_feed_forward_length", 1, models.MaxDim)
	} else {
		m.FF = k.Int("feed_forward_length", 1, models.MaxDim)
	}
	m.Scale = float32(k.FloatOr("expert_weights_scale", 0, 0, 1e6))
	return m
}

// ReadGating reads expert_gating_func, as llama.cpp counts; def is its default.
func ReadGating(k *models.Keys, def ops.Gating) ops.Gating {
	known := []ops.Gating{def, ops.Softmax, ops.SigmoidGate, ops.SoftmaxTopK}
	return known[k.IntOr("expert_gating_func", 0, 0, len(known)-1)]
}

// ReadGroups reads expert_group_count, 1 by default, and expert_group_used_count. A group is as good as its best expert
// where scores are softmax (DeepSeek-V2), else as its two best together (DeepSeek-V3); gating must be known before.
func ReadGroups(k *models.Keys, m *MoE) {
	if m.Groups = k.IntOr("expert_group_count", 1, 0, m.Experts); m.Groups <= 1 {
		return
	}
	if m.Experts%m.Groups != 0 {
		k.Fail("expert_count %d is not a multiple of expert_group_count %d", m.Experts, m.Groups)
		return
	}
	m.UsedGroups = k.Int("expert_group_used_count", 1, m.Groups)
	if m.GroupBest = 2; m.Gating == ops.Softmax {
		m.GroupBest = 1
	}
	each := m.Experts / m.Groups
	m.GroupBest = min(m.GroupBest, each)
	if m.Used > m.UsedGroups*each {
		k.Fail("expert_used_count %d is more than %d groups of %d experts hold", m.Used, m.UsedGroups, each)
	}
}

// ReadLeadingDense returns the network of each layer of a model whose first leading_dense_block_count layers, none by
// default, are dense with a width of feed_forward_length, and whose others are moe.
func ReadLeadingDense(k *models.Keys, d *Decoder, moe *MoE) []FFN {
	out := make([]FFN, d.Layers)
	dense := k.IntOr("leading_dense_block_count", 0, 0, d.Layers)
	for i := range out {
		out[i] = moe
		if i < dense {
			out[i] = &MLP{Embd: d.Embd, FF: k.Int("feed_forward_length", 1, models.MaxDim)}
		}
	}
	return out
}
