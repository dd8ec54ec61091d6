package fake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
)

// The vocabulary: 256 bytes and two special tokens.
const (
	EOG   = 256
	BOS   = 257
	Vocab = 258

	Embd = 6 // length of a hidden state

	// Anywhere is the Limits.Rewinds of a runner that can cut sequences to any length, however long its context is.
	Anywhere = 1 << 30
)

// Runner computes logits from a hash of the tokens of a sequence, so that chunks, batches and slots cannot change
// them. The fields are set before use, and Fail and Gate may be nil.
type Runner struct {
	Lim runner.Limits // zero fields get defaults
	// what every sequence says, followed by EOG; empty lets the hash speak, without end
	Reply string
	Delay time.Duration                  // of each step
	Each  time.Duration                  // of each token beside that
	Fail  func(work []runner.Work) error // called at each step
	Gate  chan struct{}                  // each step takes a value
	Alter func(logits []float32)         // called on each row

	Checkpoints int // that fit
	Pages       int // tokens that all sequences and checkpoints can hold in all; 0 is any number

	mu          sync.Mutex
	seqs        map[runner.SeqID]*sequence
	checkpoints map[runner.CheckpointID]*sequence
	snapshots   map[*runner.Snapshot]*sequence
	steps       [][]runner.Work
	tops        []int
	rows        [][]float32 // of the last step, if it was a StepTop with k above 1
	fetched     int
}

type sequence struct {
	tokens []int32
	prompt int // length of the prompt; 0 until it is in
	rewind int // tokens of the last step that can be taken back
}

func (s *sequence) clone() *sequence {
	return &sequence{tokens: slices.Clone(s.tokens), prompt: s.prompt}
}

// Limits implements engine.Runner.
func (r *Runner) Limits() runner.Limits {
	l := r.Lim
	for _, d := range []struct {
		p *int
		v int
	}{{&l.Vocab, Vocab}, {&l.Embd, Embd}, {&l.Context, 4096}, {&l.Seqs, 4}, {&l.Batch, 64}} {
		if *d.p == 0 {
			*d.p = d.v
		}
	}
	l.Checkpoints = r.Checkpoints
	return l
}

// Open implements engine.Runner.
func (r *Runner) Open() (runner.SeqID, error) { return r.open(&sequence{}) }

func (r *Runner) open(s *sequence) (runner.SeqID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.enough(len(s.tokens)); err != nil {
		return 0, err
	}
	if r.seqs == nil {
		r.seqs = make(map[runner.SeqID]*sequence)
	}
	for id := range runner.SeqID(r.Limits().Seqs) {
		if r.seqs[id] == nil {
			r.seqs[id] = s
			return id, nil
		}
	}
	return 0, errors.New("fake: all slots are open")
}

// enough reports whether n more tokens fit. r.mu is held.
func (r *Runner) enough(n int) error {
	held := n
	for _, s := range r.seqs {
		held += len(s.tokens)
	}
	for _, s := range r.checkpoints {
		held += len(s.tokens)
	}
	if r.Pages > 0 && held > r.Pages {
		return fmt.Errorf("fake: %w: %d of %d tokens", kv.ErrNoPages, held, r.Pages)
	}
	return nil
}

// copyOf returns a copy of an open sequence.
func (r *Runner) copyOf(id runner.SeqID) *sequence {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seqs[id] == nil {
		panic(fmt.Sprintf("fake: copy of sequence %d, which is not open", id))
	}
	return r.seqs[id].clone()
}

// Fork implements engine.Runner.
func (r *Runner) Fork(id runner.SeqID) (runner.SeqID, error) { return r.open(r.copyOf(id)) }

