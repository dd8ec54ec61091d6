package spec

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
)

// ModelRunner is what a Model needs of the runner of a small model: see [runner.Runner].
type ModelRunner interface {
	Limits() runner.Limits
	Open() (runner.SeqID, error)
	Release(runner.SeqID)
	Fork(runner.SeqID) (runner.SeqID, error)
	Truncate(id runner.SeqID, n int) error
	Step(ctx context.Context, work []runner.Work) ([][]float32, error)
	Fresh() bool
}

// Model proposes what a small model with the same vocabulary writes. It reads all that its target has read.
//
// A small model whose sequences can be cut anywhere goes on from what it has written as far as that was taken. Others
// write in a fork of each sequence, for which their runner needs a slot more.
type Model struct {
	r    ModelRunner
	lim  runner.Limits
	rng  *rand.Rand // seeds of own draws
	seqs map[uint64]*reading
	uses uint64
	row  []float32

	fresh bool // a step of this call prepared what later ones need not
}

// reading is what the small model has read of a sequence.
type reading struct {
	slot   runner.SeqID
	tokens []int32
	used   uint64
}

// writing is an ask that is being answered.
type writing struct {
	*reading
	ask     *Ask
	draft   *Draft
	most    int
	slot    runner.SeqID // in which it writes
	sampler *sample.Sampler
}

// NewModel returns a drafter with a small model, which nobody else may use until Close. The runner stays the caller's.
func NewModel(r ModelRunner, seed uint64) *Model {
	return &Model{r: r, lim: r.Limits(), rng: rand.New(rand.NewPCG(seed, 2)), seqs: map[uint64]*reading{}}
}

// Info implements Drafter.
func (*Model) Info() Info { return Info{Name: "draft", Classes: 1} }

// Drafted implements Drafter.
func (*Model) Drafted(uint64, int, int) {}

// Forget implements Drafter.
func (m *Model) Forget(key uint64) {
	if s := m.seqs[key]; s != nil {
		m.r.Release(s.slot)
		delete(m.seqs, key)
	}
}

// Close implements Drafter.
func (m *Model) Close() error {
	for key := range m.seqs {
		m.Forget(key)
	}
	return nil
}

// Draft implements Drafter. What a call reads is bounded by what a step takes: of longer texts it reads a part, and
// proposes nothing yet.
func (m *Model) Draft(ctx context.Context, asks []Ask) ([]Draft, error) {
	out := make([]Draft, len(asks))
	m.uses++
	m.fresh = false
	var all []*writing
	for i := range asks {
		a := &asks[i]
		most := min(a.Max, m.lim.Context-len(a.Tokens))
		if s, err := m.read(a); err != nil {
			return nil, err
		} else if s != nil && most > 0 {
			all = append(all, &writing{reading: s, ask: a, draft: &out[i], most: most, slot: s.slot})
		}
	}
	ready, rows, err := m.catchUp(ctx, all)
	if err == nil {
		err = m.write(ctx, ready, rows)
	}
	if errors.Is(err, kv.ErrNoPages) {
		return make([]Draft, len(asks)), nil // others hold them, for now
	}
	if err != nil {
		for i := range asks { // their state is not known
			m.Forget(asks[i].Key)
		}
		return nil, fmt.Errorf("spec: draft model: %w", err)
	}
	for i := range out {
		out[i].Fresh = m.fresh
	}
	return out, nil
}

// read returns what was read of a sequence, without what is not part of it any more; nil if there is no slot.
func (m *Model) read(a *Ask) (*reading, error) {
	s := m.seqs[a.Key]
	if s != nil {
		n := 0
		for n < min(len(s.tokens), len(a.Tokens)-1) && s.tokens[n] == a.Tokens[n] {
			n++
		}
		if n < len(s.tokens) && m.r.Truncate(s.slot, n) != nil {
			m.Forget(a.Key) // it is read again
			s = nil
		} else {
			s.tokens = s.tokens[:n]
		}
	}
	if s == nil {
		slot, err := m.open()
		if errors.Is(err, runner.ErrNoSlot) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("spec: draft model: %w", err)
		}
		s = &reading{slot: slot}
		m.seqs[a.Key] = s
	}
	s.used = m.uses
	return s, nil
}

// open opens a sequence, for which one goes that was not asked for now.
func (m *Model) open() (runner.SeqID, error) {
	slot, err := m.r.Open()
	if errors.Is(err, runner.ErrNoSlot) && m.forgetOldest() {
		slot, err = m.r.Open()
	}
	return slot, err
}

// forgetOldest ends the sequence that was not asked for longest, if there is one that was not asked for now.
func (m *Model) forgetOldest() bool {
	oldest, at := uint64(0), m.uses
	for key, s := range m.seqs {
		if s.used < at {
			oldest, at = key, s.used
		}
	}
	if at == m.uses {
		return false
	}
	m.Forget(oldest)
	return true
}

