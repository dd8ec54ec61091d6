package spec

// How fast odds forget: after so many drafts, one counts a third.
const (
	ownMemory   = 32
	totalMemory = 256
)

// odds counts how many drafts were taken, by place: of those whose predecessors were taken.
type odds struct {
	seen, taken [MaxDepth]float64
	memory      float64
	round       int // of the last draft
}

// add counts a draft of which verified tokens were looked at and taken ones taken.
func (o *odds) add(verified, taken, round int) {
	keep := 1 - 1/o.memory
	for i := range min(verified, MaxDepth) {
		if i > taken {
			break
		}
		o.seen[i] = o.seen[i]*keep + 1
		o.taken[i] *= keep
		if i < taken {
			o.taken[i]++
		}
	}
	o.round = round
}

// How many drafts what is expected without any counts as: by the place before, and by other sequences.
const (
	trustPlace  = 2
	trustOthers = 6
)

// estimate returns the probability that a draft at a place is taken if those before it were, where prior is expected
// without any, and counts as so many drafts.
func (o *odds) estimate(place int, prior, trust float64) float64 {
	if o == nil {
		return prior
	}
	return (o.taken[place] + trust*prior) / (o.seen[place] + trust)
}

// unknown are the odds of a drafter of which nothing was taken or rejected yet: enough to try it.
const unknown = 0.3

// chances returns the probability that each of the first n drafts of a member is taken: that it is, and all before it.
// prior is that of the first as long as nothing is known.
func (p *Policy) chances(m Member, n int, prior float64) (out [MaxDepth]float64) {
	k := classKey{m.Drafter, m.Class}
	all, own := p.total[k], (*odds)(nil)
	if h := p.seqs[m.Key]; h != nil {
		own = h.odds[k]
	}
	chance := 1.0
	for i := range n {
		prior = all.estimate(i, prior, trustPlace)
		chance *= own.estimate(i, prior, trustOthers)
		out[i] = chance
	}
	return out
}