// Checkpoint implements engine.Runner.
func (r *Runner) Checkpoint(id runner.SeqID) (runner.CheckpointID, error) {
	s := r.copyOf(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checkpoints == nil {
		r.checkpoints = make(map[runner.CheckpointID]*sequence)
	}
	if err := r.enough(len(s.tokens)); err != nil {
		return 0, err
	}
	for cp := range runner.CheckpointID(r.Checkpoints) {
		if r.checkpoints[cp] == nil {
			r.checkpoints[cp] = s
			return cp, nil
		}
	}
	return 0, runner.ErrNoCheckpoint
}

// Resume implements engine.Runner.
func (r *Runner) Resume(cp runner.CheckpointID) (runner.SeqID, error) {
	r.mu.Lock()
	s := r.checkpoints[cp]
	r.mu.Unlock()
	if s == nil {
		panic(fmt.Sprintf("fake: there is no checkpoint %d", cp))
	}
	return r.open(s.clone())
}

// Drop implements engine.Runner. Dropping a checkpoint that is not there is a bug of the caller and panics.
func (r *Runner) Drop(cp runner.CheckpointID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checkpoints[cp] == nil {
		panic(fmt.Sprintf("fake: drop of checkpoint %d, which is not there", cp))
	}
	delete(r.checkpoints, cp)
}

// Save implements engine.Runner.
func (r *Runner) Save(_ context.Context, id runner.SeqID) (*runner.Snapshot, error) {
	s, key := r.copyOf(id), new(runner.Snapshot)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.snapshots == nil {
		r.snapshots = make(map[*runner.Snapshot]*sequence)
	}
	r.snapshots[key] = s
	return key, nil
}

// Restore implements engine.Runner.
func (r *Runner) Restore(_ context.Context, key *runner.Snapshot) (runner.SeqID, error) {
	r.mu.Lock()
	s := r.snapshots[key]
	r.mu.Unlock()
	if s == nil {
		return 0, errors.New("fake: a snapshot of another runner")
	}
	return r.open(s.clone())
}

// Floor implements engine.Runner.
func (r *Runner) Floor(id runner.SeqID) int {
	n := len(r.copyOf(id).tokens)
	if r.Limits().CutsAnywhere() {
		n = min(n, 1)
	}
	return n
}

// Truncate implements engine.Runner.
func (r *Runner) Truncate(id runner.SeqID, n int) error {
	floor := r.Floor(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seqs[id]
	was := len(s.tokens)
	if n > was || n < min(floor, was-s.rewind) {
		return &runner.TruncateError{Len: was, To: n, Reason: "the fake keeps its state"}
	}
	cut := &sequence{tokens: slices.Clone(s.tokens[:n]), rewind: max(0, s.rewind-(was-n))}
	if s.rewind > 0 && n >= was-s.rewind {
		cut.prompt = s.prompt // only what the last step read is taken back
	}
	r.seqs[id] = cut
	return nil
}

// SaveCheckpoint implements engine.Runner.
func (r *Runner) SaveCheckpoint(_ context.Context, cp runner.CheckpointID) (*runner.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checkpoints[cp] == nil {
		panic(fmt.Sprintf("fake: there is no checkpoint %d", cp))
	}
	if r.snapshots == nil {
		r.snapshots = make(map[*runner.Snapshot]*sequence)
	}
	key := new(runner.Snapshot)
	r.snapshots[key] = r.checkpoints[cp].clone()
	return key, nil
}

// OpenCheckpoints returns how many checkpoints there are.
func (r *Runner) OpenCheckpoints() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.checkpoints)
}

// Release implements engine.Runner. Releasing a sequence that is not open is a bug of the caller and panics.
func (r *Runner) Release(id runner.SeqID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seqs[id] == nil {
		panic(fmt.Sprintf("fake: close of sequence %d, which is not open", id))
	}
	delete(r.seqs, id)
}

// Open sequences.
func (r *Runner) OpenSeqs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seqs)
}

// Steps returns the work of every step so far.
func (r *Runner) Steps() [][]runner.Work {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.steps[:len(r.steps):len(r.steps)]
}

// Step implements engine.Runner. It reports work that breaks the contract as an error.
func (r *Runner) Step(ctx context.Context, work []runner.Work) ([][]float32, error) {
	r.mu.Lock()
	r.rows = nil
	r.mu.Unlock()
	return r.step(ctx, work, func(s *sequence, rows int) (out []float32) {
		first := len(s.tokens) - rows + 1
		if s.prompt == 0 {
			s.prompt = first
		}
		for n := first; n <= len(s.tokens); n++ {
			row := r.logits(s.tokens[:n], s.prompt, r.Limits().Vocab)
			if r.Alter != nil {
				r.Alter(row)
			}
			out = append(out, row...)
		}
		return out
	})
}

// StepHidden implements engine.Runner. The state of a token is [Hidden] of the tokens up to it.
func (r *Runner) StepHidden(ctx context.Context, work []runner.Work) ([][]float32, error) {
	return r.step(ctx, work, func(s *sequence, rows int) (states []float32) {
		for n := len(s.tokens) - rows; n < len(s.tokens); n++ {
			states = append(states, Hidden(s.tokens[:n+1])...)
		}
		return states
	})
}

// Hidden is the hidden state of the last of tokens: from -1 to 1, by hash.
func Hidden(tokens []int32) []float32 {
	x, state := hash(tokens), make([]float32, Embd)
	for i := range state {
		x = next(x)
		state[i] = float32(2*float64(x>>11)/math.Exp2(53) - 1)
	}
	return state
}

