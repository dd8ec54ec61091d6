package mutant

import (
	"cmp"
	"math"
	"slices"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// call is the operands of a kernel of the reference in float32. Kernels here are as short as they can be and wrong in
// one place.
type call = opsref.Call[float32]

// half rounds x to binary16.
func half(x float32) float32 { return quant.HalfToFloat(quant.FloatToHalf(x)) }

// mulMatWith is the product with a weight matrix, with the sum of one row done by dot.
func mulMatWith(c *call, dot func(x, w []float32) float32) error {
	x, w := c.In[0], c.In[1]
	scratch := make([]float32, w.Shape.Last())
	for o := range w.Shape[0] {
		row := w.Row(o, scratch)
		for t := range x.Shape[0] {
			c.Out[0].F[t*w.Shape[0]+o] = dot(x.Row(t, nil), row)
		}
	}
	return nil
}

// mulMatHalf keeps its running sums in binary16 where the weights have no more precision than that.
func mulMatHalf(c *call) error {
	return mulMatWith(c, func(x, w []float32) float32 {
		if c.In[1].DType == tensor.F32 {
			return dot(x, w)
		}
		var s float32
		for i, v := range x {
			s = half(s + v*w[i])
		}
		return s
	})
}

// mulMatWholeTiles leaves out what does not fill a tile of 128 along the sum.
func mulMatWholeTiles(c *call) error {
	return mulMatWith(c, func(x, w []float32) float32 {
		n := len(x) / 128 * 128
		return dot(x[:n], w[:n])
	})
}

// mulMatRMSNorm takes the product for the sum with the residual stream.
func mulMatRMSNorm(c *call) error {
	if err := mulMatWith(c, dot); err != nil {
		return err
	}
	a := c.Attrs.(ops.MulMatNormAttrs)
	return rmsNorm32(&call{In: []opsref.View[float32]{c.Out[0], c.In[3]}, Out: c.Out[1:], Attrs: a.Norm, Pool: c.Pool})
}

func dot(x, w []float32) float32 {
	var s float64
	for i, v := range x {
		s += float64(v) * float64(w[i])
	}
	return float32(s)
}

// geluErf is the exact GELU, which differs from the tanh form by up to 5e-4.
func geluErf(c *call) error {
	for i, v := range c.In[0].F {
		x := float64(v)
		c.Out[0].F[i] = float32(0.5 * x * (1 + math.Erf(x/math.Sqrt2)))
	}
	return nil
}

// kvAppend stores what skip does not exclude, through the page table or, if identity is set, as if page i of the
// table were page i of the cache.
func kvAppend(identity bool, skip func(t, tokens int, seq int32) bool) opsref.Kernel[float32] {
	return func(c *call) error {
		cache, x, pos, seq, pages := c.Out[0], c.In[1], c.In[2].Ints(), c.In[3].Ints(), c.In[4]
		page, heads := cache.Shape[1], x.Shape[1]
		for t, s := range seq {
			if skip(t, len(seq), s) {
				continue
			}
			entry := int(max(s, 0))*pages.Shape[1] + int(pos[t])/page
			place := entry
			if !identity {
				place = int(pages.Ints()[entry])
			}
			for h := range heads {
				cache.SetRow((place*page+int(pos[t])%page)*heads+h, x.Row(t*heads+h, nil))
			}
		}
		return nil
	}
}

func padding(_, _ int, seq int32) bool { return seq < 0 }

// attentionShifted lets each query see keys up to its own position plus shift, without window, cap or sinks.
func attentionShifted(shift int) opsref.Kernel[float32] {
	return func(c *call) error {
		q, k, v, out, scale := c.In[0], c.In[1], c.In[2], c.Out[0], c.Attrs.(ops.AttentionAttrs).Scale
		pos, seq, pages := c.In[3].Ints(), c.In[4].Ints(), c.In[5]
		heads, kvHeads, page := q.Shape[1], k.Shape[2], k.Shape[1]
		key, value := make([]float32, k.Shape[3]), make([]float32, v.Shape[3])
		for i := range q.Shape[0] * heads {
			t, kv := i/heads, i%heads/(heads/kvHeads)
			o := out.Row(i, nil)
			clear(o)
			if seq[t] < 0 {
				continue
			}
			var total float64
			sum := make([]float64, len(o))
			for p := range max(1, int(pos[t])+1+shift) {
				row := (int(pages.Ints()[int(seq[t])*pages.Shape[1]+p/page])*page+p%page)*kvHeads + kv
				var s float64
				for d, x := range k.Row(row, key) {
					s += float64(x) * float64(q.Row(i, nil)[d])
				}
				e := math.Exp(float64(scale) * s)
				total += e
				for d, x := range v.Row(row, value) {
					sum[d] += e * float64(x)
				}
			}
			for d := range o {
				o[d] = float32(sum[d] / total)
			}
		}
		return nil
	}
}

// latentEnds takes the last elements of rows for their values.
func latentEnds(c *call) error {
	q, cache, out, scale := c.In[0], c.In[1], c.Out[0], c.Attrs.(ops.LatentAttentionAttrs).Scale
	seq := c.In[3].Ints()
	whole := make([]float32, q.Shape.Elems())
	all := &call{In: []opsref.View[float32]{q, cache, cache, c.In[2], c.In[3], c.In[4]}, Pool: c.Pool,
		Out: []opsref.View[float32]{{DType: tensor.F32, Shape: q.Shape, F: whole}}, Attrs: ops.AttentionAttrs{Scale: scale}}
	if err := opsref.KernelOf(ops.AttentionOp)(all); err != nil {
		return err
	}
	for i := range out.Shape.Rows() {
		if y := out.Row(i, nil); seq[i/q.Shape[1]] >= 0 {
			copy(y, whole[(i+1)*q.Shape[2]-len(y):])
		} else {
			clear(y)
		}
	}
	return nil
}

// convKeepsState computes the convolution and forgets to store the last rows.
func convKeepsState(c *call) error {
	x, w, out, state := c.In[0], c.In[2], c.Out[0], c.Out[1]
	starts, slots, taps := c.In[3].Ints(), c.In[4].Ints(), w.Shape[1]
	for b := range len(starts) - 1 {
		slot := slots[b*(len(slots)/(len(starts)-1))]
		for t := starts[b]; t < starts[b+1]; t++ {
			y := out.Row(int(t), nil)
			for ch := range y {
				var s float64
				for j := range taps {
					from := int(t-starts[b]) - taps + 1 + j
					var v float32
					if from < 0 {
						v = state.Row(int(slot)*(taps-1)+taps-1+from, make([]float32, len(y)))[ch]
					} else {
						v = x.Row(int(starts[b])+from, nil)[ch]
					}
					s += float64(v) * float64(w.Row(ch, make([]float32, taps))[j])
				}
				y[ch] = float32(s)
			}
		}
	}
	return nil
}

// deltaKeepsLast keeps the last state of a sequence where an earlier one is wanted.
func deltaKeepsLast(c *call) error {
	if err := opsref.KernelOf(ops.GatedDeltaNetOp)(c); err != nil {
		return err
	}
	starts, slots, state := c.In[6].Ints(), c.In[7].Ints(), c.Out[1]
	width, rows := len(slots)/(len(starts)-1), state.Shape[1]*state.Shape[2]
	for b := range len(starts) - 1 {
		own := slots[b*width:][:width]
		for j := 1; j < min(width, int(starts[b+1]-starts[b])); j++ {
			for i := 0; i < rows && own[j] >= 0; i++ {
				state.SetRow(int(own[j])*rows+i, state.Row(int(own[0])*rows+i, nil))
			}
		}
	}
	return nil
}

// topKHighestID prefers the higher id among equals.
func topKHighestID(c *call) error {
	x, k := c.In[0], c.Attrs.(ops.TopKAttrs).K
	for t := range x.Shape[0] {
		row, order := x.Row(t, nil), make([]int32, x.Shape[1])
		for i := range order {
			order[i] = int32(len(order) - 1 - i)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(row[b], row[a]) })
		for j, i := range order[:k] {
			c.Out[0].Ints()[t*k+j], c.Out[1].Row(t, nil)[j] = i, row[i]
		}
	}
	return nil
}

