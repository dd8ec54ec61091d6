package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Options configure a Runner. The zero value takes the model's context for one sequence.
type Options struct {
	Context int // tokens per sequence; 0: as the model was made for
	Seqs    int // sequences open at once; 0: 1
	Batch   int // tokens per step; 0: 512

	// Pages is the size of the KV cache in pages; 0: enough for Seqs sequences of Context tokens.
	Pages int

	KVType    tensor.DType // of keys and values; Invalid: F32
	StateType tensor.DType // of recurrent state; Invalid: F32

	// Reserved bytes of what is free on the device belong to others: PlanMemory leaves them out.
	Reserved int64
}

// PageSize is the number of tokens in a page of the KV cache.
const PageSize = 32

// Errors that callers branch on.
var (
	ErrNoSlot = errors.New("runner: all sequences are in use")
	ErrClosed = errors.New("runner: closed")
)

// ContextError reports a step that would make a sequence longer than the context.
type ContextError struct{ Len, Add, Context int }

func (e *ContextError) Error() string {
	return fmt.Sprintf("runner: %d tokens after %d exceed the context of %d", e.Add, e.Len, e.Context)
}

// Runner runs steps of one model on one device. It belongs to one goroutine at a time.
type Runner struct {
	model   models.Model
	weights models.Weights
	dev     ops.Device
	stream  ops.Stream
	limits  Limits

	seqs   []sequence // by slot
	pages  *kv.Pool
	states map[string]tensor.Tensor
	spec   kv.Spec
	plans  planCache

	buckets bool // the device wants sizes padded
	closed  bool

	// Memory of a step that the next one uses again.
	steps  uint64
	index  batch
	raw    []byte
	logits []float32
	rows   [][]float32
}

// sequence is what the runner knows about one open sequence.
type sequence struct {
	open  bool
	dirty bool    // its recurrent state may not be zero
	len   int     // tokens
	pages []int32 // page table
	step  uint64  // number of the last step that had it
}

