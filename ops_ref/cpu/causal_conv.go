package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

func init() { Register(ops.CausalConvOp, bindCausalConv) }

// convChannels is the number of channels that a worker takes at a time.
const convChannels = 128

// causalConvTask convolves channels, with the filters turned so that neighbouring channels lie together.
type causalConvTask struct {
	shared
	x, w, out, state []float32
	channels, taps   int
	at               *index.Sequences
	scratch          *scratch
}

func bindCausalConv(b *Binding) Task {
	x, w, state := b.Call.In[0], b.Call.In[2], b.Call.Out[1]
	if w.F == nil || state.DType != tensor.F32 {
		return nil
	}
	t := &causalConvTask{x: x.F, w: w.F, out: b.Call.Out[0].F, state: state.F, channels: x.Shape[1], taps: w.Shape[1]}
	t.at = b.states(3, x.Shape[0], state.Shape[0])
	t.scratch = b.Scratch(0, 4*convChannels*t.taps)
	return t
}

// Run takes channels.
func (t *causalConvTask) Run(w *par.Worker) error {
	if w.ID == 0 {
		clear(t.out[t.at.End()*t.channels:]) // padding
	}
	filters := cast.Of[float32](t.scratch.local[w.ID].b)
	for {
		lo, hi, ok := t.next.Take(convChannels, t.channels)
		if !ok {
			return nil
		}
		for c := lo; c < hi; c++ {
			for j := range t.taps {
				filters[j*convChannels+c-lo] = t.w[c*t.taps+j]
			}
		}
		for b := range t.at.Len() {
			t.sequence(b, lo, hi, filters)
		}
	}
}

// sequence convolves channels lo to hi-1 of one sequence and then moves its state on.
func (t *causalConvTask) sequence(b, lo, hi int, filters []float32) {
	start, tokens := int(t.at.Starts[b]), int(t.at.Starts[b+1]-t.at.Starts[b])
	// row returns row i of the window: the K-1 rows of the state, followed by the step's rows.
	row := func(i int) []float32 {
		if i < t.taps-1 {
			return t.state[(t.at.Slot(b)*(t.taps-1)+i)*t.channels:][lo:hi]
		}
		return t.x[(start+i-(t.taps-1))*t.channels:][lo:hi]
	}
	for token := range tokens {
		y := t.out[(start+token)*t.channels:][lo:hi]
		simd.Mul.Apply(y, row(token), filters[:hi-lo], 0, 0)
		for j := 1; j < t.taps; j++ {
			simd.MulAdd(y, row(token+j), filters[j*convChannels:][:hi-lo], y)
		}
	}
	for token := range tokens {
		if slot := t.at.Kept(b, start+token); slot >= 0 {
			for j := range t.taps - 1 {
				copy(t.state[(slot*(t.taps-1)+j)*t.channels:][lo:hi], row(token+1+j))
			}
		}
	}
	for j := range t.taps - 1 {
		copy(row(j), row(tokens+j)) // in rising order, which never overwrites what is still needed
	}
}
