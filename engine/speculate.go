package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/engine/spec"
)

// NoDrafter is Request.Drafter where nothing is to be drafted.
const NoDrafter = "off"

// speculation is what the engine drafts with. Of its goroutine.
type speculation struct {
	drafters []spec.Drafter
	chooser  spec.Chooser
	failed   func(drafter string, err error)
	names    []string // of all drafters, also those that failed; does not change
}

func newSpeculation(c Config) *speculation {
	if len(c.Drafters) == 0 {
		return nil
	}
	s := &speculation{drafters: slices.Clone(c.Drafters), chooser: c.Depth, failed: c.DrafterFailed}
	if s.chooser == nil {
		s.chooser = spec.NewPolicy()
	}
	for _, d := range s.drafters {
		s.names = append(s.names, d.Info().Name)
	}
	if s.failed == nil {
		s.failed = func(string, error) {}
	}
	return s
}

// check reports a name that no drafter has.
func (p *speculation) check(name string) error {
	if name == "" || name == NoDrafter {
		return nil
	}
	var known []string
	if p != nil {
		known = p.names
	}
	if !slices.Contains(known, name) {
		return fmt.Errorf("%w: there is no drafter %q (there are: %s)", ErrBadRequest, name,
			strings.Join(append([]string{NoDrafter}, known...), ", "))
	}
	return nil
}

// drafter returns that of a request; nil if it has none.
func (p *speculation) drafter(r *Request) spec.Drafter {
	if p == nil || r.Drafter == NoDrafter {
		return nil
	}
	for _, d := range p.drafters {
		if r.Drafter == "" || r.Drafter == d.Info().Name {
			return d
		}
	}
	return nil
}

// round is a step of sequences that all decode, some of which may have drafts.
type round struct {
	start    time.Time
	drafting time.Duration
	drawn    int
	of       []int // indices of the sequences that may have drafts
	drafters []spec.Drafter
	members  []spec.Member
	drafts   []spec.Draft
	verified []int
	taken    []int
}

// draft adds drafts to the work of a step. It returns nil if there is none in which drafts are possible.
func (e *Engine) draft(seqs []*Sequence, work []runner.Work) *round {
	p := e.spec
	if p == nil {
		return nil
	}
	tokens := 0
	r := &round{start: time.Now()}
	for i, s := range seqs {
		if !s.decode || len(work[i].Tokens) < len(s.pending) {
			return nil
		}
		tokens += len(work[i].Tokens)
		d := p.drafter(&s.req)
		if d == nil {
			continue
		}
		info := d.Info()
		m := spec.Member{Key: s.number, Drafter: info.Name, Most: e.mostDrafts(s, info)}
		r.of, r.members, r.drafters = append(r.of, i), append(r.members, m), append(r.drafters, d)
	}
	if len(r.of) == 0 {
		return nil
	}
	r.drafts = make([]spec.Draft, len(r.of))
	r.verified, r.taken = make([]int, len(r.of)), make([]int, len(r.of))
	want := make([]int, len(r.of))
	for i, d := range r.drafters {
		if d.Info().Free {
			want[i] = r.members[i].Most
		}
	}
	e.ask(seqs, r, want)
	for i, d := range r.drafters {
		if d.Info().Free {
			m := &r.members[i]
			m.Ready, m.Most, m.Class = true, len(r.drafts[i].Tokens), r.drafts[i].Class
		}
	}
	room := min(runner.PromptRows, e.limits.Batch-tokens)
	depth := p.chooser.Choose(r.members, len(seqs), tokens, room)
	for i := range want {
		want[i] = depth[i]
		if r.members[i].Ready {
			want[i] = 0
		}
	}
	began := time.Now()
	for name, n := range e.ask(seqs, r, want) {
		r.drafting = time.Since(began)
		fresh := slices.ContainsFunc(r.drafts, func(d spec.Draft) bool { return d.Fresh })
		p.chooser.Drafted(name, n, slices.Max(want), r.drafting, fresh)
	}
	for i, at := range r.of {
		d := &r.drafts[i]
		d.Tokens = d.Tokens[:min(len(d.Tokens), max(0, depth[i]))]
		if n := len(d.Tokens); n > 0 {
			work[at].Tokens = slices.Concat(work[at].Tokens, d.Tokens)
			work[at].Rows, work[at].Rewind = 1+n, n
		}
	}
	return r
}

