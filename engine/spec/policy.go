package spec

import (
	"slices"
	"time"
)

// Policy chooses how many tokens to draft for each sequence of a step: those with which tokens come fastest, by what
// steps of each size were measured to take and by how many drafts of each sequence were taken before. Where drafts
// would lose, that is none.
//
// What is not tried is not learned. So a policy tries now and then what it believes to be slower: a size of a step that
// was not measured for long, or drafts of a sequence whose last ones failed. What that cost is added up and stays below
// a share of the time of all steps.
//
// It has no clock and uses no random numbers: what it chooses follows from what it was told. One goroutine uses it.
type Policy struct {
	steps  map[int]*stepTimes  // by sequences; sizes are tokens
	drafts map[draftKey]*times // sizes are the most tokens of a sequence; seconds, while all is as fast as on the whole
	now    *stepTimes          // those of the step that drafts are for

	total map[classKey]*odds // over all sequences
	seqs  map[uint64]*history

	round  int
	credit float64 // seconds that trying may still cost
	tries  int
	first  bool    // what is drafted now may take longer than it will
	pace   float64 // tokens in a second that a try is compared with; 0: the step is none
}

type (
	classKey struct {
		drafter string
		class   int
	}
	draftKey struct {
		drafter string
		seqs    int
	}
	history struct{ odds map[classKey]*odds }
)

// What trying may cost: a share of all time, and at once so many steps without drafts. Some of them are there from the
// start, so that a short answer can have drafts too.
const (
	tryShare = 0.015
	tryFirst = 1
	tryMost  = 10
	tryOver  = 1 // so many more may be expected to be lost by one try: most that are unknown lose less
	tryFresh = 1 // so many steps for each sequence preparing a try counts as at most
	tryWorst = 3 // what took longer by more steps than these did so for other reasons
)

// By which share drafts must look faster than none: what is measured is not exact, and the fastest of many that look so
// is often none that is.
const (
	leastGain = 0.02 // beside what the size of the step is in doubt by
	mostDoubt = 0.3  // of that, so that drafts which gain much are made on the noisiest machine
)

// tryGain is the share of tokens by which drafts must be able to raise those of a step, if they cost nothing, for its
// size to be worth measuring.
const tryGain = 0.05

// NewPolicy returns a policy that was told nothing yet.
func NewPolicy() *Policy {
	return &Policy{steps: map[int]*stepTimes{}, drafts: map[draftKey]*times{}, total: map[classKey]*odds{},
		seqs: map[uint64]*history{}}
}

// Member is a sequence of a step that can have drafts.
type Member struct {
	Key     uint64
	Drafter string // its name
	Ready   bool   // the drafts are there, and cost nothing more
	Most    int    // drafts that are there, or that may be asked for
	Class   int    // of drafts that are there
}

// Choose returns how many tokens to draft for each of the members of a step of sequences in all. Without drafts the
// step has tokens; room is how many drafts it may have in all.
func (p *Policy) Choose(members []Member, sequences, tokens, room int) []int {
	p.pace = 0
	depth := make([]int, len(members))
	t := p.steps[sequences]
	p.now = t
	if !(t.seconds(tokens) > 0) {
		return depth // the first steps are plain, to have something to compare with
	}
	best, pace := slices.Clone(depth), float64(sequences)/t.seconds(tokens)
	made, order, least := float64(sequences), p.order(members, room), pace*(1+leastGain)
	for n, next := range order {
		depth[next.member]++
		made += next.chance
		if !t.covers(tokens + n + 1) {
			break // it is measured when it is tried
		}
		drafting, ok := p.drafting(members, depth)
		now := made / (t.seconds(tokens+n+1) + drafting)
		if sure := now / (1 + min(mostDoubt, t.doubt(tokens+n+1))); ok && now > pace && sure > least {
			pace, best = now, slices.Clone(depth)
		}
	}
	if try := p.try(members, sequences, tokens, order, best, pace); try != nil {
		p.tries++
		p.pace = pace
		return try
	}
	return best
}

// draft is a token that may be drafted, and its chance to be taken.
type draft struct {
	member int
	chance float64
}

