package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Options configure a Runner. The zero value takes the model's context for one sequence.
type Options struct {
	Context int // tokens per sequence; 0: as the model was made for
	Seqs    int // sequences open at once; 0: 1
	Batch   int // tokens per step; 0: as many as keep the device busy, or 512

	// Checkpoints is how many states of sequences can be kept beside those that are open. For each there is memory for
	// the recurrent state of a sequence and a page of keys and values; full pages are shared with the sequence.
	Checkpoints int

	// Pages is the size of the KV cache in pages; 0: enough for Seqs sequences of Context tokens, and one for each
	// checkpoint. Layers that see a window alone have fewer if fewer suffice.
	Pages int

	// Rewind is how many tokens of the last step can be taken back of a sequence, from 0 to MaxRewind, and RewindTokens
	// how many of all its sequences, 0 being as many as Rewind allows: see Work.Rewind. For each of the latter there is
	// memory for a recurrent state and for a row more that steps return.
	Rewind, RewindTokens int

	KVType    tensor.DType // of keys and values; Invalid: F32
	StateType tensor.DType // of recurrent state; Invalid: F32

	// Invariant demands that the logits of a sequence follow from its tokens alone, bit for bit: not from the steps
	// in which they came, nor from what else was in those, nor from a checkpoint in between. The device must be able
	// to (ops.Caps); it costs speed.
	Invariant bool

	// Reserved bytes of what is free on the device belong to others: PlanMemory leaves them out. Of the rest, it
	// counts at most Limit bytes as free; 0 is no limit.
	Reserved, Limit int64

	// Share returns Reserved and Limit of each of the devices that the device consists of, by its name; nil: none.
	Share func(device string) (reserved, limit int64)

	kept int // recurrent states beside the last ones of sequences: see keeping
}

// MaxRewind is the most that Options.Rewind can be.
const MaxRewind = 16

// PageSize is the number of tokens in a page of the KV cache.
const PageSize = kv.PageSize

// Errors that callers branch on.
var (
	ErrNoSlot = errors.New("runner: all sequences are in use")
	ErrClosed = errors.New("runner: closed")

	// ErrEncoder reports a step of an encoder for what it does not compute, or with a part of a sequence.
	ErrEncoder = errors.New("runner: the model is an encoder, which reads whole texts and predicts no tokens")

	// ErrInvariant reports a device that cannot do as Options.Invariant demands.
	ErrInvariant = errors.New("runner: the device's results depend on what else is in a step")
)

// ContextError reports a step that would make a sequence longer than the context.
type ContextError struct{ Len, Add, Context int }

func (e *ContextError) Error() string {
	return fmt.Sprintf("runner: %d tokens after %d exceed the context of %d", e.Add, e.Len, e.Context)
}

// Runner runs steps of one model on one device. It belongs to one goroutine at a time.
type Runner struct {
	model   models.Model
	drafts  *models.Drafting // the model, if it has a draft layer to use; else nil
	weights models.Weights
	dev     ops.Device
	stream  ops.Stream
	limits  Limits

	seqs    []sequence // by slot: Limits.Seqs for sequences, then the checkpoints
	windows []int      // of the model's attention
	pools   []*kv.Pool // of pages, by window
	states  map[string]tensor.Tensor
	spec    kv.Spec
	rewind  int          // as in Options
	rewinds int          // Options.RewindTokens
	kept    int          // as in Options
	spare   []int        // places for states beside the last ones of sequences that nobody uses
	experts *expertCache // nil: no slots
	plans   planCache
	arena   ops.Arena // of all plans: no two run at a time

	buckets bool // the device wants sizes padded
	closed  bool

	// Memory of a step that the next one uses again.
	steps   uint64
	need    []int // pages of each window
	index   models.Index
	chain   models.ChainIndex
	wanted  int // rows whose logits the caller gets; others are padding
	tables  [][]int32
	raw     []byte
	numbers []float32
	rows    [][]float32
	top     []sample.Logit
	tops    [][]sample.Logit
	last    ops.Plan // of the last step, if it was a StepTop that can give all logits
}

