package nn

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

const (
	f32 = tensor.F32
	i32 = tensor.I32
)

func randomSource(m models.Model) *tiny.Source { return tiny.Weights(m, tensor.F32, 11) }

func loadWeights(t *testing.T, m models.Model, src models.Source) models.Weights {
	t.Helper()
	dev := opsref.New(opsref.Options{Threads: 1})
	t.Cleanup(func() { dev.Close() })
	w, err := models.LoadWeights(t.Context(), m, src, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// block is a model of one FFN, for tests: its weights are those of the block.
type block struct{ FFN }

func (b block) Params() models.Hparams { return models.Hparams{} }
func (b block) State() kv.Spec         { return kv.Spec{} }
func (b block) Weights() []models.WeightSpec {
	var s Specs
	b.Specs(&s)
	return s.List
}
func (b block) Build(g *ops.Graph, w models.Weights, _ models.Batch) models.Outputs {
	return models.Outputs{Hidden: b.FFN.Build(g, w, g.Input("x", f32, ffnTokens, ffnEmbd))}
}

const ffnTokens, ffnEmbd = 7, 12

// run computes the block over x on the reference device.
func (b block) run(t *testing.T, src models.Source, x []float32) []float32 {
	t.Helper()
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()
	w, err := models.LoadWeights(t.Context(), b, src, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &ops.Graph{}
	out := b.Build(g, w, models.Batch{}).Hidden
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	raw := runGraph(t, dev, g, x, out)[0]
	y := make([]float32, len(x))
	for i := range y {
		y[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return y
}

// runGraph computes outs of g from its input "x".
func runGraph(t *testing.T, dev ops.Device, g *ops.Graph, x []float32, outs ...ops.Value) (data [][]byte) {
	t.Helper()
	p, err := dev.Compile(g, nil, outs...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := dev.Stream()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := p.Input("x")
	raw := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	if err := s.Upload(in, raw); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(p); err != nil {
		t.Fatal(err)
	}
	for i, out := range outs {
		b := make([]byte, 4*out.Shape().Elems())
		if err := s.Download(b, p.Output(i)); err != nil {
			t.Fatal(err)
		}
		data = append(data, b)
	}
	return data
}

// weights reads a source as float64 for the naive versions below.
type weights struct{ *tiny.Source }

func (w weights) get(name string) []float64 {
	b, ok := w.Data[name]
	if !ok {
		return nil
	}
	x := make([]float64, len(b)/4)
	for i := range x {
		x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return x
}

// linear is W·x + b with matrix e of a stack, [out, in].
func (w weights) linear(name string, e, out int, x []float64) []float64 {
	m, b := w.get(name+".weight"), w.get(name+".bias")
	y := make([]float64, out)
	for o := range y {
		for i, v := range x {
			y[o] += m[(e*out+o)*len(x)+i] * v
		}
		if b != nil {
			y[o] += b[e*out+o]
		}
	}
	return y
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// mlp is down(silu(gate·x) ⊙ up·x) of expert e, or down(max(up·x, 0)²) where there is no gate.
func (w weights) mlp(suffix string, e, ff int, x []float64) []float64 {
	if w.get("ffn_gate"+suffix+".weight") == nil {
		h := w.linear("ffn_up"+suffix, e, ff, x)
		for i, u := range h {
			h[i] = math.Max(u, 0) * math.Max(u, 0)
		}
		return w.linear("ffn_down"+suffix, e, len(x), h)
	}
	h := w.linear("ffn_gate"+suffix, e, ff, x)
	for i, u := range w.linear("ffn_up"+suffix, e, ff, x) {
		h[i] *= sigmoid(h[i]) * u
	}
	return w.linear("ffn_down"+suffix, e, len(x), h)
}

// moe is the mixture as a sum over experts, for one token.
func (w weights) moe(m *MoE, x []float64) []float64 {
	p := w.linear("ffn_gate_inp", 0, m.Experts, x)
	logits := slices.Clone(p)
	var sum float64
	for i := range p {
		if m.Gating == ops.SigmoidGate {
			p[i] = sigmoid(p[i])
		} else {
			p[i] = math.Exp(p[i])
			sum += p[i]
		}
	}
	if m.Gating == ops.Softmax {
		for i := range p {
			p[i] /= sum
		}
	}
	choice := slices.Clone(p)
	if m.Gating == ops.SoftmaxTopK {
		choice = logits
	}
	for i, b := range w.get("exp_probs_b.bias") {
		choice[i] += b
	}
	order := make([]int, m.Experts)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if choice[a] > choice[b] {
			return -1
		}
		return 1
	})
	var total float64
	for _, e := range order[:m.Used] {
		total += p[e]
	}
	y := make([]float64, len(x))
	for _, e := range order[:m.Used] {
		weight := p[e] * or(float64(m.Scale), 1)
		if m.Norm || m.Gating == ops.SoftmaxTopK {
			weight /= total
		}
		for i, v := range w.mlp("_exps", e, m.FF, x) {
			y[i] += weight * v
		}
	}
	if m.Shared > 0 {
		gate := 1.0
		if m.SharedGate {
			gate = 0
			for i, v := range w.get("ffn_gate_inp_shexp.weight") {
				gate += v * x[i]
			}
			gate = sigmoid(gate)
		}
		for i, v := range w.mlp("_shexp", 0, m.Shared, x) {
			y[i] += gate * v
		}
	}
	return y
}

// TestFFN compares the feed-forward blocks with sums written out. Values are of order one; float32 results of a few
// dozen float64-accumulated sums are good to some 1e-6.
func TestFFN(t *testing.T) {
	base := MoE{Embd: ffnEmbd, FF: 9, Experts: 6, Used: 2}
	with := func(f func(m *MoE)) *MoE {
		m := base
		f(&m)
		return &m
	}
	noBias := []string{"ffn_gate_inp.bias", "exp_probs_b.bias", "ffn_gate_exps.bias", "ffn_up_exps.bias",
		"ffn_down_exps.bias",
		"ffn_gate.bias", "ffn_up.bias", "ffn_down.bias", "ffn_gate_shexp.bias", "ffn_up_shexp.bias",
		"ffn_down_shexp.bias"}
	for _, c := range []struct {
		name string
		ffn  FFN
		drop []string
	}{
		{"mlp", &MLP{Embd: ffnEmbd, FF: 17}, noBias},
		{"mlp with biases", &MLP{Embd: ffnEmbd, FF: 17}, nil},
		{"softmax", &base, noBias},
		{"normalized", with(func(m *MoE) { m.Norm = true }), noBias},
		{"biases", with(func(m *MoE) { m.Norm = true }), nil},
		{"top-k first", with(func(m *MoE) { m.Gating = ops.SoftmaxTopK }), noBias},
		{"top-k first, normalized", with(func(m *MoE) { m.Gating, m.Norm = ops.SoftmaxTopK, true }), noBias},
		{"sigmoid", with(func(m *MoE) { m.Gating, m.Norm, m.Scale = ops.SigmoidGate, true, 2.5 }), nil},
		{"all experts", with(func(m *MoE) { m.Used = 6 }), noBias},
		{"shared", with(func(m *MoE) { m.Shared = 5 }), noBias},
		{"without gates", with(func(m *MoE) {
			m.Plain, m.Gating, m.Norm, m.Scale, m.Shared = SquaredReLU, ops.SigmoidGate, true, 2.5, 5
		}), []string{"ffn_gate_inp.bias"}},
		{"shared and gated", with(func(m *MoE) { m.Shared, m.SharedGate, m.Norm = 5, true, true }), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := block{c.ffn}
			src := randomSource(b)
			for _, name := range c.drop {
				src.Remove(name)
			}
			x := make([]float32, ffnTokens*ffnEmbd)
			for i := range x {
				x[i] = float32(math.Sin(float64(3 * i)))
			}
			got := b.run(t, src, x)
			for tok := range ffnTokens {
				row := make([]float64, ffnEmbd)
				for i := range row {
					row[i] = float64(x[tok*ffnEmbd+i])
				}
				var want []float64
				if m, ok := c.ffn.(*MoE); ok {
					want = weights{src}.moe(m, row)
				} else {
					want = weights{src}.mlp("", 0, 17, row)
				}
				for i, v := range want {
					if d := math.Abs(float64(got[tok*ffnEmbd+i]) - v); !(d < 1e-5) {
						t.Fatalf("token %d, element %d: %v, want %v", tok, i, got[tok*ffnEmbd+i], v)
					}
				}
			}
		})
	}
}

// TestAttentionAttrs checks that every option reaches the recorded op: conformance tests check what the op does
// with it.
func TestAttentionAttrs(t *testing.T) {
	a := &Attention{Embd: 8, Heads: 4, KVHeads: 2, HeadDim: 4, Softcap: 50, Window: 16, Sinks: true}
	m := &Decoder{Hparams: models.Hparams{Embd: 8, Vocab: 4, Layers: 1},
		Blocks: []Block{{Mixer: a, FFN: &MLP{Embd: 8, FF: 8}}}}
	w := loadWeights(t, m, randomSource(m))
	for scale, want := range map[float32]float32{0: 0.5, 0.25: 0.25, 1: 1} {
		a.Scale = scale
		states := map[string]tensor.Tensor{}
		for _, p := range m.State().Paged {
			states[p.Name] = tensor.Tensor{Name: p.Name, DType: f32, Shape: tensor.Shape{2, 4, p.Heads, p.Dim}}
		}
		g, _, err := models.Record(m, w, states, 0, models.Sizes{Tokens: 3, Seqs: 1, Pages: 2, Rows: 1})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(g.Nodes, func(n *ops.Node) bool { return n.Op == ops.AttentionOp })
		n := g.Nodes[i]
		if n.Attrs != (ops.AttentionAttrs{Scale: want, Softcap: 50, Window: 16}) || len(n.In) != 7 ||
			n.In[6].Node().Name != "blk.0.attn_sinks.weight" {
			t.Errorf("scale %v: attention with %+v and %d inputs", scale, n.Attrs, len(n.In))
		}
		if slices.ContainsFunc(g.Nodes, func(n *ops.Node) bool { return n.Op == ops.RoPEOp }) {
			t.Error("rotation without a RoPE")
		}
	}
}
