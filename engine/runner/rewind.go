package runner

import (
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// keeping returns o with the number of states that m needs for o.RewindTokens, which is 0 without recurrent state. On a
// device that has no kernels that keep states, it takes Rewind back. o has its defaults.
func (o Options) keeping(dev ops.Device, m models.Model, w models.Weights) (Options, error) {
	spec := m.State()
	if o.Rewind == 0 || len(spec.Slots) == 0 {
		return o, nil
	}
	o.kept = o.RewindTokens
	ts, _, err := stateTensors(spec, o, dev.Info().Buckets)
	if err != nil {
		return o, err
	}
	states, err := declareStates(dev, ts)
	if err != nil {
		return o, err
	}
	g, _, err := o.record(m, w, states, models.Sizes{Tokens: 2, Seqs: 1, Pages: 1, Rows: 1, Kept: o.Rewind})
	if err != nil {
		return o, err
	}
	for _, n := range g.Nodes {
		keeps := slices.ContainsFunc(n.In, func(v ops.Value) bool {
			return v.Node().Leaf == ops.Input && v.Node().Name == "slots"
		})
		if keeps && !dev.Supports(n) {
			o.Rewind, o.RewindTokens, o.kept = 0, 0, 0
			break
		}
	}
	return o, nil
}

// places is how many places of recurrent state o has, without one for padding: one for each open sequence, then one for
// each checkpoint, and then those for earlier states.
func (o Options) places() int { return o.Seqs + o.Checkpoints + o.kept }

// layOut gives the slots their places, and says how far sequences can be cut back.
func (r *Runner) layOut(o Options) {
	r.rewind, r.kept = o.Rewind, o.kept
	for i := range r.seqs {
		r.seqs[i].places = append(make([]int, 0, 1+o.Rewind), i)
	}
	for i := range o.kept {
		r.spare = append(r.spare, len(r.seqs)+i)
	}
	l := &r.limits
	l.Rewinds, l.RewindTokens = l.Context, l.Batch
	if len(r.windows) > 0 && r.windows[len(r.windows)-1] > 0 {
		l.Rewinds = min(l.Rewinds, PageSize) // see trim
	}
	if len(r.spec.Slots) > 0 {
		l.Rewinds, l.RewindTokens = min(l.Rewinds, o.Rewind), o.kept
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
		n = min(n, len(s.places)-1)
	}
	return n
}

// keep gives a sequence places for n states beside its last, and takes those back that it had.
func (r *Runner) keep(s *sequence, n int) {
	r.spare = append(r.spare, s.places[1:]...)
	left := len(r.spare) - n
	s.places = append(s.places[:1], r.spare[left:]...)
	r.spare = r.spare[:left]
}

// forget takes back all places of states beside the last ones.
func (r *Runner) forget() {
	if len(r.spare) == r.kept {
		return
	}
	for i := range r.seqs[:r.limits.Seqs] {
		r.keep(&r.seqs[i], 0)
	}
}

// rewindTo makes the state of n tokens ago, which is kept, that of now. Nothing moves: the sequence gets another place.
func (r *Runner) rewindTo(s *sequence, n int) {
	r.spare = append(r.spare, s.places[:n]...)
	s.places = s.places[:copy(s.places, s.places[n:])]
}
