package mutant

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// Honest returns a device that is as imprecise as a good GPU backend: sums in float32 one after the other, special
// functions off by units in the last place, angles in float32, and operands of matrix units rounded to the precision
// of the weights. It must pass: bounds that only the reference itself can keep would be worthless.
func Honest() ops.Device {
	return opsref.New(opsref.Options{Name: "honest", Threads: 1, Override: map[*ops.Def]opsref.Kernel[float32]{
		ops.MulMatOp: func(c *call) error {
			to := operand(c.In[1].DType)
			return mulMatWith(c, func(x, w []float32) float32 { return dot32(x, w, to) })
		},
		ops.RMSNormOp:       rmsNorm32,
		ops.RoPEOp:          rope32,
		ops.AttentionOp:     attention32,
		ops.GatedDeltaNetOp: deltaNet32,
		ops.SiLUOp:          func(c *call) error { return unary32(c, silu32) },
		ops.SigmoidOp:       func(c *call) error { return unary32(c, sigmoid32) },
		ops.SoftplusOp: func(c *call) error {
			return unary32(c, func(x float32) float32 {
				if x > 20 {
					return x
				}
				return log32(1 + exp32(x))
			})
		},
		ops.GELUOp: func(c *call) error {
			return unary32(c, func(x float32) float32 {
				z := float32(0.7978845608) * (x + float32(0.044715)*x*x*x)
				return 0.5 * x * (1 + tanh32(z))
			})
		},
		ops.SoftcapOp: func(c *call) error {
			limit := c.Attrs.(ops.SoftcapAttrs).Cap
			return unary32(c, func(x float32) float32 { return limit * tanh32(x/limit) })
		},
		ops.SwiGLUOp: func(c *call) error {
			for i, g := range c.In[0].F {
				c.Out[0].F[i] = silu32(g) * c.In[1].F[i]
			}
			return nil
		},
	}})
}

// ulp3 moves x by three units in the last place, up or down by its own bits: the error of a special function unit.
func ulp3(x float32) float32 {
	b := math.Float32bits(x)
	if x == 0 || x-x != 0 || b&0x7F800000 == 0 {
		return x
	}
	if b>>7&1 == 0 {
		return math.Float32frombits(b + 3)
	}
	return math.Float32frombits(b - 3)
}

func exp32(x float32) float32 { return ulp3(float32(math.Exp2(float64(x * math.Log2E)))) }

func log32(x float32) float32 { return ulp3(float32(math.Log(float64(x)))) }

func tanh32(x float32) float32 { return ulp3(float32(math.Tanh(float64(x)))) }

func sigmoid32(x float32) float32 { return 1 / (1 + exp32(-x)) }

func silu32(x float32) float32 { return x / (1 + exp32(-x)) }

func unary32(c *call, f func(float32) float32) error {
	for i, x := range c.In[0].F {
		c.Out[0].F[i] = f(x)
	}
	return nil
}

// operand returns the rounding of a matrix unit's operands.
func operand(dt tensor.DType) func(float32) float32 {
	switch dt {
	case tensor.F32:
		return func(x float32) float32 { return x }
	case tensor.BF16:
		return func(x float32) float32 {
			b := math.Float32bits(x)
			return math.Float32frombits((b + 0x7FFF + b>>16&1) &^ 0xFFFF)
		}
	}
	return half
}

// dot32 is a product of rounded operands, summed in float32 from the first to the last.
func dot32(x, w []float32, to func(float32) float32) float32 {
	var s float32
	for i, v := range x {
		s += float32(to(v) * to(w[i]))
	}
	return s
}

func rmsNorm32(c *call) error {
	x, w, eps := c.In[0], c.In[1].All(), c.Attrs.(ops.NormAttrs).Eps
	for i := range x.Shape.Rows() {
		row, y := x.Row(i, nil), c.Out[0].Row(i, nil)
		var s float32
		for _, v := range row {
			s += v * v
		}
		s = ulp3(float32(1 / math.Sqrt(float64(s/float32(len(row))+eps))))
		for j, v := range row {
			y[j] = v * s * w[j]
		}
	}
	return nil
}