// New allocates the state of sequences and returns a runner. weights stay the caller's; Close frees the rest.
func New(dev ops.Device, m models.Model, w models.Weights, o Options) (*Runner, error) {
	p := m.Params()
	o, err := o.with(p, dev)
	if err != nil {
		return nil, err
	}
	if err := o.check(dev); err != nil {
		return nil, err
	}
	if o, err = o.keeping(dev, m, w); err != nil {
		return nil, err
	}
	s, err := dev.Stream()
	if err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	r := &Runner{model: m, weights: w, dev: dev, stream: s, spec: m.State(), states: map[string]tensor.Tensor{},
		limits: Limits{Vocab: p.Vocab, Embd: p.Embd, Context: o.Context, Seqs: o.Seqs, Batch: o.Batch},
		seqs:   make([]sequence, o.Seqs+o.Checkpoints), buckets: dev.Info().Buckets}
	if r.experts, err = newExpertCache(w); err != nil {
		s.Close()
		return nil, fmt.Errorf("runner: %w", err)
	}
	r.windows = r.spec.Windows()
	r.need = make([]int, len(r.windows))
	r.limits.Checkpoints, r.limits.Invariant = o.Checkpoints, o.Invariant
	r.limits.KVTokens = min(o.Pages*PageSize, o.Seqs*o.Context)
	r.limits.Encoder, r.limits.TokenTypes = p.Encoder, p.TokenTypes
	if !p.Encoder {
		r.limits.Top = topOf(dev, p.Vocab)
	}
	if r.drafts, _ = m.(*models.Drafting); r.drafts != nil {
		if r.limits.Top < 1 {
			s.Close()
			return nil, fmt.Errorf("runner: %s cannot draft: it has no kernel for %s", dev.Info().Name, ops.TopKOp.Name)
		}
		r.limits.Drafts, r.limits.FrequentTokens = MaxDrafts, r.drafts.FrequentTokens()
	}
	r.layOut(o)
	for _, w := range r.windows {
		r.pools = append(r.pools, kv.NewPool(o.pages(w)))
	}
	if err := r.alloc(o); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// with returns o with the defaults for a model on dev, nil where it is not known yet, or an error if it is outside of
// what the model or a Runner can do.
func (o Options) with(p models.Hparams, dev ops.Device) (Options, error) {
	if o.Context == 0 {
		o.Context = p.Context
	}
	if o.Seqs == 0 {
		o.Seqs = 1
	}
	if o.Batch == 0 {
		o.Batch = 512
		if dev != nil {
			o.Batch = cmp.Or(dev.Caps().StepTokens, o.Batch)
		}
	}
	if p.Encoder { // a sequence is in one step
		o.Batch = max(o.Batch, o.Context)
	}
	if o.KVType == tensor.Invalid {
		o.KVType = tensor.F32
	}
	if o.StateType == tensor.Invalid {
		o.StateType = tensor.F32
	}
	if o.Context < 1 || o.Context > p.Context {
		return o, fmt.Errorf("runner: context of %d tokens is outside 1..%d, what the model was made for", o.Context,
			p.Context)
	}
	if o.Seqs < 1 || o.Seqs > 1<<16 || o.Batch < 1 || o.Batch > 1<<20 {
		return o, fmt.Errorf("runner: %d sequences with %d tokens per step are outside the limits 1..%d and 1..%d",
			o.Seqs, o.Batch, 1<<16, 1<<20)
	}
	if o.Checkpoints < 0 || o.Checkpoints > 1<<16 {
		return o, fmt.Errorf("runner: %d checkpoints are outside 0..%d", o.Checkpoints, 1<<16)
	}
	if o.Rewind < 0 || o.Rewind > MaxRewind {
		return o, fmt.Errorf("runner: taking back %d tokens of a sequence is outside 0..%d", o.Rewind, MaxRewind)
	}
	if most := o.Rewind * o.Seqs; o.RewindTokens < 0 || o.RewindTokens > most || o.RewindTokens > 0 &&
		o.RewindTokens < o.Rewind {
		return o, fmt.Errorf("runner: taking back %d tokens of a step, %d of a sequence, is outside %d..%d", o.RewindTokens,
			o.Rewind, o.Rewind, most)
	}
	if o.RewindTokens == 0 {
		o.RewindTokens = o.Rewind * o.Seqs
	}
	perSeq := pagesFor(o.Context)
	if o.Pages == 0 {
		o.Pages = perSeq*o.Seqs + o.Checkpoints
	}
	if o.Pages < perSeq {
		return o, fmt.Errorf("runner: %d pages of %d tokens do not hold one context of %d", o.Pages, PageSize,
			o.Context)
	}
	return o, nil
}

// check reports what a device cannot do of o.
func (o Options) check(dev ops.Device) error {
	if o.Invariant && !dev.Caps().Invariant {
		return fmt.Errorf("%w: %s", ErrInvariant, dev.Info().Name)
	}
	return nil
}

// record is models.Record of a step of a runner with options o.
func (o Options) record(m models.Model, w models.Weights, states map[string]tensor.Tensor, k models.Sizes) (*ops.Graph,
	models.Outputs, error) {
	g, out, err := models.Record(m, w, states, o.Context, k)
	if err != nil {
		return nil, out, fmt.Errorf("runner: %w", err)
	}
	g.Invariant = o.Invariant
	return g, out, nil
}

// pages returns the pages of layers with the given window. o has its defaults.
func (o Options) pages(window int) int {
	if window == 0 {
		return o.Pages
	}
	// Between steps, a sequence or checkpoint holds its window, what trim leaves, and parts of a page at both ends. In
	// a step, each sequence begins a page, and the tokens fill others.
	return min(o.Pages, (o.Seqs+o.Checkpoints)*(pagesFor(window)+3)+o.Seqs+pagesFor(o.Batch))
}

// stateTensors returns the tensors of a model's state, without memory, and their sizes in bytes. o has its defaults.
// A device that wants sizes padded gets a slot for the sequences that pad a step.
func stateTensors(spec kv.Spec, o Options, buckets bool) (ts []tensor.Tensor, sizes []int64, err error) {
	slots := o.places()
	if buckets {
		slots++
	}
	ts, err = spec.Tensors(kv.Storage{Pages: o.pages, Slots: slots, KVType: o.KVType, Type: o.StateType,
		Recent: o.Seqs + o.Checkpoints})
	if err != nil {
		return nil, nil, fmt.Errorf("runner: %w", err)
	}
	for _, t := range ts {
		n, _ := tensor.Bytes(t.DType, t.Shape) // Tensors checked it
		sizes = append(sizes, n)
	}
	return ts, sizes, nil
}

// homeOf returns the device that a state is allocated on.
func homeOf(dev ops.Device, t tensor.Tensor) (ops.Device, error) {
	place := dev.Caps().Place
	if place == nil {
		return dev, nil
	}
	on, err := place(ops.WeightUse{Name: t.Name, DType: t.DType, Shape: t.Shape}, ops.MemState)
	if err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	return on, nil
}

// declareStates returns the storage of states by name, without memory, but with the place of each on a device that
// consists of several.
func declareStates(dev ops.Device, ts []tensor.Tensor) (map[string]tensor.Tensor, error) {
	states := map[string]tensor.Tensor{}
	for _, t := range ts {
		if dev.Caps().Place != nil {
			on, err := homeOf(dev, t)
			if err != nil {
				return nil, err
			}
			if t.Buf, err = on.Alloc(0, ops.MemState); err != nil {
				return nil, fmt.Errorf("runner: %w", err)
			}
		}
		states[t.Name] = t
	}
	return states, nil
}

// alloc makes the state tensors.
func (r *Runner) alloc(o Options) error {
	ts, sizes, err := stateTensors(r.spec, o, r.buckets)
	if err != nil {
		return err
	}
	for i, t := range ts {
		on, err := homeOf(r.dev, t)
		if err != nil {
			return err
		}
		if t.Buf, err = on.Alloc(sizes[i], ops.MemState); err != nil {
			return fmt.Errorf("runner: state %q: %w", t.Name, err)
		}
		r.states[t.Name] = t
	}
	return nil
}

// Limits returns the fixed capacities.
func (r *Runner) Limits() Limits { return r.limits }

// Open starts an empty sequence. It returns ErrNoSlot if Limits().Seqs are open.
func (r *Runner) Open() (SeqID, error) {
	if r.closed {
		return 0, ErrClosed
	}
	slot := r.take(0, r.limits.Seqs)
	if slot < 0 {
		return 0, ErrNoSlot
	}
	if err := r.zero(slot); err != nil {
		r.free(slot)
		return 0, err
	}
	return SeqID(slot), nil
}

// FreePages returns how many pages are free, by window in ascending order.
func (r *Runner) FreePages() []int {
	free := make([]int, len(r.pools))
	for i, p := range r.pools {
		free[i] = p.Free()
	}
	return free
}

// Len returns the number of tokens of an open sequence.
func (r *Runner) Len(id SeqID) int { return r.seqs[id].len }

// Release ends a sequence and frees its pages. Releasing a sequence that is not open does nothing.
func (r *Runner) Release(id SeqID) {
	if int(id) >= 0 && int(id) < r.limits.Seqs && r.seqs[id].open {
		r.free(int(id))
	}
}

// Close frees the state and the plans.
func (r *Runner) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	errs := []error{r.plans.close(), r.arena.Free(), r.stream.Close()}
	for _, t := range r.states {
		errs = append(errs, t.Buf.Free())
	}
	return errors.Join(errs...)
}