// step runs work, for which sequences go that were not asked for now.
func (m *Model) step(ctx context.Context, work []runner.Work) ([][]float32, error) {
	for {
		rows, err := m.r.Step(ctx, work)
		m.fresh = m.fresh || m.r.Fresh()
		if !errors.Is(err, kv.ErrNoPages) || !m.forgetOldest() {
			return rows, err
		}
	}
}

// catchUp reads what sequences have that the small model has not seen, as far as a step goes. It returns those that it
// has read to their end, with the logits there.
func (m *Model) catchUp(ctx context.Context, all []*writing) (ready []*writing, rows [][]float32, err error) {
	var work []runner.Work
	var fed []*writing
	room := m.lim.Batch
	for _, w := range all {
		next := w.ask.Tokens[len(w.tokens):]
		n := min(len(next), room)
		if room -= n; n == 0 {
			continue
		}
		item := runner.Work{Seq: w.reading.slot, Tokens: next[:n]}
		if n == len(next) {
			item.Rows = 1
		}
		work, fed = append(work, item), append(fed, w)
	}
	if len(work) == 0 {
		return nil, nil, nil
	}
	logits, err := m.step(ctx, work)
	if err != nil {
		return nil, nil, err
	}
	for i, w := range fed {
		w.tokens = append(w.tokens, work[i].Tokens...)
		if work[i].Rows > 0 {
			ready, rows = append(ready, w), append(rows, logits[i])
		}
	}
	return ready, rows, nil
}

// write goes on with sequences from their logits.
func (m *Model) write(ctx context.Context, ready []*writing, rows [][]float32) (err error) {
	if !m.lim.CutsAnywhere() {
		// A fork copies on the device; the logits are on the host already.
		defer func() {
			for _, w := range ready {
				if w.slot != w.reading.slot {
					m.r.Release(w.slot)
				}
			}
		}()
	}
	var work []runner.Work
	for len(ready) > 0 {
		work = work[:0]
		var on []*writing
		for i, w := range ready {
			id, err := m.draw(w, rows[i])
			if err != nil {
				return err
			}
			if len(w.draft.Tokens) == w.most || !m.forked(w) {
				continue
			}
			work, on = append(work, runner.Work{Seq: w.slot, Tokens: []int32{id}, Rows: 1}), append(on, w)
		}
		if len(on) == 0 {
			return nil
		}
		if rows, err = m.step(ctx, work); err != nil {
			return err
		}
		for i, w := range on {
			if w.slot == w.reading.slot {
				w.tokens = append(w.tokens, work[i].Tokens...)
			}
		}
		ready = m.releaseOthers(ready, on)
	}
	return nil
}

// releaseOthers ends the forks of those that do not go on.
func (m *Model) releaseOthers(ready, on []*writing) []*writing {
	for _, w := range ready {
		if w.slot != w.reading.slot && !slices.Contains(on, w) {
			m.r.Release(w.slot)
			w.slot = w.reading.slot
		}
	}
	return on
}

// forked gives a sequence a slot of its own to write in where its state could not be cut back. It returns false if
// there is none, so that it proposes one token alone.
func (m *Model) forked(w *writing) bool {
	if m.lim.CutsAnywhere() || w.slot != w.reading.slot {
		return true
	}
	slot, err := m.r.Fork(w.reading.slot)
	if errors.Is(err, runner.ErrNoSlot) && m.forgetOldest() {
		slot, err = m.r.Fork(w.reading.slot)
	}
	if err != nil {
		return false
	}
	w.slot = slot
	return true
}

// draw draws a token of a sequence from a row of logits.
func (m *Model) draw(w *writing, row []float32) (int32, error) {
	if w.sampler == nil {
		w.sampler = w.ask.Sampler()
		if w.ask.Own && !w.sampler.Greedy() {
			w.sampler.Reseed(m.rng.Uint64())
			w.draft.Probs = [][]sample.Prob{}
		}
	}
	id, err := w.sampler.Next(m.fit(row, w.sampler.Vocab()))
	if err != nil {
		return 0, err
	}
	if w.draft.Probs != nil {
		w.draft.Probs = append(w.draft.Probs, w.sampler.Probs())
	}
	w.sampler.Accept(id)
	w.draft.Tokens = append(w.draft.Tokens, id)
	return id, nil
}

// fit makes a row as long as the target's: files often have rows behind their last token, and not equally many.
func (m *Model) fit(row []float32, n int) []float32 {
	if len(row) >= n {
		return row[:n]
	}
	const less = 50 // than any other logit: never drawn in practice, and finite
	least := slices.Min(row) - less
	m.row = append(m.row[:0], row...)
	for len(m.row) < n {
		m.row = append(m.row, least)
	}
	return m.row
}
