package opsref

import (
	"cmp"
	"math"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
)

func init() { Register(ops.RouteOp, route[float32], route[float64]) }

// route picks and weighs the experts of one token at a time.
func route[T Float](c *Call[T]) error {
	x, ids, weights, a := c.In[0], c.Out[0].Ints(), c.Out[1], c.Attrs.(ops.RouteAttrs)
	var bias []T
	if len(c.In) == 2 {
		bias = c.In[1].All()
	}
	return c.Pool.For(x.Shape[0], 4, func(lo, hi int) {
		score := make([]float64, x.Shape[1])
		all := make([]int32, x.Shape[1])
		for t := lo; t < hi; t++ {
			order := all
			for e, v := range x.Row(t, nil) {
				score[e], order[e] = float64(v), int32(e)
				if a.Gating == ops.SigmoidGate {
					score[e] = scalar.Sigmoid(float64(v))
				}
			}
			if a.Gating == ops.Softmax {
				scalar.Softmax(score)
			}
			preference := func(e int32) float64 {
				if bias == nil {
					return score[e]
				}
				return score[e] + float64(bias[e])
			}
			better := func(e, f int32) int { return cmp.Compare(preference(f), preference(e)) }
			if a.Groups > 1 {
				order = chosenGroups(a, order, preference, better)
			}
			slices.SortStableFunc(order, better)
			picked := order[:a.K]
			w := make([]float64, a.K)
			for j, e := range picked {
				w[j] = score[e]
			}
			if a.Gating == ops.SoftmaxTopK {
				scalar.Softmax(w)
			}
			if a.Norm {
				var sum float64
				for _, v := range w {
					sum += v
				}
				for j := range w {
					w[j] /= math.Max(sum, 0x1p-14)
				}
			}
			copy(ids[t*a.K:], picked)
			for j, out := 0, weights.Row(t, nil); j < a.K; j++ {
				out[j] = T(w[j] * float64(a.Scale))
			}
		}
	})
}

// chosenGroups returns those of the experts, which are in order, whose groups are chosen.
func chosenGroups(a ops.RouteAttrs, experts []int32, preference func(int32) float64,
	better func(e, f int32) int) []int32 {
	each := len(experts) / a.Groups
	sum, groups := make([]float64, a.Groups), make([]int, a.Groups)
	for g := range groups {
		best := slices.Clone(experts[g*each : (g+1)*each])
		slices.SortStableFunc(best, better)
		for _, e := range best[:a.GroupBest] {
			sum[g] += preference(e)
		}
		groups[g] = g
	}
	slices.SortStableFunc(groups, func(g, h int) int { return cmp.Compare(sum[h], sum[g]) })
	used := groups[:a.UsedGroups]
	slices.Sort(used)
	var out []int32
	for _, g := range used {
		out = append(out, experts[g*each:(g+1)*each]...)
	}
	return out
}