// Step appends the tokens of each work item to its sequence and returns, for each, the logits of its last Rows
// tokens, Rows·Vocab numbers. The slices stay valid until the next step. All sequences are one plan run. After
// an error that wraps neither ErrClosed nor a *ContextError the sequences of the step are undefined and must be
// released; a rejected step changes nothing.
func (r *Runner) Step(ctx context.Context, work []Work) ([][]float32, error) {
	p, err := r.begin(work, planKey{})
	if err != nil {
		return nil, err
	}
	logits, err := r.readRows(ctx, p, r.limits.Vocab, "logit")
	if err != nil {
		return nil, err
	}
	return r.split(work, logits, r.limits.Vocab), nil
}

// StepHidden is [Runner.Step] with the hidden states of the rows in place of their logits: for each work item Rows
// times Limits.Embd numbers, what the output matrix would multiply. No logits are computed.
func (r *Runner) StepHidden(ctx context.Context, work []Work) ([][]float32, error) {
	p, err := r.begin(work, planKey{hidden: true})
	if err != nil {
		return nil, err
	}
	states, err := r.readRows(ctx, p, r.limits.Embd, "hidden state")
	if err != nil {
		return nil, err
	}
	return r.split(work, states, r.limits.Embd), nil
}

// split ends a step, whose rows are of width numbers, and returns those of each work item.
func (r *Runner) split(work []Work, numbers []float32, width int) [][]float32 {
	r.rows = r.rows[:0]
	for _, w := range work {
		r.took(w)
		n := w.Rows * width
		r.rows, numbers = append(r.rows, numbers[:n:n]), numbers[n:]
	}
	return r.rows
}

