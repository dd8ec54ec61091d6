package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
)

func init() { Register(ops.GatedDeltaNetOp, gatedDeltaNet[float32], gatedDeltaNet[float64]) }

// deltaChunk is the number of tokens that the chunked form takes at a time.
const deltaChunk = 64

// gatedDeltaNet runs the recurrence for single tokens, and for sequences of which states are kept, and the chunked form
// for longer stretches, each value head of each sequence by itself.
func gatedDeltaNet[T Float](c *Call[T]) error {
	q, k, v, out, state := c.In[0], c.In[1], c.In[2], c.Out[0], c.Out[1]
	g, beta := c.In[3].F, c.In[4].F
	at := index.NewSequences(c.In[6].Ints(), c.In[7].Ints(), state.Shape[0])
	a := c.Attrs.(ops.GatedDeltaNetAttrs)
	if err := at.Check(q.Shape[0]); err != nil {
		return err
	}
	nk, nv, dv, dk := q.Shape[1], v.Shape[1], v.Shape[2], q.Shape[2]
	clear(out.F[at.End()*nv*dv:])
	return c.Pool.For(at.Len()*nv, 1, func(lo, hi int) {
		s := deltaHead[T]{dk: dk, dv: dv, scale: float64(a.Scale), state: make([][]T, dv)}
		for i := lo; i < hi; i++ {
			b, h := i/nv, i%nv
			first, end := int(at.Starts[b]), int(at.Starts[b+1])
			if first == end {
				continue
			}
			key := h / (nv / nk)
			if a.Tiled {
				key = h % nk
			}
			for j := range dv {
				s.state[j] = append(s.state[j][:0], state.Row((at.Slot(b)*nv+h)*dv+j, make([]T, dk))...)
			}
			store := func(slot int) {
				for j := range dv {
					state.SetRow((slot*nv+h)*dv+j, s.state[j])
				}
			}
			keeps := at.Keeps(b)
			for t := first; t < end; {
				n := min(deltaChunk, end-t)
				if keeps {
					n = 1
				}
				s.tokens = s.tokens[:0]
				for ; n > 0; n, t = n-1, t+1 {
					s.tokens = append(s.tokens,
						deltaToken[T]{q: q.Row(t*nk+key, nil), k: k.Row(t*nk+key, nil), v: v.Row(t*nv+h, nil),
							g: float64(g[t*nv+h]), beta: float64(beta[t*nv+h]), o: out.Row(t*nv+h, nil)})
				}
				if len(s.tokens) == 1 || c.Invariant {
					s.recur()
				} else {
					s.chunk()
				}
				if slot := at.Kept(b, t-1); slot >= 0 {
					store(slot)
				}
			}
			store(at.Slot(b))
		}
	})
}

// deltaToken is one token as one value head sees it.
type deltaToken[T Float] struct {
	q, k    []T // [dk]
	v, o    []T // [dv]
	g, beta float64
}

// deltaHead advances the state of one value head.
type deltaHead[T Float] struct {
	dk, dv int
	scale  float64
	state  [][]T // [dv][dk], the matrix S
	tokens []deltaToken[T]
}

// recur is the definition, token by token. Rows of S are independent: decay, predict v from the decayed row,
// write what was missing, read.
func (s *deltaHead[T]) recur() {
	for _, t := range s.tokens {
		decay := math.Exp(t.g)
		for j, row := range s.state {
			for i := range row {
				row[i] = T(decay * float64(row[i]))
			}
			u := t.beta * (float64(t.v[j]) - dot(row, t.k))
			for i := range row {
				row[i] += T(u * float64(t.k[i]))
			}
			t.o[j] = T(s.scale * dot(row, t.q))
		}
	}
}

// chunk is the same mathematics for all tokens of a chunk at once (Yang et al. 2024, section 3). With Γ_i the sum
// of g up to token i, u_i the vector that token i writes and S the state before the chunk:
//
//	u_i = β_i (v_i - e^Γ_i S k_i - Σ_{j<i} e^(Γ_i-Γ_j) (k_i·k_j) u_j)
//	o_i = scale (e^Γ_i S q_i + Σ_{j≤i} e^(Γ_i-Γ_j) (q_i·k_j) u_j)
//	S'  = e^Γ_n S + Σ_j e^(Γ_n-Γ_j) u_j ⊗ k_j
//
// Exponents are formed from the difference, which is never positive: e^Γ_i / e^Γ_j would overflow.
func (s *deltaHead[T]) chunk() {
	n := len(s.tokens)
	cum := make([]float64, n) // Γ
	u := make([][]float64, n)
	var total float64
	for i, ti := range s.tokens {
		total += ti.g
		cum[i] = total
		u[i] = make([]float64, s.dv)
		o := make([]float64, s.dv)
		decay := math.Exp(cum[i])
		for d, row := range s.state {
			u[i][d] = float64(ti.v[d]) - float64(decay*dot(row, ti.k))
			o[d] = decay * dot(row, ti.q)
		}
		for j := range i {
			e := math.Exp(cum[i] - cum[j])
			kk, qk := e*dot(ti.k, s.tokens[j].k), e*dot(ti.q, s.tokens[j].k)
			for d, x := range u[j] {
				u[i][d] -= float64(kk * x)
				o[d] += float64(qk * x)
			}
		}
		qk := dot(ti.q, ti.k)
		for d := range u[i] {
			u[i][d] *= ti.beta
			ti.o[d] = T(s.scale * (o[d] + float64(qk*u[i][d])))
		}
	}
	decay := math.Exp(total)
	weights := make([]float64, n)
	for j := range weights {
		weights[j] = math.Exp(total - cum[j])
	}
	row := make([]float64, s.dk)
	for d := range s.state {
		for i, x := range s.state[d] {
			row[i] = decay * float64(x)
		}
		for j, t := range s.tokens {
			w := weights[j] * u[j][d]
			for i, x := range t.k {
				row[i] += float64(w * float64(x))
			}
		}
		for i, x := range row {
			s.state[d][i] = T(x)
		}
	}
}