// order returns all drafts that there may be, the likeliest first.
func (p *Policy) order(members []Member, room int) []draft {
	var all []draft
	for i, m := range members {
		n := min(m.Most, MaxDepth, room)
		chances := p.chances(m, n, unknown)
		for _, c := range chances[:max(0, n)] {
			all = append(all, draft{i, c})
		}
	}
	// Chances of one member do not rise, so that its drafts stay in their order.
	slices.SortStableFunc(all, func(a, b draft) int {
		switch {
		case a.chance > b.chance:
			return -1
		case a.chance < b.chance:
			return 1
		}
		return 0
	})
	return all[:min(len(all), max(0, room))]
}

// asked returns, for each drafter that must be asked for these depths, of how many sequences and for how many tokens at
// most.
func asked(members []Member, depth []int) (seqs, most map[string]int) {
	for i, m := range members {
		if m.Ready || depth[i] == 0 {
			continue
		}
		if seqs == nil {
			seqs, most = map[string]int{}, map[string]int{}
		}
		seqs[m.Drafter]++
		most[m.Drafter] = max(most[m.Drafter], depth[i])
	}
	return seqs, most
}

// drafting returns the seconds that making these drafts takes. It was not measured if ok is false.
func (p *Policy) drafting(members []Member, depth []int) (s float64, ok bool) {
	seqs, most := asked(members, depth)
	for name, n := range seqs {
		t := p.draftTimes(name, n, most[name], len(members))
		if !t.covers(most[name]) {
			return 0, false
		}
		s += t.at(most[name]) * p.now.slower()
	}
	return s, true
}

// draftTimes returns what drafting took for so many sequences, or more, for which it takes no less: of the fewest for
// which the depth is covered, else of the fewest; nil if nothing was measured.
func (p *Policy) draftTimes(drafter string, sequences, depth, all int) (t *times) {
	for n := sequences; n <= all && !t.covers(depth); n++ {
		if o := p.drafts[draftKey{drafter, n}]; t == nil || o.covers(depth) {
			t = o
		}
	}
	return t
}

// expected returns the seconds that a step with these drafts takes, drafting included, to judge whether it may be
// tried. What was never measured takes as much as it can in reason: each further token as long as those of a plain
// step, and each further draft as long as the first, or as a step. What was measured once takes no more either:
// preparing it may have been a part of that.
func (p *Policy) expected(members []Member, depth []int, sequences, tokens int) float64 {
	t, n := p.steps[sequences], tokens
	for _, d := range depth {
		n += d
	}
	plain := t.seconds(tokens)
	s := t.level * t.bound(n, t.at(tokens)/float64(tokens))
	seqs, most := asked(members, depth)
	for name, k := range seqs {
		d := p.draftTimes(name, k, most[name], len(members))
		s += d.bound(most[name], d.bound(1, plain/t.slower())) * t.slower()
	}
	return s
}

// try returns what to try in place of the best depths, or nil if nothing is worth it or too much was lost already.
func (p *Policy) try(members []Member, sequences, tokens int, order []draft, best []int, pace float64) []int {
	if len(order) == 0 || p.credit <= 0 {
		return nil
	}
	depth := p.candidate(members, sequences, tokens, order, best)
	if slices.Equal(depth, best) {
		return nil
	}
	made := float64(sequences)
	for i, d := range depth {
		chances := p.chances(members[i], d, 0)
		for _, c := range chances[:d] {
			made += c
		}
	}
	// With drafts of which nothing is known, all are wrong.
	loss := p.expected(members, depth, sequences, tokens) - made/pace
	if loss > p.credit+tryOver*p.steps[sequences].seconds(tokens) {
		return nil
	}
	return depth
}

