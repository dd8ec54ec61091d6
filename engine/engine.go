package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hipengine/hipengine/engine/disk"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/engine/spec"
)

// Runner computes steps. Only the engine's goroutine calls it, after New has read its limits.
type Runner interface {
	Limits() runner.Limits
	// Open starts an empty sequence. It does not block.
	Open() (runner.SeqID, error)
	// Release frees a sequence, whatever its state.
	Release(runner.SeqID)
	// Fork opens a sequence that continues where another is.
	Fork(runner.SeqID) (runner.SeqID, error)
	// Checkpoint keeps the state of a sequence until Drop. The error wraps runner.ErrNoCheckpoint if there is no room.
	Checkpoint(runner.SeqID) (runner.CheckpointID, error)
	// Resume opens a sequence that continues where the checkpoint was made.
	Resume(runner.CheckpointID) (runner.SeqID, error)
	Drop(runner.CheckpointID)
	// Truncate cuts a sequence to n tokens, of which Floor says how few there can be.
	Truncate(id runner.SeqID, n int) error
	Floor(runner.SeqID) int
	// Save and Restore are Checkpoint and Resume by way of the host, SaveCheckpoint saves what Checkpoint keeps.
	Save(ctx context.Context, id runner.SeqID) (*runner.Snapshot, error)
	SaveCheckpoint(ctx context.Context, cp runner.CheckpointID) (*runner.Snapshot, error)
	Restore(ctx context.Context, s *runner.Snapshot) (runner.SeqID, error)
	// Step appends tokens to sequences and returns, for each entry of work, its Rows*Vocab logits. It blocks until the
	// device is done or ctx is. The runner does not keep work; the logits are the runner's and valid until the next
	// Step. After an error, the state of the sequences of work is undefined and they are only closed.
	Step(ctx context.Context, work []runner.Work) ([][]float32, error)
	// StepHidden is Step with hidden states of Limits.Embd numbers in place of logits.
	StepHidden(ctx context.Context, work []runner.Work) ([][]float32, error)
	// StepTop is Step for those whom the k logits of highest rank of each row suffice, best first; with k = 1 their
	// ids alone. k is from 1 to Limits.Top.
	StepTop(ctx context.Context, work []runner.Work, k int) ([][]sample.Logit, error)
	// Fresh reports whether the last of these steps may have taken longer than another like it would, since there was
	// none yet: it says nothing about how long they take.
	Fresh() bool
	// Logits returns all logits of a row of the last step, which was a StepTop with k above 1, by its place among the
	// rows of all work. They are valid until the next call.
	Logits(ctx context.Context, row int) ([]float32, error)
}

// Errors of Submit and Tokens.
var (
	ErrClosed     = errors.New("engine: closed")
	ErrQueueFull  = errors.New("engine: queue is full")
	ErrBadRequest = errors.New("engine: bad request") // wrapped by errors that say what is wrong

	// ErrEncoder says that a model can be asked for embeddings, and not for text.
	ErrEncoder = fmt.Errorf("%w: the model is an encoder, which makes embeddings and writes no text", ErrBadRequest)
)

// ContextLengthError says that a prompt does not fit into the context, with room for one more token.
type ContextLengthError struct {
	Prompt int // tokens of the prompt
	Limit  int // most tokens of a sequence
}

// Error implements error.
func (e *ContextLengthError) Error() string {
	return fmt.Sprintf("engine: the prompt of %d tokens exceeds the available context size of %d tokens", e.Prompt,
		e.Limit)
}

// PanicError says that a panic in the runner or the decoder ended the sequence.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // for the log
}

// Error implements error. It leaves the stack out.
func (e *PanicError) Error() string { return fmt.Sprintf("engine: panic: %v", e.Value) }

// DefaultMaxQueue is the length of the queue when Config.MaxQueue is zero.
const DefaultMaxQueue = 256