// step runs work, whose rows outputs makes once the tokens are in.
func (r *Runner) step(ctx context.Context, work []runner.Work,
	outputs func(s *sequence, rows int) []float32) ([][]float32, error) {
	if r.Gate != nil {
		select {
		case <-r.Gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	delay := r.Delay
	for _, w := range work {
		delay += r.Each * time.Duration(len(w.Tokens))
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if r.Fail != nil {
		if err := r.Fail(work); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lim := r.Limits()
	total := 0
	out := make([][]float32, len(work))
	step := make([]runner.Work, len(work))
	for i, w := range work {
		s := r.seqs[w.Seq]
		if total += len(w.Tokens); i == 0 {
			all := 0
			for _, w := range work {
				all += len(w.Tokens)
			}
			if err := r.enough(all); err != nil {
				return nil, err
			}
		}
		switch {
		case s == nil:
			return nil, fmt.Errorf("fake: sequence %d is not open", w.Seq)
		case len(w.Tokens) == 0 || w.Rows > len(w.Tokens):
			return nil, fmt.Errorf("fake: work of %d tokens and %d rows", len(w.Tokens), w.Rows)
		case len(s.tokens)+len(w.Tokens) > lim.Context:
			return nil, fmt.Errorf("fake: sequence of %d tokens", len(s.tokens)+len(w.Tokens))
		case total > lim.Batch:
			return nil, fmt.Errorf("fake: step of %d tokens", total)
		case w.Rewind < 0 || w.Rewind >= len(w.Tokens) || w.Rewind > lim.Rewinds:
			return nil, fmt.Errorf("fake: %d of %d tokens to be taken back", w.Rewind, len(w.Tokens))
		}
		s.tokens, s.rewind = append(s.tokens, w.Tokens...), w.Rewind
		step[i] = runner.Work{Seq: w.Seq, Tokens: append([]int32(nil), w.Tokens...), Rows: w.Rows, Rewind: w.Rewind,
			Types: append([]int32(nil), w.Types...)}
		if w.Rows > 0 {
			out[i] = outputs(s, w.Rows)
		}
	}
	r.steps = append(r.steps, step)
	return out, nil
}

// StepTop implements engine.Runner. It sorts what Step returns.
func (r *Runner) StepTop(ctx context.Context, work []runner.Work, k int) ([][]sample.Logit, error) {
	if top := r.Limits().Top; k < 1 || k > top {
		return nil, fmt.Errorf("fake: %d logits of %d", k, top)
	}
	rows, err := r.Step(ctx, work)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.tops = append(r.tops, k)
	r.rows = nil
	if k > 1 {
		for _, row := range rows {
			r.rows = slices.AppendSeq(r.rows, slices.Chunk(row, r.Limits().Vocab))
		}
	}
	r.mu.Unlock()
	out := make([][]sample.Logit, len(rows))
	for i := range rows {
		for row := range slices.Chunk(rows[i], r.Limits().Vocab) {
			var all []sample.Logit
			for id, l := range row {
				all = append(all, sample.Logit{ID: int32(id), Logit: l})
			}
			slices.SortStableFunc(all, func(a, b sample.Logit) int { return cmp.Compare(b.Logit, a.Logit) })
			if k == 1 {
				all[0].Logit = 0
			}
			out[i] = append(out[i], all[:k]...)
		}
	}
	return out, nil
}

// Fresh implements engine.Runner. All steps are alike.
func (*Runner) Fresh() bool { return false }

// Logits implements engine.Runner.
func (r *Runner) Logits(_ context.Context, row int) ([]float32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if row < 0 || row >= len(r.rows) {
		return nil, fmt.Errorf("fake: row %d of %d", row, len(r.rows))
	}
	r.fetched++
	return r.rows[row], nil
}

// Fetched returns how often Logits was called.
func (r *Runner) Fetched() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetched
}

// Tops returns what StepTop was asked for, call by call.
func (r *Runner) Tops() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tops)
}

// logits favours printable ASCII, by hash, or the next byte of the reply, which begins behind the prompt.
func (r *Runner) logits(tokens []int32, prompt, vocab int) []float32 {
	row := make([]float32, vocab)
	x := hash(tokens)
	for i := range row {
		x = next(x)
		row[i] = float32(4 * float64(x>>11) / math.Exp2(53))
		if i < ' ' || i > '~' {
			row[i] -= 30
		}
	}
	if r.Reply != "" {
		next := EOG
		if n := len(tokens) - prompt; n < len(r.Reply) {
			next = int(r.Reply[n])
		}
		row[next] = 40
	}
	return row
}

func hash(tokens []int32) uint64 {
	h := fnv.New64a()
	for _, t := range tokens {
		h.Write([]byte{byte(t), byte(t >> 8)})
	}
	return h.Sum64()
}

// next is a step of a linear congruential generator.
func next(x uint64) uint64 { return x*6364136223846793005 + 1442695040888963407 }
