package runner

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// batch checks the work, takes the pages that it needs and lays out the index data.
func (r *Runner) batch(work []Work) error {
	r.steps++
	need := r.need
	clear(need)
	total, width, rewind := 0, 0, 0
	for _, w := range work {
		if int(w.Seq) < 0 || int(w.Seq) >= r.limits.Seqs || !r.seqs[w.Seq].open || r.seqs[w.Seq].step == r.steps {
			return fmt.Errorf("runner: sequence %d is not open or twice in the step", w.Seq)
		}
		s := &r.seqs[w.Seq]
		s.step = r.steps
		n := len(w.Tokens)
		if n == 0 || w.Rows < 0 || w.Rows > n {
			return fmt.Errorf("runner: sequence %d: %d rows wanted of %d tokens", w.Seq, w.Rows, n)
		}
		if w.Rewind < 0 || w.Rewind >= n || w.Rewind > r.limits.Rewinds {
			return fmt.Errorf("runner: sequence %d: %d of %d tokens are to be taken back, of which a step allows %d, and "+
				"all but the first", w.Seq, w.Rewind, n, r.limits.Rewinds)
		}
		rewind += w.Rewind
		if r.limits.Encoder && s.len > 0 {
			return fmt.Errorf("%w: sequence %d has %d tokens already", ErrEncoder, w.Seq, s.len)
		}
		if s.len+n > r.limits.Context {
			return &ContextError{s.len, n, r.limits.Context}
		}
		for i, id := range w.Tokens {
			if id < 0 || int(id) >= r.limits.Vocab {
				return fmt.Errorf("runner: sequence %d: token %d at %d is outside 0..%d", w.Seq, id,
					i, r.limits.Vocab-1)
			}
		}
		if err := w.checkTypes(r.limits.TokenTypes); err != nil {
			return err
		}
		if err := w.checkEmbeds(r.model.Params().Embd); err != nil {
			return err
		}
		total += n
		pages := pagesFor(s.len + n)
		for i, t := range s.tables {
			need[i] += max(0, pages-len(t.pages))
		}
		width = max(width, pages)
	}
	if total == 0 || total > r.limits.Batch {
		return fmt.Errorf("runner: %d tokens in a step of 1..%d", total, r.limits.Batch)
	}
	if rewind > r.limits.RewindTokens {
		return fmt.Errorf("runner: %d tokens are to be taken back, of which a step allows %d", rewind, r.limits.RewindTokens)
	}
	if err := r.enough(need); err != nil {
		return err
	}
	kept := 0
	if rewind > 0 && r.kept > 0 {
		kept = r.rewind // so that there are few plans
	}
	r.forget()
	r.index.Reset(r.windows, tableWidth(width, r.limits.Context), kept)
	r.wanted = 0
	for _, w := range work {
		s := &r.seqs[w.Seq]
		pages := pagesFor(s.len + len(w.Tokens))
		if err := r.grow(s, pages); err != nil {
			return err
		}
		r.tables = r.tables[:0]
		for _, t := range s.tables {
			r.tables = append(r.tables, t.pages[:pages])
		}
		if kept > 0 {
			r.keep(s, w.Rewind)
		}
		r.index.Add(models.Span{Tokens: w.Tokens, Pos: s.len, Slot: s.places[0], Kept: s.places[1:],
			Recent: int(w.Seq), Rows: w.Rows, Types: w.Types,
			Tables: r.tables, Embeds: w.Embeds, EmbedIDs: w.EmbedIDs})
		r.wanted += w.Rows
	}
	r.index.Fill()
	if r.buckets {
		r.index.Pad(len(r.seqs) + r.kept) // the spare slot is behind all others
	}
	return nil
}

// run enqueues the index data and the plan.
func (r *Runner) run(p ops.Plan) error {
	err := r.index.Upload(r.stream, p)
	if err == nil {
		err = r.stream.Run(p)
	}
	if err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	return nil
}

// download returns the first n bytes of each of the first outputs of a plan, one behind the other, when all that was
// enqueued is done. They are valid until the next call.
func (r *Runner) download(ctx context.Context, p ops.Plan, outputs, n int) ([]byte, error) {
	r.raw = slices.Grow(r.raw[:0], outputs*n)[:outputs*n]
	for i := range outputs {
		if n == 0 {
			break
		}
		if err := r.stream.Download(r.raw[i*n:(i+1)*n], p.Output(i)); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
	}
	if err := r.stream.Sync(ctx); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	return r.raw, nil
}

// readRows returns the wanted rows of width numbers that a plan computes, valid until the next call. what names
// a number in errors.
func (r *Runner) readRows(ctx context.Context, p ops.Plan, width int, what string) ([]float32, error) {
	n := r.wanted * width
	raw, err := r.download(ctx, p, 1, 4*n)
	if err != nil {
		return nil, err
	}
	r.numbers = slices.Grow(r.numbers[:0], n)[:n]
	if i := decode(r.numbers, raw); i >= 0 {
		return nil, broken(what, i/width, i%width, r.numbers[i])
	}
	return r.numbers, nil
}

// broken reports a number that is not finite.
func broken(what string, row, i int, x float32) error {
	return fmt.Errorf("runner: %s %d of row %d is %v: the model or a kernel is broken", what, i, row, x)
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