// Config is what an engine is made of.
type Config struct {
	Runner   Runner
	EOG      func(id int32) bool // reports end-of-generation tokens; nil if there are none
	Policy   Policy              // nil is Fair{}
	MaxQueue int                 // most sequences that wait for a slot; 0 is DefaultMaxQueue

	// Piece returns the text of a token, and whether it is a marker: one that stands for more than its text. With it,
	// the engine remembers what it drew for prompts that say it again: see [Engine.Verbatim]. Nil remembers nothing.
	Piece func(id int32) (text []byte, marker bool)

	// TurnStart is the token with which a chat template begins the turns of a conversation, the model's own among
	// them. States are then kept where the first turn ends, which often is the same for many conversations, and where
	// the last one begins, since clients may leave out parts of an answer when they repeat it. 0 is none.
	TurnStart int32

	// Checkpoints of the runner keep states of sequences, also after their end, for prompts that begin with the same
	// tokens. They make room when a sequence needs theirs. 0 keeps none.
	Checkpoints int
	// HostBytes is the host memory for kept states that had to make room.
	HostBytes int64
	// Disk keeps states that had to make room, and those that are there at the end, for later; nil is nobody. The
	// engine does not close it.
	Disk *disk.Store

	// Drafters guess tokens of sequences that decode, so that one step can check several. Requests name one; those that
	// do not get the first. The engine does not close them.
	Drafters []spec.Drafter
	Depth    spec.Chooser // of how many tokens are drafted; nil is a spec.Policy
	// DrafterFailed is told of a drafter that is not used any more, by the engine's goroutine. Nil is nobody.
	DrafterFailed func(drafter string, err error)
}

// Stats are counts since the start and the present state, taken at one moment.
type Stats struct {
	Running, Waiting int
	HeldTokens       int // that the running sequences hold, of Limits.KVTokens

	PromptTokens    uint64 // tokens prefilled
	CachedTokens    uint64 // tokens of prompts that were not, because the state that they lead to was kept
	GeneratedTokens uint64 // tokens drawn
	Steps           uint64 // steps that succeeded
	StepTokens      uint64 // tokens over all steps; divided by Steps, the mean batch
	StepSequences   uint64 // sequences over all steps
	LastStepTokens  int
	Longest         int // tokens that one sequence has held, at most

	Stopped, Length   uint64 // sequences that finished, by reason
	Embedded          uint64 // prompts that were read for an embedding
	Cancelled, Failed uint64 // sequences that ended without a finish reason
	Rejected          uint64 // submissions refused because the queue was full
	Preempted         uint64 // times that a sequence made room for others and went on later

	Drafts         uint64 // of sequences, in all steps
	DraftedTokens  uint64 // in them
	AcceptedTokens uint64 // of these, that were drawn
	LastDepth      int    // most tokens drafted for one sequence in the last step of sequences that all decode

	// Of a model some of whose experts have copies on a faster device, see runner.ExpertUse.
	ExpertChoices, ExpertHits, ExpertsMoved uint64
}

// Engine schedules sequences over a runner. Its methods may be called from any goroutine.
type Engine struct {
	runner   Runner
	limits   runner.Limits
	eog      func(int32) bool
	ends     []int32 // for which eog is true
	policy   Policy
	maxQueue int
	reuse    *reuse // nil if no states are kept
	rowBuf   []row  // of the last step
	verbatim *verbatim
	spec     *speculation // nil if nothing is ever drafted

	admitted uint64         // sequences; of the loop
	freed    bool           // a sequence ended since the last attempt to let one go on that made room; of the loop
	loads    sync.WaitGroup // goroutines that read from the disk

	ctx    context.Context // of the steps; ended by a Close that ran out of patience
	cancel context.CancelFunc
	wake   chan struct{} // of capacity 1: waiting or closing changed
	done   chan struct{} // closed when the loop has ended

	mu      sync.Mutex
	waiting []*Sequence
	loading []*Sequence // whose state is being read from the disk
	parked  []*Sequence // that made room for others, oldest first
	running []*Sequence // written by the loop alone, under mu
	shared  []*choices  // with sequences that wait, oldest first
	closing bool
	stats   Stats
}

