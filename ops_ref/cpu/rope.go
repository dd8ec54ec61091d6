package cpu

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { Register(ops.RoPEOp, bindRoPE) }

// angles are cosines and sines of each token's pairs, [tokens, half]. All layers share them.
type angles struct {
	fixed
	pos      []int32
	freqs    []float32
	mscale   float64
	cos, sin []float32
}

// anglesKey tells angles apart. Weights are told apart by where they are: layers have nodes of their own for them.
type anglesKey struct {
	pos, freqs ops.Value
	weight     *float32
	n          int
	mscale     float32
}

func newAnglesKey(pos, from ops.Value, freqs []float32, mscale float32) anglesKey {
	key := anglesKey{pos: pos, freqs: from, n: len(freqs), mscale: mscale}
	if from.Node().Leaf == ops.Weight {
		key.freqs, key.weight = ops.Value{}, &freqs[0]
	}
	return key
}

// Run computes the worker's tokens.
func (t *angles) Run(w *par.Worker) error {
	half := len(t.freqs)
	lo, hi := evenly(w, len(t.pos), 1)
	for i := lo; i < hi; i++ {
		for j, f := range t.freqs {
			s, c := math.Sincos(float64(t.pos[i]) * float64(f))
			t.cos[i*half+j], t.sin[i*half+j] = float32(c*t.mscale), float32(s*t.mscale)
		}
	}
	return nil
}

// ropeTask rotates heads.
type ropeTask struct {
	fixed
	x, out     []float32
	heads, dim int
	attrs      ops.RoPEAttrs
	angles     *angles
}

func bindRoPE(b *Binding) Task {
	t := newRope(b, 1, b.Call.Attrs.(ops.RoPEAttrs))
	return &t
}

// newRope returns the task of rotating input 0 by inputs pos and freqs, which are numbers i and i+1.
func newRope(b *Binding, i int, a ops.RoPEAttrs) ropeTask {
	x, freqs := b.Call.In[0], b.Call.In[i+1].F
	table := b.Once(newAnglesKey(b.Node.In[i], b.Node.In[i+1], freqs, a.MScale), func() (any, Task) {
		pos := b.Call.In[i].Ints()
		n := len(pos) * len(freqs)
		t := &angles{pos: pos, freqs: freqs, mscale: float64(a.MScale), cos: make([]float32, n),
			sin: make([]float32, n)}
		return t, t
	})
	return ropeTask{x: x.F, out: b.Call.Out[0].F, heads: x.Shape[1], dim: x.Shape[2], attrs: a,
		angles: table.(*angles)}
}

// Run rotates the worker's heads.
func (t *ropeTask) Run(w *par.Worker) error {
	lo, hi := part(w, t)
	for i := lo; i < hi; i++ {
		t.head(i, t.x[i*t.dim:][:t.dim])
	}
	return nil
}

// extent returns the heads of all tokens, and those of a unit.
func (t *ropeTask) extent() (n, grain int) {
	return len(t.angles.pos) * t.heads, max(1, elementGrain/t.dim)
}

// head rotates from, which may be where the result goes, to head i.
func (t *ropeTask) head(i int, from []float32) {
	half, to := t.attrs.NRot/2, t.out[i*t.dim:][:t.dim]
	cos, sin := t.angles.cos[i/t.heads*half:][:half], t.angles.sin[i/t.heads*half:][:half]
	copy(to[t.attrs.NRot:], from[t.attrs.NRot:])
	if t.attrs.Pairing == ops.NeoX {
		simd.Rotate(to, from, cos, sin)
		return
	}
	for j := range half {
		x, y := from[2*j], from[2*j+1]
		to[2*j] = float32(x*cos[j]) - float32(y*sin[j])
		to[2*j+1] = float32(x*sin[j]) + float32(y*cos[j])
	}
}