// candidate returns the depths whose turn it is to be tried. By turns these are one draft of the member that had none
// for longest, and the size of a step that was measured least or longest ago.
func (p *Policy) candidate(members []Member, sequences, tokens int, order []draft, best []int) []int {
	t := p.steps[sequences]
	depth := make([]int, len(members))
	if p.tries%2 == 0 {
		oldest, at := 0, p.round+1
		for i, m := range members {
			if r := p.last(m); m.Most > 0 && best[i] == 0 && r < at {
				oldest, at = i, r
			}
		}
		if at <= p.round {
			copy(depth, best)
			depth[oldest] = 1
			return depth
		}
	}
	extra, rank, gain := 0, 1<<60, 0.0
	for e, n := 0, 0; e <= len(order); e = grow(e) {
		for ; n < e; n++ {
			gain += order[n].chance
		}
		if e > 0 && gain < tryGain*float64(sequences) {
			continue
		}
		at := -1 // never
		if i, ok := t.find(tokens + e); ok {
			switch s := t.sizes[i]; {
			case s.seen == 1 && s.value > t.bound(s.n, t.at(tokens)/float64(tokens)):
				at = -2 // before others: it looks slower than it can be
			case s.seen < firstFew:
				at = 0
			default:
				at = s.round
			}
		}
		if at < rank {
			extra, rank = e, at
		}
	}
	for _, d := range order[:extra] {
		depth[d.member]++
	}
	return depth
}

// grow returns the number of drafts to measure behind one of n.
func grow(n int) int {
	if n < 4 {
		return n + 1
	}
	return n + n/4*2 // 4, 6, 8, 12, 18, 26
}

// last returns the round in which drafts of a member's kind were last verified; -1 is never.
func (p *Policy) last(m Member) int {
	if h := p.seqs[m.Key]; h != nil {
		if o := h.odds[classKey{m.Drafter, m.Class}]; o != nil {
			return o.round
		}
	}
	return -1
}

// Drafted tells what it took to draft for sequences, most tokens for one of them. With fresh it prepared what later
// ones need not, and says nothing about them.
func (p *Policy) Drafted(drafter string, sequences, most int, took time.Duration, fresh bool) {
	k := draftKey{drafter, sequences}
	if p.drafts[k] == nil {
		p.drafts[k] = &times{}
	}
	d := p.drafts[k]
	if !fresh {
		d.add(most, max(took, 1).Seconds()/p.now.slower(), p.round) // a clock may be too coarse for it
	}
	p.first = p.first || fresh
}

// Outcome is how a sequence fared in a step.
type Outcome struct {
	Member          Member
	Verified, Taken int // drafts that were in the step, and of these
}

// Step is a step that was made.
type Step struct {
	Sequences, Tokens int           // in all, drafts included
	Drawn             int           // tokens
	Took              time.Duration // without drafting
	Drafting          time.Duration // which Drafted was told of before
	Fresh             bool          // it prepared what later ones need not, and says nothing about them
}

// Stepped tells what a step took, and how its sequences fared.
func (p *Policy) Stepped(s Step, outcomes []Outcome) {
	p.round++
	p.time(s)
	for _, o := range outcomes {
		if o.Verified == 0 {
			continue
		}
		k := classKey{o.Member.Drafter, o.Member.Class}
		if p.total[k] == nil {
			p.total[k] = &odds{memory: totalMemory}
		}
		p.total[k].add(o.Verified, o.Taken, p.round)
		h := p.seqs[o.Member.Key]
		if h == nil {
			h = &history{odds: map[classKey]*odds{}}
			p.seqs[o.Member.Key] = h
		}
		if h.odds[k] == nil {
			h.odds[k] = &odds{memory: ownMemory}
		}
		h.odds[k].add(o.Verified, o.Taken, p.round)
	}
}

// Forget ends what is known of a sequence.
func (p *Policy) Forget(key uint64) { delete(p.seqs, key) }

// time takes what a step took into account.
func (p *Policy) time(s Step) {
	t, all := p.steps[s.Sequences], (s.Took + s.Drafting).Seconds()
	if len(p.steps) == 0 {
		p.credit += tryFirst * all // also what was prepared for it, next to which trying is little
	}
	if !s.Fresh {
		if t == nil {
			t = &stepTimes{}
			p.steps[s.Sequences] = t
		}
		t.sample(s.Tokens, s.Took.Seconds(), p.round)
	}
	if t == nil {
		return
	}
	plain := t.seconds(s.Sequences)
	if p.pace > 0 {
		loss := max(0, all-float64(s.Drawn)/p.pace)
		most := tryWorst * plain
		if p.first || s.Fresh { // what it prepared serves later ones, of few sequences more likely than of many
			most = min(tryFresh*float64(s.Sequences), tryMost) * plain
		}
		p.credit -= min(loss, most)
	}
	p.first = false
	p.credit = min(p.credit+tryShare*all, tryMost*plain)
}
