package eval

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/hipengine/hipengine/engine/runner"
)

// MinChunk is the shortest chunk in tokens: its second half must predict something.
const MinChunk = 4

// Chunks cuts tokens into chunks of n tokens; a rest that fills none is left out. If bos is not negative it takes the
// place of the first token of each chunk, as models that begin every text with it expect. tokens stays as it is. The
// error says how many tokens would be enough.
func Chunks(tokens []int32, n int, bos int32) ([][]int32, error) {
	if n < MinChunk {
		return nil, fmt.Errorf("eval: chunks of %d tokens; at least %d are needed", n, MinChunk)
	}
	if len(tokens) < n {
		return nil, fmt.Errorf("eval: the text has %d tokens, a chunk %d: take a longer text or shorter chunks",
			len(tokens), n)
	}
	var chunks [][]int32
	for ; len(tokens) >= n; tokens = tokens[n:] {
		c := append([]int32(nil), tokens[:n]...)
		if bos >= 0 {
			c[0] = bos
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

// Scored returns how many predictions of a chunk of n tokens count: those of tokens n/2+1 to n-1.
func Scored(n int) int { return n - 1 - n/2 }

// maxLogits bounds the logits, in numbers, that a step returns: 64 MB.
const maxLogits = 1 << 24

// read feeds a chunk to each of the runners from an empty context and calls visit for the predictions that count, a
// few at a time: of tokens at, at+1 and so on, with the logits of each runner, row after row. Slices are valid during
// the call.
func read(ctx context.Context, rs []*runner.Runner, chunk []int32,
	visit func(at int, logits [][]float32) error) error {
	ids := make([]runner.SeqID, len(rs))
	step, rows := len(chunk), len(chunk)
	for i, r := range rs {
		l := r.Limits()
		step, rows = min(step, l.Batch), min(rows, max(1, maxLogits/l.Vocab))
		id, err := r.Open()
		if err != nil {
			return err
		}
		defer r.Release(id)
		ids[i] = id
	}
	first, last := len(chunk)/2, len(chunk)-1 // positions whose logits count: first <= p < last
	logits := make([][]float32, len(rs))
	for pos := 0; pos < last; {
		end := min(pos+step, last)
		if end > first { // some of these rows count, and their number is bounded
			end = min(end, max(pos, first)+rows)
		}
		n := max(0, end-max(pos, first))
		for i, r := range rs {
			out, err := r.Step(ctx, []runner.Work{{Seq: ids[i], Tokens: chunk[pos:end], Rows: n}})
			if err != nil {
				return err
			}
			logits[i] = out[0]
		}
		if n > 0 {
			if err := visit(end-n+1, logits); err != nil {
				return err
			}
		}
		pos = end
	}
	return nil
}

// parallel calls f for 0..n-1 from as many goroutines as there are processors.
func parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
