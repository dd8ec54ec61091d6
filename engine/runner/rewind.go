package runner

import (
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// keeping returns o with the number of states that m needs for o.Rewind, which is 0 without recurrent state. On a
// device that has no kernels that keep states, it takes Rewind back. o has its defaults.
func (o Options) keeping(dev ops.Device, m models.Model, w models.Weights) (Options, error) {
	spec := m.State()
	if o.Rewind == 0 || len(spec.Slots) == 0 {
		return o, nil
	}
	o.kept = o.Rewind
	ts, _, err := stateTensors(spec, o, dev.Info().Buckets)
	if err != nil {
		return o, err
	}
	states := map[string]tensor.Tensor{}
	for _, t := range ts {
		states[t.Name] = t
	}
	g, _, err := o.record(m, w, states, models.Sizes{Tokens: 2, Seqs: 1, Pages: 1, Rows: 1, Kept: o.kept})
	if err != nil {
		return o, err
	}
	for _, n := range g.Nodes {
		keeps := slices.ContainsFunc(n.In, func(v ops.Value) bool {
			return v.Node().Leaf == ops.Input && v.Node().Name == "slots"
		})
		if keeps && !dev.Supports(n) {
			o.Rewind, o.kept = 0, 0
			break
		}
	}
	return o, nil
}

// places is how many places of recurrent state o has, without one for padding. Open sequences have the first, one each,
// checkpoints the next, and behind them are those of states to which open sequences can go back.
func (o Options) places() int { return o.Seqs + o.Checkpoints + o.Seqs*o.kept }

// layOut gives the slots their places, and says how far sequences can be cut back.
func (r *Runner) layOut(o Options) {
	r.rewind, r.kept = o.Rewind, o.kept
	for i := range r.seqs {
		s := &r.seqs[i]
		s.places = []int{i}
		for j := range o.kept {
			if i < o.Seqs {
				s.places = append(s.places, len(r.seqs)+i*o.kept+j)
			}
		}
	}
	r.limits.Rewinds = r.limits.Context
	if len(r.windows) > 0 && r.windows[len(r.windows)-1] > 0 {
		r.limits.Rewinds = min(r.limits.Rewinds, PageSize) // see trim
	}
	if len(r.spec.Slots) > 0 {
		r.limits.Rewinds = min(r.limits.Rewinds, o.kept)
	}
	if len(r.spec.Recent) > 0 {
		r.limits.Rewinds = min(r.limits.Rewinds, kv.RecentTokens-1)
	}
}

// Rewindable returns how many tokens Truncate can take back of an open sequence now.
func (r *Runner) Rewindable(id SeqID) int {
	s, err := r.sequence(id)
	if err != nil {
		return 0
	}
	n := s.len - r.pagesFloor(s)
	if len(r.spec.Slots) > 0 {
		n = min(n, s.kept)
	}
	return n
}

// rewind makes the state of n tokens ago, which is kept, that of now. Nothing moves: places change their order.
func (s *sequence) rewind(n int) {
	slices.Reverse(s.places[:n])
	slices.Reverse(s.places[n:])
	slices.Reverse(s.places)
	s.kept -= n
}