// New allocates the state of sequences and returns a runner. weights stay the caller's; Close frees the rest.
func New(dev ops.Device, m models.Model, w models.Weights, o Options) (*Runner, error) {
	p := m.Params()
	o, err := o.with(p)
	if err != nil {
		return nil, err
	}
	s, err := dev.Stream()
	if err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	r := &Runner{model: m, weights: w, dev: dev, stream: s, spec: m.State(), states: map[string]tensor.Tensor{},
		limits: Limits{Vocab: p.Vocab, Context: o.Context, Seqs: o.Seqs, Batch: o.Batch},
		seqs:   make([]sequence, o.Seqs), pages: kv.NewPool(o.Pages), buckets: dev.Info().Buckets}
	if err := r.alloc(o); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// with returns o with the defaults for a model, or an error if it is outside of what the model or a Runner can do.
func (o Options) with(p models.Hparams) (Options, error) {
	if o.Context == 0 {
		o.Context = p.Context
	}
	if o.Seqs == 0 {
		o.Seqs = 1
	}
	if o.Batch == 0 {
		o.Batch = 512
	}
	if o.KVType == tensor.Invalid {
		o.KVType = tensor.F32
	}
	if o.StateType == tensor.Invalid {
		o.StateType = tensor.F32
	}
	if o.Context < 1 || o.Context > p.Context {
		return o, fmt.Errorf("runner: context of %d tokens is outside 1..%d, what the model was made for", o.Context, p.Context)
	}
	if o.Seqs < 1 || o.Seqs > 1<<16 || o.Batch < 1 || o.Batch > 1<<20 {
		return o, fmt.Errorf("runner: %d sequences with %d tokens per step are outside the limits 1..%d and 1..%d", o.Seqs, o.Batch, 1<<16, 1<<20)
	}
	perSeq := pagesFor(o.Context)
	if o.Pages == 0 {
		o.Pages = perSeq * o.Seqs
	}
	if o.Pages < perSeq {
		return o, fmt.Errorf("runner: %d pages of %d tokens do not hold one context of %d", o.Pages, PageSize, o.Context)
	}
	return o, nil
}

// stateTensors returns the tensors of a model's state, without memory, and their sizes in bytes. o has its defaults.
// A device that wants sizes padded gets a slot for the sequences that pad a step.
func stateTensors(spec kv.Spec, o Options, buckets bool) (ts []tensor.Tensor, sizes []int64, err error) {
	add := func(name string, dt tensor.DType, shape tensor.Shape) {
		n, serr := tensor.Bytes(dt, shape)
		if serr != nil && err == nil {
			err = fmt.Errorf("runner: state %q: %w", name, serr)
		}
		ts, sizes = append(ts, tensor.Tensor{Name: name, DType: dt, Shape: shape}), append(sizes, n)
	}
	for _, p := range spec.Paged {
		add(p.Name, o.KVType, tensor.Shape{o.Pages, PageSize, p.Heads, p.Dim})
	}
	slots := o.Seqs
	if buckets {
		slots++
	}
	for _, t := range spec.Slots {
		add(t.Name, o.StateType, append(tensor.Shape{slots}, t.Shape...))
	}
	return ts, sizes, err
}

// alloc makes the state tensors.
func (r *Runner) alloc(o Options) error {
	ts, sizes, err := stateTensors(r.spec, o, r.buckets)
	if err != nil {
		return err
	}
	for i, t := range ts {
		if t.Buf, err = r.dev.Alloc(sizes[i], ops.MemState); err != nil {
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
	for i := range r.seqs {
		s := &r.seqs[i]
		if s.open {
			continue
		}
		if s.dirty {
			if err := r.zero(i); err != nil {
				return 0, err
			}
		}
		*s = sequence{open: true}
		return SeqID(i), nil
	}
	return 0, ErrNoSlot
}

// zero clears the recurrent state of a slot.
func (r *Runner) zero(slot int) error {
	for _, spec := range r.spec.Slots {
		t, n := r.slot(spec.Name, slot)
		if err := r.stream.Upload(t, make([]byte, n)); err != nil {
			return fmt.Errorf("runner: clearing %q: %w", spec.Name, err)
		}
	}
	return nil
}

// slot returns the part of a state tensor that belongs to one sequence, and its size in bytes.
func (r *Runner) slot(name string, i int) (tensor.Tensor, int64) {
	t := r.states[name]
	t.Shape = t.Shape[1:]
	n, _ := tensor.Bytes(t.DType, t.Shape) // alloc checked the whole
	t.Off = int64(i) * n
	return t, n
}

// Len returns the number of tokens of an open sequence.
func (r *Runner) Len(id SeqID) int { return r.seqs[id].len }

// Release ends a sequence and frees its pages. Releasing a sequence that is not open does nothing.
func (r *Runner) Release(id SeqID) {
	if int(id) < 0 || int(id) >= len(r.seqs) || !r.seqs[id].open {
		return
	}
	s := &r.seqs[id]
	r.pages.Return(s.pages)
	*s = sequence{dirty: s.dirty}
}

// Close frees the state and the plans.
func (r *Runner) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	errs := []error{r.plans.close(), r.stream.Close()}
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
	if r.closed {
		return nil, ErrClosed
	}
	b, err := r.batch(work)
	if err != nil {
		return nil, err
	}
	p, err := r.plan(b.key())
	if err != nil {
		return nil, err
	}
	for i := range work {
		r.seqs[work[i].Seq].dirty = true
	}
	logits, err := r.run(ctx, p, b)
	if err != nil {
		return nil, err
	}
	r.rows = r.rows[:0]
	for _, w := range work {
		r.seqs[w.Seq].len += len(w.Tokens)
		n := w.Rows * r.limits.Vocab
		r.rows, logits = append(r.rows, logits[:n:n]), logits[n:]
	}
	return r.rows, nil
}

func pagesFor(tokens int) int { return (tokens + PageSize - 1) / PageSize }
