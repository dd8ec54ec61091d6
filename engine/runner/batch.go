package runner

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// shape is what a plan depends on: the sizes of a step's index data.
type shape struct{ tokens, seqs, pages, rows int }

// batch is the index data of one step, in the layout of models.Batch.
type batch struct {
	tokens, pos, seq, starts, slots, rows []int32
	pages                                 []int32 // [seqs, width]
	width                                 int
	wanted                                int // rows whose logits the caller gets; others are padding
}

// reset empties b and keeps its memory.
func (b *batch) reset() {
	for _, x := range []*[]int32{&b.tokens, &b.pos, &b.seq, &b.starts, &b.slots, &b.rows, &b.pages} {
		*x = (*x)[:0]
	}
	b.starts = append(b.starts, 0)
	b.width = 0
}

func (b *batch) key() shape { return shape{len(b.tokens), len(b.slots), b.width, len(b.rows)} }

// batch checks the work, takes the pages that it needs and lays out the index data, which is valid until the next
// call.
func (r *Runner) batch(work []Work) (*batch, error) {
	b := &r.index
	b.reset()
	r.steps++
	need, total := 0, 0
	for _, w := range work {
		if int(w.Seq) < 0 || int(w.Seq) >= len(r.seqs) || !r.seqs[w.Seq].open || r.seqs[w.Seq].step == r.steps {
			return nil, fmt.Errorf("runner: sequence %d is not open or twice in the step", w.Seq)
		}
		s := &r.seqs[w.Seq]
		s.step = r.steps
		n := len(w.Tokens)
		if n == 0 || w.Rows < 0 || w.Rows > n {
			return nil, fmt.Errorf("runner: sequence %d: %d rows wanted of %d tokens", w.Seq, w.Rows, n)
		}
		if s.len+n > r.limits.Context {
			return nil, &ContextError{s.len, n, r.limits.Context}
		}
		for i, id := range w.Tokens {
			if id < 0 || int(id) >= r.limits.Vocab {
				return nil, fmt.Errorf("runner: sequence %d: token %d at %d is outside 0..%d", w.Seq, id, i, r.limits.Vocab-1)
			}
		}
		total += n
		need += pagesFor(s.len+n) - len(s.pages)
		b.width = max(b.width, pagesFor(s.len+n))
	}
	if total == 0 || total > r.limits.Batch {
		return nil, fmt.Errorf("runner: %d tokens in a step of 1..%d", total, r.limits.Batch)
	}
	if need > r.pages.Free() {
		_, err := r.pages.Take(nil, need) // says how many are missing
		return nil, fmt.Errorf("runner: %w", err)
	}
	// Page tables grow by powers of two, so that a growing sequence needs few plans.
	b.width = bucket(b.width)
	for i, w := range work {
		s := &r.seqs[w.Seq]
		var err error
		if s.pages, err = r.pages.Take(s.pages, pagesFor(s.len+len(w.Tokens))-len(s.pages)); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
		for t := range w.Tokens {
			b.pos = append(b.pos, int32(s.len+t))
			b.seq = append(b.seq, int32(i))
		}
		b.tokens = append(b.tokens, w.Tokens...)
		for j := range w.Rows {
			b.rows = append(b.rows, int32(len(b.tokens)-w.Rows+j))
		}
		b.starts = append(b.starts, int32(len(b.tokens)))
		b.slots = append(b.slots, int32(w.Seq))
		b.pages = append(b.pages, s.pages...)
		b.pages = zeros(b.pages, b.width-len(s.pages))
	}
	b.wanted = len(b.rows)
	if b.wanted == 0 {
		b.rows = append(b.rows, 0) // a graph computes at least one row
	}
	if r.buckets {
		b.pad(int32(r.limits.Seqs))
	}
	return b, nil
}

// pad rounds all sizes up to powers of two, so that a device that replays captured plans needs few of them. Padding
// tokens belong to no sequence; padding sequences have no tokens and the spare slot.
func (b *batch) pad(spare int32) {
	end := int32(len(b.tokens))
	for range bucket(len(b.tokens)) - len(b.tokens) {
		b.tokens, b.pos, b.seq = append(b.tokens, 0), append(b.pos, 0), append(b.seq, -1)
	}
	for range bucket(len(b.slots)) - len(b.slots) {
		b.starts, b.slots = append(b.starts, end), append(b.slots, spare)
		b.pages = zeros(b.pages, b.width)
	}
	b.rows = zeros(b.rows, bucket(len(b.rows))-len(b.rows))
}

// zeros appends n zeros to x.
func zeros(x []int32, n int) []int32 {
	x = slices.Grow(x, n)[:len(x)+n]
	clear(x[len(x)-n:])
	return x
}

// bucket returns the least power of two that is at least n.
func bucket(n int) int { return 1 << bits.Len(uint(n-1)) }

