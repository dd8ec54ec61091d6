package nn

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// KimiDelta is the mixer of Kimi Delta Attention (Kimi Team 2025, arXiv 2510.26692): short convolutions and SiLU over
// q, k and v, unit-length q and k, the delta rule with a decay for each channel of the key, and a norm of each head
// gated by a sigmoid. Decays and gates come through matrices of low rank. ssm_a holds -exp(A), one number a head.
type KimiDelta struct {
	Embd, Heads int
	Dim         int // of a head: keys and values
	Conv        int // length of the convolutions' filters
	Eps         float32

	split *kimiPart // of one rank; nil: the whole
}

type kimiPart struct {
	*part
	whole *KimiDelta
}

// kimiUnitEps is the epsilon of the lengths of q and k, as the model's own code has it.
const kimiUnitEps = 1e-6

func (m *KimiDelta) inner() int { return m.Heads * m.Dim }

// kimiDecay is ssm_a, repeated for every channel.
const kimiDecay = "ssm_a.channels"

// Specs adds the projections, the filters, and the parameters of decay and norm.
func (m *KimiDelta) Specs(s *Specs) {
	if m.split != nil {
		m.split.specs(s, m.split.whole.Specs)
		return
	}
	heads := models.Segment{Kind: "heads", Units: m.Heads, Size: m.Dim}
	rows := byRows(heads)
	for _, x := range []string{"q", "k", "v"} {
		s.SplitLinear("attn_"+x, m.inner(), m.Embd, rows)
		filter := "ssm_conv1d_" + x + ".weight"
		s.Add(models.WeightSpec{Name: filter + ".taps", Shape: tensor.Shape{m.inner(), m.Conv}, Vector: true, Split: rows,
			Inputs: []models.WeightSpec{{Name: filter, Shape: tensor.Shape{m.inner(), 1, m.Conv}, Vector: true}},
			Derive: func(in [][]float32) ([]float32, error) { return in[0], nil }})
	}
	s.Linear("ssm_f_a", m.Dim, m.Embd)
	s.SplitLinear("ssm_f_b", m.inner(), m.Dim, rows)
	s.Linear("ssm_g_a", m.Dim, m.Embd)
	s.SplitLinear("ssm_g_b", m.inner(), m.Dim, rows)
	s.SplitLinear("ssm_beta", m.Heads, m.Embd, byRows(models.Segment{Kind: "heads", Units: m.Heads, Size: 1}))
	s.Add(models.WeightSpec{Name: "ssm_dt.bias", Alt: []string{"ssm_dt"}, Shape: tensor.Shape{m.inner()}, Vector: true,
		Split: rows})
	s.Add(models.WeightSpec{Name: kimiDecay, Shape: tensor.Shape{m.inner()}, Vector: true, Split: rows,
		Inputs: []models.WeightSpec{{Name: "ssm_a", Shape: tensor.Shape{m.Heads, 1}, Vector: true}},
		Derive: func(in [][]float32) ([]float32, error) {
			var out []float32
			for _, x := range in[0] {
				out = append(out, repeat(x, m.Dim)...)
			}
			return out, nil
		}})
	s.Norm("ssm_norm", m.Dim)
	s.SplitLinear("attn_output", m.Embd, m.inner(), byColumns(heads))
}

// Split gives each rank heads.
func (m *KimiDelta) Split(r Ranks) ([]Mixer, error) {
	shares, err := r.headGroups("heads", m.Heads, 1)
	if err != nil {
		return nil, err
	}
	out := make([]Mixer, r.N)
	for i, p := range parts(r.N) {
		p.units["heads"] = []models.Range{shares[i].groups}
		own := *m
		own.Heads, own.split = shares[i].groups.Len(), &kimiPart{p, m}
		out[i] = &own
	}
	return out, nil
}

// State lists the windows of the convolutions and the matrix of each head.
func (m *KimiDelta) State(layer int) kv.Spec {
	var slots []kv.Slot
	for _, x := range []string{"q", "k", "v"} {
		slots = append(slots, kv.Slot{Name: fmt.Sprintf("blk.%d.conv_%s", layer, x),
			Shape: tensor.Shape{m.Conv - 1, m.inner()}})
	}
	return kv.Spec{Slots: append(slots, kv.Slot{Name: fmt.Sprintf("blk.%d.delta", layer),
		Shape: tensor.Shape{m.Heads, m.Dim, m.Dim}})}
}

// Build records the mixer over x, [tokens, n_embd].
func (m *KimiDelta) Build(g *ops.Graph, w models.Weights, b *Step, layer int, x ops.Value) ops.Value {
	tokens := x.Shape().Rows()
	heads := func(x ops.Value) ops.Value { return ops.Reshape(g, x, tokens, m.Heads, m.Dim) }
	conv := func(name string) ops.Value {
		y, _ := ops.CausalConv(g, Linear(g, w, "attn_"+name, x), b.State(g, fmt.Sprintf("blk.%d.conv_%s", layer, name)),
			w.Get(g, "ssm_conv1d_"+name+".weight.taps"), b.Starts, b.Slots)
		return heads(ops.SiLU(g, y))
	}
	q, k, v := ops.L2Norm(g, conv("q"), kimiUnitEps), ops.L2Norm(g, conv("k"), kimiUnitEps), conv("v")

	decay := Linear(g, w, "ssm_f_b", Linear(g, w, "ssm_f_a", x))
	decay = ops.Softplus(g, ops.Add(g, decay, w.Get(g, "ssm_dt.bias")))
	decay = heads(ops.Mul(g, decay, w.Get(g, kimiDecay)))
	beta := ops.Sigmoid(g, Linear(g, w, "ssm_beta", x))
	o, _ := ops.ChannelDeltaNet(g, q, k, v, decay, beta, b.State(g, fmt.Sprintf("blk.%d.delta", layer)), b.Starts,
		b.Slots, ops.ChannelDeltaNetAttrs{Scale: float32(1 / math.Sqrt(float64(m.Dim)))})

	gate := heads(Linear(g, w, "ssm_g_b", Linear(g, w, "ssm_g_a", x)))
	o = ops.Mul(g, RMSNorm(g, w, "ssm_norm", o, m.Eps), ops.Sigmoid(g, gate))
	return Linear(g, w, "attn_output", ops.Reshape(g, o, tokens, m.inner()))
}