// mostDrafts returns how many tokens may be drafted for a sequence: those behind the last that is drawn are never
// wanted, and the runner must be able to take them back.
func (e *Engine) mostDrafts(s *Sequence, info spec.Info) int {
	n := min(spec.MaxDepth, e.limits.Rewinds, s.req.MaxTokens-s.generated-1, e.limits.Context-len(s.ids))
	if info.Most > 0 {
		n = min(n, info.Most)
	}
	if s.req.MaxDrafts > 0 {
		n = min(n, s.req.MaxDrafts)
	}
	return max(0, n)
}

// ask has drafts made, of as many tokens as are wanted of each member, and returns how many sequences each drafter was
// asked for. A drafter that fails is not asked again.
func (e *Engine) ask(seqs []*Sequence, r *round, want []int) map[string]int {
	var asked map[string]int
	for i, d := range r.drafters {
		info := d.Info()
		if want[i] < 1 || asked[info.Name] > 0 {
			continue
		}
		var asks []spec.Ask
		var of []int
		for j := i; j < len(r.drafters); j++ {
			if r.drafters[j] == d && want[j] > 0 {
				asks, of = append(asks, seqs[r.of[j]].ask(want[j], e.limits.Invariant)), append(of, j)
			}
		}
		if asked == nil {
			asked = map[string]int{}
		}
		asked[info.Name] = len(asks)
		drafts, err := e.spec.draft(e, d, asks)
		if err != nil {
			e.spec.drop(d, err)
			continue
		}
		for k, j := range of {
			r.drafts[j] = drafts[k]
		}
	}
	return asked
}

// ask returns what a drafter is told of the sequence.
func (s *Sequence) ask(most int, invariant bool) spec.Ask {
	return spec.Ask{Key: s.number, Slot: s.slot, Tokens: s.ids[:len(s.ids):len(s.ids)], Seen: len(s.fed()), Max: most,
		Sampler: func() *sample.Sampler { return s.sampler.Clone() }, Own: s.req.Unseeded && !invariant}
}

// draft asks a drafter. What is wrong with its answer, and a panic, is an error.
func (p *speculation) draft(e *Engine, d spec.Drafter, asks []spec.Ask) (drafts []spec.Draft, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("engine: panic of a drafter: %v", v)
		}
	}()
	drafts, err = d.Draft(e.ctx, asks)
	if err != nil {
		return nil, err
	}
	if len(drafts) != len(asks) {
		return nil, fmt.Errorf("engine: %d drafts for %d sequences", len(drafts), len(asks))
	}
	for i, a := range asks {
		if err := drafts[i].Check(a, d.Info(), e.limits.Vocab); err != nil {
			return nil, err
		}
	}
	return drafts, nil
}

// drop goes on without a drafter.
func (p *speculation) drop(d spec.Drafter, err error) {
	p.drafters = slices.DeleteFunc(p.drafters, func(o spec.Drafter) bool { return o == d })
	p.failed(d.Info().Name, err)
}

// forget ends what is kept of a sequence for drafts.
func (p *speculation) forget(s *Sequence) {
	if p == nil {
		return
	}
	for _, d := range p.drafters {
		d.Forget(s.number)
	}
	p.chooser.Forget(s.number)
}

// withdraw takes the drafts out of a step, for which there are no pages. It returns false if there are none.
func (r *round) withdraw(work []runner.Work) bool {
	if r == nil {
		return false
	}
	took := false
	for i, at := range r.of {
		w, d := &work[at], &r.drafts[i]
		if n := len(d.Tokens); n > 0 {
			w.Tokens, w.Rows, w.Rewind, took = w.Tokens[:len(w.Tokens)-n], 1, 0, true
			*d = spec.Draft{}
		}
	}
	return took
}

