package eval_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/models/eval"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/text/tokenizer"
)

const text = `The river runs from the hills to the sea. In spring it is high and loud, and in summer a child can walk through it.
A computer adds numbers fast, but it does not know why. People who build computers have to say what they mean.
What is the capital of France? The capital of France is Paris. What is two plus three? Two plus three is five.`

func emberFile(t *testing.T) *gguf.File {
	t.Helper()
	f, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// open loads a model for one sequence with steps of at most batch tokens.
func open(t *testing.T, f *gguf.File, dev ops.Device, batch int) *runner.Runner {
	t.Helper()
	m, err := models.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	w, err := models.LoadWeights(t.Context(), m, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(dev, m, w, runner.Options{Context: 64, Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Free() })
	return r
}

func cpu() ops.Device { return opsref.New(opsref.Options{Name: "cpu", Threads: 1}) }

func tokens(t *testing.T, f *gguf.File) []int32 {
	t.Helper()
	v, err := tokenizer.FromGGUF(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode(text, tokenizer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most of the text to make long")
		ids = ids[:40]
	}
	return ids
}

// rows returns the logits of every position of a chunk, in one step.
func rows(t *testing.T, r *runner.Runner, chunk []int32) []float32 {
	t.Helper()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(id)
	rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: chunk, Rows: len(chunk)}})
	if err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), rows[0]...)
}

func TestChunks(t *testing.T) {
	ids := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	got, err := eval.Chunks(ids, 4, 77)
	if err != nil || len(got) != 2 || got[0][0] != 77 || got[1][0] != 77 || got[1][3] != 8 || ids[0] != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, c := range []struct {
		name, want string
		n          int
	}{{"short text", "9 tokens", 10}, {"short chunk", "at least 4", 3}} {
		if _, err := eval.Chunks(ids, c.n, -1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestPerplexity computes the definition from the logits of whole chunks, with a softmax that is written out.
func TestPerplexity(t *testing.T) {
	f := emberFile(t)
	ids := tokens(t, f)
	for n, batches := range map[int][]int{16: {512, 1}, 33: {5}} {
		chunks, err := eval.Chunks(ids, n, -1)
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, f, cpu(), 512)
		vocab := r.Limits().Vocab
		var sum float64
		count := 0
		for _, c := range chunks {
			x := rows(t, r, c)
			for p := n / 2; p < n-1; p++ {
				var z float64
				for _, v := range x[p*vocab:][:vocab] {
					z += math.Exp(float64(v))
				}
				sum -= math.Log(math.Exp(float64(x[p*vocab+int(c[p+1])])) / z)
				count++
			}
		}
		want := math.Exp(sum / float64(count))
		for _, batch := range batches {
			calls := 0
			s, err := eval.Perplexity(t.Context(), open(t, f, cpu(), batch), chunks, func(int, eval.Score) { calls++ })
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("chunk %d, batch %d: %.6f ± %.6f, want %.6f", n, batch, s.Perplexity(), s.Err(), want)
			// Float32 sums in another order move a logit by about 1e-5.
			if s.NLL.N != count || count != eval.Scored(n)*len(chunks) || calls != len(chunks) ||
				!(math.Abs(math.Log(s.Perplexity()/want)) < 1e-4) {
				t.Errorf("chunk %d, batch %d: perplexity %v of %d tokens in %d calls, want %v of %d", n, batch,
					s.Perplexity(), s.NLL.N, calls, want, count)
			}
		}
	}
}

func TestCompareSelf(t *testing.T) {
	f := emberFile(t)
	chunks, err := eval.Chunks(tokens(t, f), 32, -1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := eval.Compare(t.Context(), open(t, f, cpu(), 512), open(t, f, cpu(), 512), chunks, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.KL().Value() != 0 || c.Top1().Value() != 1 || c.RMSDeltaP() != 0 ||
		len(c.Tokens) != eval.Scored(32)*len(chunks) {
		t.Errorf("a model against itself: KL %v, top-1 %v, RMS %v over %d tokens", c.KL(), c.Top1(), c.RMSDeltaP(),
			len(c.Tokens))
	}
}

// TestCompare checks the divergences of a smaller Ember computed from the logits of whole chunks.
func TestCompare(t *testing.T) {
	base := emberFile(t)
	small, err := gguf.Open(testfiles.Path(t, "builtin-model/ember-Q4_K_M.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	chunks, err := eval.Chunks(tokens(t, base), 32, -1)
	if err != nil {
		t.Fatal(err)
	}
	a, b := open(t, base, cpu(), 512), open(t, small, cpu(), 512)
	c, err := eval.Compare(t.Context(), a, b, chunks, nil)
	if err != nil {
		t.Fatal(err)
	}
	vocab := a.Limits().Vocab
	for i, tok := range c.Tokens {
		chunk := chunks[tok.Chunk]
		if i == 0 || c.Tokens[i-1].Chunk != tok.Chunk {
			x, y := rows(t, a, chunk), rows(t, b, chunk)
			for j := 0; j < eval.Scored(32); j++ {
				p := 16 + j
				want := logits.KL(x[p*vocab:][:vocab], y[p*vocab:][:vocab])
				if got := c.Tokens[i+j]; got.At != p+1 || !(math.Abs(got.KL-want) <= 1e-4*want+1e-9) {
					t.Errorf("chunk %d, token %d (want %d): KL %v, want %v", got.Chunk, got.At, p+1, got.KL, want)
				}
			}
		}
	}
	q := c.Quantiles(0, 0.5, 1)
	if w := c.Worst(3); len(w) != 3 || w[0].KL != q[2] || w[0].KL < w[1].KL ||
		!(q[0] > 0 && q[0] <= q[1] && q[1] <= q[2]) {
		t.Errorf("worst %v, quantiles %v", w, q)
	}
	sb, sm := c.Scores()
	t.Logf("KL %.4g, top-1 %.3f, perplexity %.4f → %.4f", c.KL().Value(), c.Top1().Value(), sb.Perplexity(),
		sm.Perplexity())
	want, err := eval.Perplexity(t.Context(), b, chunks, nil)
	if err != nil || math.Abs(want.NLL.Value()-sm.NLL.Value()) > 1e-4 {
		t.Errorf("perplexity %v, alone %v (%v)", sm.Perplexity(), want.Perplexity(), err)
	}
}
