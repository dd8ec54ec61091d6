package cpu

import (
	"cmp"
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
)

func init() { Register(ops.RouteOp, bindRoute) }

// maxGroups is the number of groups, and of experts that speak for one, beyond which the reference routes.
const maxGroups = 64

// routeTask picks the experts of tokens as the reference does, in float64, without sorting those that it leaves.
type routeTask struct {
	fixed
	logits, bias []float32 // bias: nil for none
	ids          []int32
	weights      []float32
	experts      int
	attrs        ops.RouteAttrs
	scratch      *scratch
}

func bindRoute(b *Binding) Task {
	x, a := b.Call.In[0], b.Call.Attrs.(ops.RouteAttrs)
	if a.Groups > maxGroups || a.GroupBest > maxGroups {
		return nil
	}
	t := &routeTask{logits: x.F, ids: b.Call.Out[0].Ints(), weights: b.Call.Out[1].F, experts: x.Shape[1],
		attrs: a}
	if len(b.Call.In) == 2 {
		if t.bias = b.Call.In[1].F; t.bias == nil {
			return nil
		}
	}
	t.scratch = b.Scratch(0, 8*(2*t.experts+t.attrs.K))
	return t
}

// Run routes the worker's tokens.
func (t *routeTask) Run(w *par.Worker) error {
	mem := cast.Of[float64](t.scratch.local[w.ID].b)
	score, preference, picked := mem[:t.experts], mem[t.experts:][:t.experts], mem[2*t.experts:][:t.attrs.K]
	lo, hi := evenly(w, len(t.logits)/t.experts, 1)
	for i := lo; i < hi; i++ {
		t.token(t.logits[i*t.experts:][:t.experts], t.ids[i*t.attrs.K:][:t.attrs.K], t.weights[i*t.attrs.K:], score,
			preference, picked)
	}
	return nil
}

// token routes one token.
func (t *routeTask) token(logits []float32, ids []int32, weights []float32, score, preference, picked []float64) {
	for e, v := range logits {
		score[e] = float64(v)
		if t.attrs.Gating == ops.SigmoidGate {
			score[e] = scalar.Sigmoid(float64(v))
		}
	}
	if t.attrs.Gating == ops.Softmax {
		scalar.Softmax(score)
	}
	copy(preference, score)
	for e, v := range t.bias {
		preference[e] += float64(v)
	}
	each := len(preference)
	var groups uint64
	if t.attrs.Groups > 1 {
		each /= t.attrs.Groups
		groups = t.groups(preference, each)
	}
	var sum float64
	for j := range picked {
		best := -1
		for e, p := range preference {
			if groups != 0 && groups>>(e/each)&1 == 0 {
				continue
			}
			if !taken(ids[:j], e) && (best < 0 || cmp.Compare(p, preference[best]) > 0) {
				best = e
			}
		}
		ids[j], picked[j] = int32(best), score[best]
	}
	if t.attrs.Gating == ops.SoftmaxTopK {
		scalar.Softmax(picked)
	}
	for _, p := range picked {
		sum += p
	}
	for j, p := range picked {
		if t.attrs.Norm {
			p /= math.Max(sum, 0x1p-14)
		}
		weights[j] = float32(p * float64(t.attrs.Scale))
	}
}

// groups returns a bit for each group of so many experts that is chosen.
func (t *routeTask) groups(preference []float64, each int) (chosen uint64) {
	var sums [maxGroups]float64
	for g := range t.attrs.Groups {
		group := preference[g*each:][:each]
		var counted [maxGroups]int32 // of the group, in the sum already
		for j := range t.attrs.GroupBest {
			best := -1
			for e, p := range group {
				if !taken(counted[:j], e) && (best < 0 || cmp.Compare(p, group[best]) > 0) {
					best = e
				}
			}
			counted[j] = int32(best)
			sums[g] += group[best]
		}
	}
	for range t.attrs.UsedGroups {
		best := -1
		for g, s := range sums[:t.attrs.Groups] {
			if chosen>>g&1 == 0 && (best < 0 || cmp.Compare(s, sums[best]) > 0) {
				best = g
			}
		}
		chosen |= 1 << best
	}
	return chosen
}

// taken reports whether ids, a few, hold e.
func taken(ids []int32, e int) bool {
	for _, id := range ids {
		if int(id) == e {
			return true
		}
	}
	return false
}