// begin enqueues a step of a key that lacks its sizes, and returns its plan.
func (r *Runner) begin(work []Work, k planKey) (ops.Plan, error) {
	if r.closed {
		return nil, ErrClosed
	}
	r.last = nil
	if r.limits.Encoder && !k.hidden {
		return nil, ErrEncoder
	}
	if err := r.batch(work); err != nil {
		return nil, err
	}
	k.Sizes = r.index.Sizes()
	p, err := r.plan(k)
	if err != nil {
		return nil, err
	}
	for i := range work {
		r.seqs[work[i].Seq].dirty = true
	}
	if err := r.moveExperts(context.Background()); err != nil {
		return nil, err
	}
	return p, r.run(p)
}

// took adds the tokens of a step that is done to their sequence.
func (r *Runner) took(w Work) {
	s := &r.seqs[w.Seq]
	s.len += len(w.Tokens)
	s.recent = max(s.recent, s.len-kv.RecentTokens)
	r.trim(s)
}

// tableWidth returns the length of the page tables of a step, the longest of which has the given pages: a power of
// four, so that a growing sequence meets few plans, but no more than a context needs.
func tableWidth(pages, context int) int {
	return min(1<<((bits.Len(uint(pages-1))+1)&^1), models.Bucket(pagesFor(context)))
}

func pagesFor(tokens int) int { return (tokens + PageSize - 1) / PageSize }