// drafted returns what was drafted for a sequence of the step.
func (r *round) drafted(at int) (d spec.Draft, i int) {
	if r == nil {
		return d, -1
	}
	i = slices.Index(r.of, at)
	if i < 0 {
		return d, i
	}
	return r.drafts[i], i
}

// verify draws tokens of a sequence, behind each draft as long as those are what is drawn, and cuts its state back to
// them. It returns how many of the drafts were compared with a token, and how many of them it was.
func (e *Engine) verify(s *Sequence, r row, d spec.Draft) (verified, taken int) {
	s.drafted, s.ahead = len(d.Tokens), len(d.Tokens)
	for {
		if d.Probs != nil && taken < len(d.Tokens) {
			s.sampler.Propose(d.Tokens[taken], d.Probs[taken])
		}
		e.draw(s, r.behind(taken, 1+len(d.Tokens)))
		s.sampler.Propose(0, nil)
		if !s.open {
			return taken, taken
		}
		n := 0
		for n < len(s.pending) && taken < len(d.Tokens) && s.pending[n] == d.Tokens[taken] {
			n++
			taken++
		}
		s.ahead -= n
		s.pending = s.pending[n:]
		if len(s.pending) > 0 {
			break
		}
	}
	if err := e.cutBack(s); err != nil {
		e.finish(s, FinishNone, err)
	}
	return min(taken+1, len(d.Tokens)), taken
}

// cutBack ends the verification of drafts: it counts them, and takes those that were not drawn out of the state of the
// sequence.
func (e *Engine) cutBack(s *Sequence) error {
	if s.drafted == 0 {
		return nil
	}
	ahead := s.ahead
	s.countDrafts(s.drafted, s.drafted-ahead)
	s.drafted, s.ahead = 0, 0
	if ahead == 0 {
		return nil
	}
	n := len(s.fed())
	if err := e.retry(func() error { return e.runner.Truncate(s.slot, n) }); err != nil {
		return fmt.Errorf("engine: taking drafts back: %w", err)
	}
	return nil
}

// end tells what came of a round.
func (e *Engine) end(r *round, seqs []*Sequence, work []runner.Work) {
	if r == nil {
		return
	}
	tokens := 0
	for _, w := range work {
		tokens += len(w.Tokens)
	}
	outcomes := make([]spec.Outcome, len(r.of))
	drafts, drafted, taken, deepest := uint64(0), 0, 0, 0
	for i, at := range r.of {
		n := len(r.drafts[i].Tokens)
		outcomes[i] = spec.Outcome{Member: r.members[i], Verified: r.verified[i], Taken: r.taken[i]}
		if n == 0 {
			continue
		}
		drafts++
		drafted += n
		taken += r.taken[i]
		deepest = max(deepest, n)
		r.drafters[i].Drafted(seqs[at].number, r.verified[i], r.taken[i])
	}
	took := time.Since(r.start) - r.drafting
	e.spec.chooser.Stepped(spec.Step{Sequences: len(seqs), Tokens: tokens, Drawn: r.drawn, Took: took,
		Drafting: r.drafting, Fresh: e.runner.Fresh()}, outcomes)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Drafts += drafts
	e.stats.DraftedTokens += uint64(drafted)
	e.stats.AcceptedTokens += uint64(taken)
	e.stats.LastDepth = deepest
}

// countDrafts counts drafts of which some were taken.
func (s *Sequence) countDrafts(drafted, taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.speculated.Rounds++
	s.speculated.Accepted += taken
	s.speculated.Rejected += drafted - taken
}

// Speculated counts what was drafted for a sequence.
type Speculated struct {
	Rounds             int // steps with drafts
	Accepted, Rejected int // tokens of them that became the sequence's own, and others
}

// Speculated returns what was drafted for the sequence so far. With the last token, all is counted.
func (s *Sequence) Speculated() Speculated {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.speculated
}
