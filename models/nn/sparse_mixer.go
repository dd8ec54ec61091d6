package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// SparseMixer routes each token to two experts. The first is the one with the largest logit m; its weight is its share
// in the softmax over those experts alone whose logits s are near, (m - s) / max(|s|, m) <= 2·Jitter. The second is
// the same again without the first. The weights are not made to sum to one: without others near both are one.
//
// Source: SparseMixer (arXiv 2310.00811) as the inference code that is published with Phi-3.5-MoE has it. There is no
// random jitter outside of training; its size only says what is near.
type SparseMixer struct {
	Experts int
	Jitter  float32 // at least 0
}

// taken is [experts, experts], whose row e added to logits takes expert e out of the choice.
const taken = "ffn_gate_inp.taken"

// Numbers that stand for infinity: what a logit loses that is taken, and a factor that makes of the least difference
// one that softmax leaves nothing of. Their product is finite.
const (
	far   = 1e9
	steep = 1e12
)

func (m *SparseMixer) specs(s *Specs) {
	s.Add(models.WeightSpec{Name: taken, Shape: tensor.Shape{m.Experts, m.Experts}, Vector: true,
		Derive: func([][]float32) ([]float32, error) {
			x := make([]float32, m.Experts*m.Experts)
			for e := range m.Experts {
				x[e*m.Experts+e] = -far
			}
			return x, nil
		}})
}

// route records the choice by logits, [tokens, experts]: ids, I32 [tokens, 2], and weights, [tokens, 2].
func (m *SparseMixer) route(g *ops.Graph, w models.Weights, logits ops.Value) (ids, weights ops.Value) {
	ids, _ = ops.Route(g, logits, ops.Value{}, ops.RouteAttrs{K: 2, Gating: ops.SoftmaxTopK, Scale: 1})
	best := ops.RouteAttrs{K: 1, Scale: 1}
	first, a := ops.Route(g, m.near(g, logits), ops.Value{}, best)
	tokens := logits.Shape()[0]
	rest := ops.AddExperts(g, ops.Reshape(g, logits, tokens, 1, m.Experts), w.Get(g, taken), first)
	_, b := ops.Route(g, m.near(g, ops.Reshape(g, rest, tokens, m.Experts)), ops.Value{}, best)
	return ids, ops.Concat(g, a, b)
}

// near returns the logits s, those that are not near the largest so small that softmax gives them nothing.
func (m *SparseMixer) near(g *ops.Graph, s ops.Value) ops.Value {
	ones := ops.Scale(g, ops.Sigmoid(g, ops.Scale(g, s, 0)), 2)
	_, largest := ops.TopK(g, s, 1)
	largest = ops.WeightedSum(g, ops.Reshape(g, ones, s.Shape()[0], 1, m.Experts), largest)
	spare := minus(g, s, largest) // 2·Jitter·max(|s|, m) - (m - s)
	if m.Jitter > 0 {
		size := ops.Add(g, s, ops.Scale(g, halfNegative(g, s), -4))
		size = ops.Add(g, largest, relu(g, minus(g, size, largest)))
		spare = ops.Add(g, ops.Scale(g, size, 2*m.Jitter), spare)
	}
	return ops.Add(g, s, ops.Scale(g, halfNegative(g, spare), 2*steep))
}

func minus(g *ops.Graph, x, y ops.Value) ops.Value { return ops.Add(g, x, ops.Scale(g, y, -1)) }

// ReadSparseMixer reads router_jitter_noise, 0.01 by default. moe uses two experts.
func ReadSparseMixer(k *models.Keys, moe *MoE) *SparseMixer {
	if moe.Used != 2 {
		k.Fail("expert_used_count is %d: a SparseMixer takes 2", moe.Used)
	}
	return &SparseMixer{Experts: moe.Experts, Jitter: float32(k.FloatOr("router_jitter_noise", 0.01, 0, 1))}
}