// plan returns the compiled step of the given sizes.
func (r *Runner) plan(k shape) (ops.Plan, error) {
	if p := r.plans.get(k); p != nil {
		return p, nil
	}
	g, logits, err := record(r.model, r.weights, r.states, r.limits.Context, k)
	if err != nil {
		return nil, err
	}
	p, err := r.dev.Compile(g, logits)
	if errors.Is(err, ops.ErrOutOfMemory) && len(r.plans.order) > 0 {
		// Plans for other sizes can be compiled again when they are needed.
		if err = r.plans.close(); err == nil {
			p, err = r.dev.Compile(g, logits)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("runner: compiling %s for %d tokens: %w", r.model.Params().Arch, k.tokens, err)
	}
	return p, r.plans.put(k, p)
}

// record records a step of the given sizes.
func record(m models.Model, w models.Weights, states map[string]tensor.Tensor, context int, k shape) (*ops.Graph, ops.Value, error) {
	g := &ops.Graph{}
	logits := m.Build(g, w, models.Batch{
		Tokens: g.Input("tokens", tensor.I32, k.tokens),
		Pos:    g.Input("pos", tensor.I32, k.tokens),
		Seq:    g.Input("seq", tensor.I32, k.tokens),
		Pages:  g.Input("pages", tensor.I32, k.seqs, k.pages),
		Starts: g.Input("starts", tensor.I32, k.seqs+1),
		Slots:  g.Input("slots", tensor.I32, k.seqs),
		Rows:   g.Input("rows", tensor.I32, k.rows),
		States: states, Context: context,
	})
	if err := g.Err(); err != nil {
		return nil, logits, fmt.Errorf("runner: recording %s: %w", m.Params().Arch, err)
	}
	return g, logits, nil
}

// run uploads the index data, runs the plan and returns the logits of all rows, valid until the next call.
func (r *Runner) run(ctx context.Context, p ops.Plan, b *batch) ([]float32, error) {
	for _, in := range []struct {
		name string
		data []int32
	}{{"tokens", b.tokens}, {"pos", b.pos}, {"seq", b.seq}, {"pages", b.pages}, {"starts", b.starts}, {"slots", b.slots}, {"rows", b.rows}} {
		t, ok := p.Input(in.name)
		if !ok {
			continue // the model does not use it
		}
		r.raw = r.raw[:0]
		for _, v := range in.data {
			r.raw = binary.LittleEndian.AppendUint32(r.raw, uint32(v))
		}
		if err := r.stream.Upload(t, r.raw); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
	}
	if err := r.stream.Run(p); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	n := b.wanted * r.limits.Vocab
	r.raw = slices.Grow(r.raw[:0], 4*n)[:4*n]
	if n > 0 {
		if err := r.stream.Download(r.raw, p.Output(0)); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
	}
	if err := r.stream.Sync(ctx); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	r.logits = slices.Grow(r.logits[:0], n)[:n]
	if i := decode(r.logits, r.raw); i >= 0 {
		return nil, fmt.Errorf("runner: logit %d of row %d is %v: the model or a kernel is broken", i%r.limits.Vocab, i/r.limits.Vocab, r.logits[i])
	}
	return r.logits, nil
}

// decode reads little-endian numbers and returns the index of the first that is NaN or infinite, or -1. A batch has
// millions of them, so it takes four at a time.
func decode(dst []float32, raw []byte) int {
	for at := 0; at < len(dst); at += 4 {
		n := min(4, len(dst)-at)
		if n == 4 {
			d, b := dst[at:at+4:at+4], raw[4*at:4*at+16]
			x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			d[0], d[1] = math.Float32frombits(uint32(x)), math.Float32frombits(uint32(x>>32))
			d[2], d[3] = math.Float32frombits(uint32(y)), math.Float32frombits(uint32(y>>32))
			if sum := (d[0] + d[1]) + (d[2] + d[3]); sum-sum == 0 {
				continue // a sum with NaN or an infinity is not finite
			}
		}
		for i := at; i < at+n; i++ {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if f := dst[i]; f-f != 0 {
				return i
			}
		}
	}
	return -1
}

// planCache keeps the most recently used plans.
type planCache struct {
	order []cachedPlan // oldest first
}

type cachedPlan struct {
	key  shape
	plan ops.Plan
}

// maxPlans bounds the memory of plans: prompts of many lengths would otherwise each leave one behind.
const maxPlans = 16

func (c *planCache) get(k shape) ops.Plan {
	for i, e := range c.order {
		if e.key == k {
			copy(c.order[i:], c.order[i+1:])
			c.order[len(c.order)-1] = e
			return e.plan
		}
	}
	return nil
}

func (c *planCache) put(k shape, p ops.Plan) error {
	c.order = append(c.order, cachedPlan{k, p})
	if len(c.order) <= maxPlans {
		return nil
	}
	old := c.order[0]
	c.order = append(c.order[:0], c.order[1:]...)
	if err := old.plan.Close(); err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	return nil
}

func (c *planCache) close() error {
	for _, e := range c.order {
		if err := e.plan.Close(); err != nil {
			return err
		}
	}
	c.order = nil
	return nil
}