// rope32 forms the angle in float32.
func rope32(c *call) error {
	x, pos, freqs, a := c.In[0], c.In[1].Ints(), c.In[2].All(), c.Attrs.(ops.RoPEAttrs)
	for i := range x.Shape.Rows() {
		from, to := x.Row(i, nil), c.Out[0].Row(i, nil)
		copy(to, from)
		for p, f := range freqs {
			s, c := math.Sincos(float64(float32(pos[i/x.Shape[1]]) * f))
			sin, cos := float32(s)*a.MScale, float32(c)*a.MScale
			j, k := p, p+len(freqs)
			if a.Pairing == ops.Interleaved {
				j, k = 2*p, 2*p+1
			}
			to[j], to[k] = from[j]*cos-from[k]*sin, from[j]*sin+from[k]*cos
		}
	}
	return nil
}

// attention32 takes keys one by one and rescales its sums when the largest score grows, as flash attention does.
func attention32(c *call) error {
	q, k, v, a := c.In[0], c.In[1], c.In[2], c.Attrs.(ops.AttentionAttrs)
	pos, seq, pages := c.In[3].Ints(), c.In[4].Ints(), c.In[5]
	heads, kvHeads, page, to := q.Shape[1], k.Shape[2], k.Shape[1], operand(k.DType)
	key, value := make([]float32, k.Shape[3]), make([]float32, v.Shape[3])
	for i := range q.Shape[0] * heads {
		t, h := i/heads, i%heads
		o := c.Out[0].Row(i, nil)
		clear(o)
		if seq[t] < 0 {
			continue
		}
		largest, total := float32(math.Inf(-1)), float32(0)
		if len(c.In) == 7 {
			largest, total = c.In[6].All()[h], 1
		}
		first := 0
		if a.Window > 0 {
			first = max(0, int(pos[t])-a.Window+1)
		}
		for p := first; p <= int(pos[t]); p++ {
			row := (int(pages.Ints()[int(seq[t])*pages.Shape[1]+p/page])*page+p%page)*kvHeads + h/(heads/kvHeads)
			s := a.Scale * dot32(q.Row(i, nil), k.Row(row, key), to)
			if a.Softcap > 0 {
				s = a.Softcap * tanh32(s/a.Softcap)
			}
			if s > largest {
				r := exp32(largest - s)
				total *= r
				for d := range o {
					o[d] *= r
				}
				largest = s
			}
			e := exp32(s - largest)
			total += e
			for d, x := range v.Row(row, value) {
				o[d] += to(e) * to(x)
			}
		}
		for d := range o {
			o[d] /= total
		}
	}
	return nil
}

// deltaNet32 is the recurrence, token by token, in float32 throughout.
func deltaNet32(c *call) error {
	q, k, v, out, state := c.In[0], c.In[1], c.In[2], c.Out[0], c.Out[1]
	starts, slots, a := c.In[6].Ints(), c.In[7].Ints(), c.Attrs.(ops.GatedDeltaNetAttrs)
	seqs := len(starts) - 1
	width := len(slots) / seqs
	nk, nv, dv := q.Shape[1], v.Shape[1], v.Shape[2]
	same := operand(tensor.F32)
	clear(out.F[int(starts[seqs])*nv*dv:])
	for i := range seqs * nv {
		b, h := i/nv, i%nv
		head := h / (nv / nk)
		if a.Tiled {
			head = h % nk
		}
		for t := int(starts[b]); t < int(starts[b+1]); t++ {
			keys, queries := k.Row(t*nk+head, nil), q.Row(t*nk+head, nil)
			decay, beta := exp32(c.In[3].F[t*nv+h]), c.In[4].F[t*nv+h]
			for j := range dv {
				row := state.Row((int(slots[b*width])*nv+h)*dv+j, nil)
				for d := range row {
					row[d] *= decay
				}
				u := beta * (v.Row(t*nv+h, nil)[j] - dot32(row, keys, same))
				for d := range row {
					row[d] += u * keys[d]
				}
				out.Row(t*nv+h, nil)[j] = a.Scale * dot32(row, queries, same)
				if back := int(starts[b+1]) - 1 - t; back > 0 && back < width && slots[b*width+back] >= 0 {
					state.SetRow((int(slots[b*width+back])*nv+h)*dv+j, row)
				}
			}
		}
	}
	return nil
}