// New starts an engine, which owns c.Runner until Close has returned.
func New(c Config) (*Engine, error) {
	if c.Runner == nil {
		return nil, errors.New("engine: no runner")
	}
	l := c.Runner.Limits()
	if l.Vocab <= 0 || l.Context <= 0 || l.Seqs <= 0 || l.Batch <= 0 {
		return nil, fmt.Errorf("engine: runner limits %+v: each must be positive", l)
	}
	e := &Engine{
		runner: c.Runner, limits: l, eog: c.EOG, policy: c.Policy, maxQueue: c.MaxQueue,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if e.eog == nil {
		e.eog = func(int32) bool { return false }
	}
	for id := range int32(l.Vocab) {
		if e.eog(id) {
			e.ends = append(e.ends, id)
		}
	}
	if e.policy == nil {
		e.policy = Fair{}
	}
	if e.maxQueue == 0 {
		e.maxQueue = DefaultMaxQueue
	}
	e.reuse = newReuse(c, l)
	if e.reuse != nil {
		e.verbatim = newVerbatim(c, l.Invariant)
	}
	e.spec = newSpeculation(c)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	go e.loop()
	return e, nil
}

// Reuses reports whether states of sequences are kept for prompts that begin with the same tokens.
func (e *Engine) Reuses() bool { return e.reuse != nil }

// Speculates reports whether tokens of sequences are guessed, unless their requests say otherwise.
func (e *Engine) Speculates() bool { return e.spec != nil }

// Limits returns the capacities of the runner.
func (e *Engine) Limits() runner.Limits { return e.limits }

// Submit queues a request. The sequence lives until it finishes or ctx is done. Errors are [ErrQueueFull],
// [ErrClosed], *[ContextLengthError], the cause of ctx's end, and others that wrap [ErrBadRequest].
func (e *Engine) Submit(ctx context.Context, r Request) (*Sequence, error) {
	seqs, err := e.SubmitChoices(ctx, r)
	if err != nil {
		return nil, err
	}
	return seqs[0], nil
}

// SubmitChoices queues requests with one prompt, which is read once: each sequence gets what it would get alone. They
// run side by side as far as there are slots, and then one after the other. All are queued, or none with an error of
// [Engine.Submit].
func (e *Engine) SubmitChoices(ctx context.Context, rs ...Request) ([]*Sequence, error) {
	if len(rs) == 0 {
		return nil, fmt.Errorf("%w: no request", ErrBadRequest)
	}
	seqs := make([]*Sequence, len(rs))
	for i, r := range rs {
		if !slices.Equal(r.Prompt, rs[0].Prompt) {
			return nil, fmt.Errorf("%w: choice %d has another prompt than the first", ErrBadRequest, i)
		}
		var err error
		if seqs[i], err = e.sequence(r); err != nil {
			return nil, err
		}
	}
	if err := e.enqueue(ctx, seqs); err != nil {
		return nil, err
	}
	return slices.Clone(seqs), nil
}

// enqueue puts sequences with one prompt into the queue.
func (e *Engine) enqueue(ctx context.Context, seqs []*Sequence) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	waiting := len(e.queuing())
	switch {
	case e.closing:
		return ErrClosed
	case len(seqs) > e.maxQueue:
		return fmt.Errorf("%w: %d choices are more than the queue holds, which are %d", ErrBadRequest, len(seqs),
			e.maxQueue)
	case waiting+len(seqs) > e.maxQueue:
		e.stats.Rejected++
		return fmt.Errorf("%w: %d sequences are waiting", ErrQueueFull, waiting)
	}
	for _, s := range seqs {
		s.ctx, s.cancel = context.WithCancel(ctx)
	}
	e.waiting = append(e.waiting, seqs[0])
	if len(seqs) > 1 {
		c := &choices{reader: seqs[0], rest: seqs[1:len(seqs):len(seqs)]}
		for _, s := range seqs {
			s.choices = c
		}
		e.shared = append(e.shared, c)
	}
	e.signal()
	return nil
}