// routeHighestID prefers the higher id among equals.
func routeHighestID(c *call) error {
	x, a := c.In[0], c.Attrs.(ops.RouteAttrs)
	for t := range x.Shape[0] {
		row := x.Row(t, nil)
		score := make([]float64, len(row))
		var total float64
		for e, v := range row {
			score[e] = math.Exp(float64(v))
			if a.Gating == ops.SigmoidGate {
				score[e] = 1 / (1 + math.Exp(-float64(v)))
			}
			total += score[e]
		}
		order := make([]int, len(row))
		for e := range order {
			order[e] = e
		}
		slices.SortFunc(order, func(e, f int) int {
			pe, pf := score[e], score[f]
			if len(c.In) == 2 {
				pe, pf = pe+float64(c.In[1].All()[e]), pf+float64(c.In[1].All()[f])
			}
			switch {
			case pe != pf && pe > pf, pe == pf && e > f:
				return -1
			}
			return 1
		})
		var sum float64
		for _, e := range order[:a.K] {
			sum += score[e]
		}
		if a.Gating == ops.Softmax && !a.Norm {
			sum = total
		} else if a.Gating == ops.SigmoidGate && !a.Norm {
			sum = 1
		}
		for j, e := range order[:a.K] {
			c.Out[0].Ints()[t*a.K+j] = int32(e)
			c.Out[1].F[t*a.K+j] = float32(score[e] / sum * float64(a.Scale))
		}
	}
	return nil
}

// sumsIntoOutput adds to what its output held instead of overwriting it: right only in fresh memory.
func sumsIntoOutput(c *call) error {
	x, w := c.In[0], c.In[1].F
	k := x.Shape[1]
	for i, ws := range w {
		y := c.Out[0].Row(i/k, nil)
		for j, v := range x.Row(i, nil) {
			y[j] += ws * v
		}
	}
	return nil
}

// racy is SiLU whose last bit depends on how often it ran, as an order of additions by arrival does.
func racy() opsref.Kernel[float32] {
	runs := 0
	return func(c *call) error {
		runs++
		for i, v := range c.In[0].F {
			y := float32(float64(v) / (1 + math.Exp(-float64(v))))
			if runs%2 == 0 {
				y = math.Nextafter32(y, math.MaxFloat32)
			}
			c.Out[0].F[i] = y
		}
		return nil
	}
}
