package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { Register(ops.BidirectionalAttentionOp, bindBidirectionalAttention) }

// around are the keys of a sequence that is in the step as a whole, or those at most reach tokens away.
type around struct {
	*index.Segments
	reach int
}

func (a around) seen(token int) (first, end int) {
	first, end = a.Seen(token, a.reach)
	start := int(a.Starts[a.Seq[token]])
	return first - start, end - start
}

func (a around) stretch(token, pos, n int) (place, count int) {
	return int(a.Starts[a.Seq[token]]) + pos, n
}

// wholeKey tells steps apart.
type wholeKey struct{ seq, starts ops.Value }

// wholeStep is where the tokens of a step are.
type wholeStep struct {
	segments index.Segments
	at       index.Paged // with their rows for positions
}

func (b *Binding) wholeStep(i int) *wholeStep {
	return b.Once(wholeKey{b.Node.In[i], b.Node.In[i+1]}, func() (any, Task) {
		seq := b.Call.In[i].Ints()
		rows := make([]int32, len(seq))
		for t := range rows {
			rows[t] = int32(t)
		}
		w := &wholeStep{index.Segments{Seq: seq, Starts: b.Call.In[i+1].Ints()}, index.NewPaged(1, rows, seq, nil, 1)}
		return w, check{f: func() error { return w.segments.Check() }}
	}).(*wholeStep)
}

// bindBidirectionalAttention takes the keys and values of the step for a cache.
func bindBidirectionalAttention(b *Binding) Task {
	in, a := b.Call.In, b.Call.Attrs.(ops.BidirectionalAttentionAttrs)
	k, v := in[1], in[2]
	if k.Shape[2]%16 != 0 || v.Shape[2]%16 != 0 || k.F == nil || v.F == nil || simd.Current() == simd.Generic {
		return nil
	}
	step := b.wholeStep(3)
	t := &attentionTask{q: in[0].F, out: b.Call.Out[0].F, heads: in[0].Shape[1], kvHeads: k.Shape[1],
		k:     cache{cast.AsBytes(k.F), simd.F32, k.Shape[2], 4 * k.Shape[2]},
		v:     cache{cast.AsBytes(v.F), simd.F32, v.Shape[2], 4 * v.Shape[2]},
		attrs: ops.AttentionAttrs{Scale: a.Scale, Window: a.Reach}, at: &step.at, sight: around{&step.segments, a.Reach}}
	t.group = t.heads / t.kvHeads
	return t.prepare(b)
}