// sequence checks a request and makes a sequence of it.
func (e *Engine) sequence(r Request) (*Sequence, error) {
	if e.limits.Encoder {
		return nil, ErrEncoder
	}
	if len(r.Prompt) == 0 {
		return nil, fmt.Errorf("%w: the prompt is empty", ErrBadRequest)
	}
	if r.MaxTokens < 0 || r.TopLogprobs < 0 {
		return nil, fmt.Errorf("%w: max_tokens %d and top_logprobs %d must not be negative", ErrBadRequest,
			r.MaxTokens, r.TopLogprobs)
	}
	room := e.limits.Context - len(r.Prompt)
	if room <= 0 {
		return nil, &ContextLengthError{Prompt: len(r.Prompt), Limit: e.limits.Context}
	}
	if r.MaxTokens == 0 || r.MaxTokens > room {
		r.MaxTokens = room
	}
	if len(r.Stop) > 0 && r.Decoder == nil {
		return nil, fmt.Errorf("%w: stop strings without a decoder", ErrBadRequest)
	}
	if r.MaxDrafts < 0 {
		return nil, fmt.Errorf("%w: %d tokens at most to draft must not be negative", ErrBadRequest, r.MaxDrafts)
	}
	if err := e.spec.check(r.Drafter); err != nil {
		return nil, err
	}
	if r.PromptLogprobs && !r.Logprobs {
		return nil, fmt.Errorf("%w: log-probabilities of the prompt come with those of the answer", ErrBadRequest)
	}
	if r.Thoughts != nil && (r.Decoder == nil || r.Thoughts.Budget < 0 || len(r.Thoughts.End) == 0) {
		return nil, fmt.Errorf("%w: bounded thoughts need a decoder, a budget of 0 or more and tokens that end them",
			ErrBadRequest)
	}
	if r.Sampling.Constraint != nil && r.IgnoreEOG {
		return nil, fmt.Errorf("%w: with a constraint, which says where the text ends, end-of-generation tokens count",
			ErrBadRequest)
	}
	if err := e.checkIDs(r.Prompt); err != nil {
		return nil, err
	}
	if r.Sampling.MinTokens > r.MaxTokens {
		return nil, fmt.Errorf("%w: min_tokens %d is more than the %d tokens that there may be", ErrBadRequest,
			r.Sampling.MinTokens, r.MaxTokens)
	}
	for _, id := range r.StopTokens {
		if id < 0 || int(id) >= e.limits.Vocab {
			return nil, fmt.Errorf("%w: stop token %d: the vocabulary has ids 0 to %d", ErrBadRequest, id,
				e.limits.Vocab-1)
		}
	}
	if r.Sampling.MinTokens > 0 {
		r.Sampling.Ends = slices.Clone(r.StopTokens)
		if !r.IgnoreEOG {
			r.Sampling.Ends = append(r.Sampling.Ends, e.ends...)
		}
	}
	sampler, err := sample.NewSampler(r.Sampling, e.limits.Vocab)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	sampler.AcceptPrompt(r.Prompt...)
	if r.Observer == nil {
		r.Observer = nobody{}
	}
	r.Prompt = slices.Clone(r.Prompt)
	top := r.Sampling.Top()
	switch {
	case r.Logprobs || top > e.limits.Top:
		top = 0
	case top > 0 && r.Sampling.Constraint != nil: // which may not allow the first ones
		top = e.limits.Top
	}
	return &Sequence{
		req: r, sampler: sampler, top: top, stop: NewStopMatcher(r.Stop), thinking: newThinking(r.Thoughts),
		pending: r.Prompt, ids: r.Prompt[:len(r.Prompt):len(r.Prompt)],
		ready: make(chan struct{}, 1),
	}, nil
}

// checkIDs reports an id that the vocabulary does not have.
func (e *Engine) checkIDs(prompt []int32) error {
	for i, id := range prompt {
		if id < 0 || int(id) >= e.limits.Vocab {
			return fmt.Errorf("%w: token %d at index %d of the prompt: the vocabulary has ids 0 to %d", ErrBadRequest,
				id, i, e.limits.Vocab-1)
		}
	}
	return nil
}

// Stats returns a snapshot of the counters.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Running, s.Waiting = len(e.running), len(e.queuing())
	for _, q := range e.running {
		s.HeldTokens += q.held
	}
	if r, ok := e.runner.(interface{ ExpertUse() runner.ExpertUse }); ok {
		u := r.ExpertUse()
		s.ExpertChoices, s.ExpertHits, s.ExpertsMoved = u.Choices, u.Hits, u.Moved
	}
	return s
}

// Close refuses new requests and waits for the sequences to finish. When ctx is done first, they end with ErrClosed
// as soon as the current step returns, and Close returns the cause of ctx's end. After Close, the runner is free.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closing = true
	e.signal()
	e.mu.Unlock()
	defer e.cancel()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		e.cancel()
		<-e.done
		return context.Cause(ctx)
	}
}

func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
