package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// start runs an engine in the test's bubble and checks at the end that every slot was given back.
func start(t *testing.T, r *fake.Runner, change func(*engine.Config)) *engine.Engine {
	t.Helper()
	c := engine.Config{Runner: r, EOG: func(id int32) bool { return id == fake.EOG }}
	if change != nil {
		change(&c)
	}
	e, err := engine.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := r.OpenSeqs(); n != 0 {
			t.Errorf("%d sequences were left open", n)
		}
		if n := r.OpenCheckpoints(); n != 0 {
			t.Errorf("%d checkpoints were left", n)
		}
		if s := e.Stats(); s.Running != 0 || s.Waiting != 0 {
			t.Errorf("stats after Close: %+v", s)
		}
	})
	return e
}

func request(prompt string, n int) engine.Request {
	return engine.Request{
		Prompt: fake.Tokenizer{}.Encode(prompt), MaxTokens: n, Decoder: fake.Tokenizer{}.NewStream(false),
	}
}

func submit(t *testing.T, e *engine.Engine, r engine.Request) *engine.Sequence {
	t.Helper()
	s, err := e.Submit(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read returns the text of a sequence, its tokens, and its error.
func read(s *engine.Sequence) (text string, tokens []engine.Token, err error) {
	for t, err := range s.Tokens() {
		if err != nil {
			return text, tokens, err
		}
		text += t.Text
		tokens = append(tokens, t)
	}
	return text, tokens, nil
}

func bubble(name string, t *testing.T, f func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestFinish(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		max         int
		stop        []string
		ignoreEOG   bool
		want        string
		tokens      int
		finish      engine.FinishReason
	}{
		{"end of generation", "hello", 0, nil, false, "hello", 6, engine.FinishStop},
		{"length", "hello", 3, nil, false, "hel", 3, engine.FinishLength},
		{"length at the end-of-generation token", "hello", 6, nil, false, "hello", 6, engine.FinishStop},
		{"stop string over tokens", "one two three", 0, []string{"two"}, false, "one ", 7, engine.FinishStop},
		{"stop string at the length", "one two", 7, []string{"two"}, false, "one ", 7, engine.FinishStop},
		{"held back text comes at the end", "one tw", 0, []string{"two"}, false, "one tw", 7, engine.FinishStop},
		{"held back text comes at the length", "one two", 6, []string{"two"}, false, "one tw", 6, engine.FinishLength},
		{"incomplete character at the length", "aö", 2, nil, false, "a\uFFFD", 2, engine.FinishLength},
		{"incomplete character completes a stop", "aö", 2, []string{"a\uFFFD"}, false, "", 2, engine.FinishStop},
		{"end of generation ignored", "hi", 5, nil, true, "hi", 5, engine.FinishLength},
	} {
		bubble(c.name, t, func(t *testing.T) {
			e := start(t, &fake.Runner{Reply: c.reply}, nil)
			r := request("prompt", c.max)
			r.Stop, r.IgnoreEOG = c.stop, c.ignoreEOG
			text, tokens, err := read(submit(t, e, r))
			if err != nil || text != c.want || len(tokens) != c.tokens {
				t.Fatalf("%q in %d tokens, error %v, want %q in %d", text, len(tokens), err, c.want, c.tokens)
			}
			for i, tok := range tokens {
				want := engine.FinishNone
				if i == len(tokens)-1 {
					want = c.finish
				}
				if tok.Finish != want {
					t.Errorf("token %d finishes %q, want %q", i, tok.Finish, want)
				}
			}
		})
	}
}

// TestSchedulingDoesNotChangeTokens compares sequences that run alone with the same ones under several loads.
func TestSchedulingDoesNotChangeTokens(t *testing.T) {
	const n = 12
	make := func(i int) engine.Request {
		r := request(strings.Repeat(fmt.Sprintf("prompt %d ", i), 1+i), 20+i)
		r.Sampling = sample.Defaults()
		r.Sampling.Seed = uint64(i)
		r.Sampling.RepeatPenalty = 1.1
		return r
	}
	var want [n]string
	bubble("alone", t, func(t *testing.T) {
		e := start(t, &fake.Runner{Lim: runner.Limits{Seqs: 1, Batch: 1000}}, nil)
		for i := range want {
			var err error
			if want[i], _, err = read(submit(t, e, make(i))); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, lim := range []runner.Limits{{Seqs: 12, Batch: 64}, {Seqs: 3, Batch: 7}, {Seqs: 5, Batch: 2},
		{Seqs: 1, Batch: 1}} {
		bubble(fmt.Sprintf("%d slots, batch %d", lim.Seqs, lim.Batch), t, func(t *testing.T) {
			e := start(t, &fake.Runner{Lim: lim}, nil)
			var seqs [n]*engine.Sequence
			for i := range seqs {
				seqs[i] = submit(t, e, make(i))
			}
			for i, s := range seqs {
				if got, _, err := read(s); err != nil || got != want[i] {
					t.Errorf("sequence %d: %q, %v, want %q", i, got, err, want[i])
				}
			}
		})
	}
}

func TestStepsMixPrefillAndDecode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 2, Batch: 8}, Gate: make(chan struct{})}
		e := start(t, r, nil)
		a := submit(t, e, request("abc", 10))
		r.Gate <- struct{}{}
		synctest.Wait()
		b := submit(t, e, request(strings.Repeat("b", 20), 2))
		go func() {
			for range 9 {
				r.Gate <- struct{}{}
			}
		}()
		for _, s := range []*engine.Sequence{a, b} {
			if _, _, err := read(s); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, step := range r.Steps() {
			line := ""
			for _, w := range step {
				line += fmt.Sprintf("%d:%d/%d ", w.Seq, len(w.Tokens), w.Rows)
			}
			got = append(got, strings.TrimSpace(line))
		}
		// The gate is taken once the second step is under way, so b joins in the third.
		want := []string{"0:3/1", "0:1/1", "0:1/1 1:7/0", "0:1/1 1:7/0", "0:1/1 1:6/1", "0:1/1 1:1/1", "0:1/1",
			"0:1/1", "0:1/1", "0:1/1"}
		if !slices.Equal(got, want) {
			t.Errorf("steps\n%q, want\n%q", got, want)
		}
		s := e.Stats()
		if s.PromptTokens != 23 || s.GeneratedTokens != 12 || s.Steps != 10 || s.StepTokens != 33 || s.Length != 2 ||
			s.StepSequences != 14 || s.Longest != 21 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestSubmitErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Lim: runner.Limits{Context: 10}}, nil)
		for _, c := range []struct {
			name  string
			r     engine.Request
			limit *engine.ContextLengthError // nil: ErrBadRequest
			say   string
		}{
			{"empty prompt", request("", 1), nil, "empty"},
			{"prompt as long as the context", request("0123456789", 0),
				&engine.ContextLengthError{Prompt: 10, Limit: 10}, "10"},
			{"negative max_tokens", request("0", -1), nil, "negative"},
			{"token beyond the vocabulary", engine.Request{Prompt: []int32{1, fake.Vocab}}, nil, "index 1"},
			{"negative token", engine.Request{Prompt: []int32{-1}}, nil, "token -1"},
			{"bad sampling", engine.Request{Prompt: []int32{1}, Sampling: sample.Params{TopP: 2}}, nil, "top_p"},
			{"stop without decoder", engine.Request{Prompt: []int32{1}, Stop: []string{"x"}}, nil, "decoder"},
		} {
			_, err := e.Submit(context.Background(), c.r)
			var length *engine.ContextLengthError
			switch {
			case err == nil || !strings.Contains(err.Error(), c.say):
				t.Errorf("%s: error %v, want one that says %q", c.name, err, c.say)
			case c.limit == nil && !errors.Is(err, engine.ErrBadRequest):
				t.Errorf("%s: error %v does not wrap ErrBadRequest", c.name, err)
			case c.limit != nil && (!errors.As(err, &length) || *length != *c.limit):
				t.Errorf("%s: error %#v, want %#v", c.name, err, c.limit)
			}
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		cause := errors.New("gone")
		cancel(cause)
		if _, err := e.Submit(ctx, request("a", 1)); err != cause {
			t.Errorf("cancelled context: error %v, want its cause", err)
		}
	})
}

// TestMaxTokensBeyondTheContext: whoever asks for more than there is room for gets what there is room for.
func TestMaxTokensBeyondTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Lim: runner.Limits{Context: 10}}, nil)
		for _, n := range []int{0, 2, 3, math.MaxInt} {
			tokens, last := 0, engine.Token{}
			for tok, err := range submit(t, e, request("01234567", n)).Tokens() {
				if err != nil {
					t.Fatal(err)
				}
				tokens, last = tokens+1, tok
			}
			if tokens != 2 || last.Finish != engine.FinishLength {
				t.Errorf("max tokens %d: %d tokens, finished by %q", n, tokens, last.Finish)
			}
		}
	})
}

// reading notes what an observer is told of a prompt.
type reading struct {
	engine.Observer
	read []int
	drew bool
	t    *testing.T
}

func (r *reading) Started() {}
func (r *reading) Drew()    { r.drew = true }
func (r *reading) Ended()   {}
func (r *reading) Read(n int) {
	if r.read = append(r.read, n); r.drew {
		r.t.Errorf("read %d tokens of the prompt behind the first token", n)
	}
}

func TestPromptObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fake.Runner{Reply: "abc", Lim: runner.Limits{Batch: 20}, Checkpoints: 4}
		e := start(t, r, func(c *engine.Config) { c.Checkpoints = 4 })
		prompt := strings.Repeat("0123456789", 5)
		for _, c := range []struct{ prompt, want string }{
			{prompt, "[0 20 32 50]"}, {prompt + "abx", "[52 53]"}, // what the first left is kept
		} {
			r := &reading{t: t}
			req := request(c.prompt, 3)
			req.Observer = r
			for _, err := range submit(t, e, req).Tokens() {
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := fmt.Sprint(r.read); got != c.want {
				t.Errorf("%s: read %s, want %s", c.prompt, got, c.want)
			}
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 1}, Gate: make(chan struct{})}
		e := start(t, r, func(c *engine.Config) { c.MaxQueue = 2 })
		seqs := []*engine.Sequence{submit(t, e, request("a", 1))}
		synctest.Wait() // it has left the queue
		seqs = append(seqs, submit(t, e, request("b", 1)), submit(t, e, request("c", 1)))
		if _, err := e.Submit(context.Background(), request("d", 1)); !errors.Is(err, engine.ErrQueueFull) {
			t.Errorf("error %v, want ErrQueueFull", err)
		}
		if s := e.Stats(); s.Running != 1 || s.Waiting != 2 || s.Rejected != 1 {
			t.Errorf("stats %+v", s)
		}
		close(r.Gate)
		for _, s := range seqs {
			if _, _, err := read(s); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCancelled(t *testing.T) {
	cause := errors.New("the client went away")
	for _, c := range []struct {
		name   string
		prompt int
		steps  int // steps before the cancellation
		queued bool
	}{
		{"while queued", 10, 0, true},
		{"between prefill chunks", 50, 2, false},
		{"while decoding", 3, 5, false},
	} {
		bubble(c.name, t, func(t *testing.T) {
			r := &fake.Runner{Lim: runner.Limits{Seqs: 1, Batch: 8}, Gate: make(chan struct{})}
			e := start(t, r, nil)
			var other *engine.Sequence
			if c.queued {
				other = submit(t, e, request("z", 3))
				synctest.Wait()
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			s, err := e.Submit(ctx, request(strings.Repeat("p", c.prompt), 0))
			if err != nil {
				t.Fatal(err)
			}
			for range c.steps {
				r.Gate <- struct{}{}
			}
			synctest.Wait()
			cancel(cause)
			if _, _, err := read(s); err != cause {
				t.Errorf("error %v, want the cause", err)
			}
			r.Gate <- struct{}{} // the step that was under way
			synctest.Wait()
			st := e.Stats()
			if want := map[bool]int{true: 1}[c.queued]; st.Running != want || st.Waiting != 0 || st.Cancelled != 1 {
				t.Errorf("stats %+v", st)
			}
			close(r.Gate)
			if other != nil {
				if _, _, err := read(other); err != nil {
					t.Errorf("the other sequence: %v", err)
				}
			}
			if want := 1 + c.steps; !c.queued && len(r.Steps()) != want {
				t.Errorf("%d steps, want %d", len(r.Steps()), want)
			}
		})
	}
}

func TestLeavingTheLoopCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Delay: time.Millisecond}, nil)
		s := submit(t, e, request("endless", 0))
		for range s.Tokens() {
			break
		}
		time.Sleep(5 * time.Millisecond)
		if st := e.Stats(); st.Running != 0 || st.Cancelled != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestSlowConsumerDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Delay: time.Millisecond}, nil)
		slow := submit(t, e, request("slow", 100))
		fast := submit(t, e, request("fast", 100))
		if _, _, err := read(fast); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		if st := e.Stats(); st.Running != 0 || st.Length != 2 {
			t.Errorf("stats %+v: the sequence that nobody reads is not done", st)
		}
		if _, tokens, err := read(slow); err != nil || len(tokens) != 100 {
			t.Errorf("%d tokens, %v", len(tokens), err)
		}
	})
}

func TestFailedStepTakesDownItsSequencesOnly(t *testing.T) {
	boom := errors.New("device lost")
	for name, fail := range map[string]func(){"error": nil, "panic": func() { panic(boom) }} {
		bubble(name, t, func(t *testing.T) {
			failing := false
			r := &fake.Runner{Lim: runner.Limits{Seqs: 2, Batch: 1}}
			r.Fail = func(work []runner.Work) error {
				// With a batch of 1, a step has one sequence: only the one whose tokens are 'x' fails.
				if failing = slices.Contains(work[0].Tokens, 'x'); !failing {
					return nil
				}
				if fail != nil {
					fail()
				}
				return boom
			}
			e := start(t, r, nil)
			good, bad := submit(t, e, request("aaaa", 3)), submit(t, e, request("bbxb", 3))
			_, _, err := read(bad)
			var p *engine.PanicError
			if fail == nil && !errors.Is(err, boom) || fail != nil && (!errors.As(err, &p) || p.Value != boom) {
				t.Errorf("error %v", err)
			}
			if _, _, err := read(good); err != nil {
				t.Errorf("the other sequence: %v", err)
			}
			if _, _, err := read(submit(t, e, request("cc", 3))); err != nil {
				t.Errorf("a later sequence: %v", err)
			}
			if st := e.Stats(); st.Failed != 1 || st.Length != 2 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestNotFiniteLogitsEndTheSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Alter: func(l []float32) { l[77] = float32(math.NaN()) }}, nil)
		if _, _, err := read(submit(t, e, request("a", 3))); err == nil || !strings.Contains(err.Error(), "token 77") {
			t.Errorf("error %v, want one that names token 77", err)
		}
	})
}

type panicky struct{ engine.Decoder }

func (panicky) Push(int32) string { panic("decoder") }

func TestDecoderPanicEndsItsSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{}, nil)
		bad := request("a", 3)
		bad.Decoder = panicky{}
		s, good := submit(t, e, bad), submit(t, e, request("b", 3))
		var p *engine.PanicError
		if _, _, err := read(s); !errors.As(err, &p) {
			t.Errorf("error %v", err)
		}
		if _, _, err := read(good); err != nil {
			t.Errorf("the other sequence: %v", err)
		}
	})
}

func TestBadRunnerAnswers(t *testing.T) {
	for name, answer := range map[string][][]float32{"no rows": nil, "short row": {make([]float32, 3)}} {
		bubble(name, t, func(t *testing.T) {
			r := &wrong{Runner: fake.Runner{}, answer: answer}
			e, err := engine.New(engine.Config{Runner: r})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close(context.Background())
			if _, _, err := read(submit(t, e, request("a", 1))); err == nil ||
				!strings.Contains(err.Error(), "expected") && !strings.Contains(err.Error(), "for 1") {
				t.Errorf("error %v", err)
			}
		})
	}
}

type wrong struct {
	fake.Runner
	answer [][]float32
}

func (w *wrong) Step(context.Context, []runner.Work) ([][]float32, error) { return w.answer, nil }

type badPolicy struct{ step engine.Step }

func (p badPolicy) Next(engine.Snapshot) engine.Step { return p.step }

func TestBadPolicyFailsRequestsAndNotTheEngine(t *testing.T) {
	for name, step := range map[string]engine.Step{
		"does nothing": {}, "admits too many": {Admit: 3}, "feeds too much": {Admit: 1, Feed: []int{99}},
		"feeds nobody": {Admit: 1, Feed: []int{0}}, "feeds a wrong count": {Admit: 1},
	} {
		bubble(name, t, func(t *testing.T) {
			e := start(t, &fake.Runner{}, func(c *engine.Config) { c.Policy = badPolicy{step} })
			if _, _, err := read(submit(t, e, request("abc", 1))); err == nil ||
				!strings.Contains(err.Error(), "policy") {
				t.Errorf("error %v, want one that names the policy", err)
			}
		})
	}
}

func TestOpenErrorEndsTheSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fake.Runner{Lim: runner.Limits{Seqs: 1}}
		id, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		e := start(t, r, nil)
		if _, _, err := read(submit(t, e, request("a", 1))); err == nil ||
			!strings.Contains(err.Error(), "open sequence") {
			t.Errorf("error %v", err)
		}
		r.Release(id)
		if _, _, err := read(submit(t, e, request("a", 1))); err != nil {
			t.Errorf("after a slot was freed: %v", err)
		}
	})
}

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Delay: time.Millisecond, Lim: runner.Limits{Seqs: 1}}, nil)
		a, b := submit(t, e, request("a", 50)), submit(t, e, request("b", 50))
		if err := e.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*engine.Sequence{a, b} {
			if _, tokens, err := read(s); err != nil || len(tokens) != 50 {
				t.Errorf("%d tokens, %v", len(tokens), err)
			}
		}
		if _, err := e.Submit(context.Background(), request("c", 1)); err != engine.ErrClosed {
			t.Errorf("Submit after Close: %v", err)
		}
	})
}

func TestCloseCancelsWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Delay: time.Second, Lim: runner.Limits{Seqs: 1}}, nil)
		a, b := submit(t, e, request("a", 0)), submit(t, e, request("b", 0))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		for _, s := range []*engine.Sequence{a, b} {
			if _, _, err := read(s); err != engine.ErrClosed {
				t.Errorf("error %v, want ErrClosed", err)
			}
		}
	})
}

func TestLogprobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, &fake.Runner{Reply: "hi"}, nil)
		r := request("a", 0)
		r.Logprobs, r.TopLogprobs = true, 3
		_, tokens, err := read(submit(t, e, r))
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range tokens {
			if len(tok.Top) != 3 || tok.Top[0].ID != tok.ID || tok.Top[0].Logprob != tok.Logprob ||
				!(tok.Logprob <= 0) {
				t.Errorf("token %+v", tok)
			}
		}
	})
}

func TestManyConsumers(t *testing.T) {
	e := start(t, &fake.Runner{Lim: runner.Limits{Seqs: 8, Batch: 32}}, nil)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			s, err := e.Submit(context.Background(), request(strings.Repeat("x", 1+i), 30))
			if err != nil {
				t.Error(err)
				return
			}
			n := 0
			for _, err := range s.Tokens() {
				if err != nil {
					t.Error(err)
				}
				if n++; i%5 == 0 && n == 10 {
					break
				}
				e.Stats()
			}
			if i%5 != 0 && n != 30 {
				t.Errorf("%d tokens", n)
			}
		})
	}
	wg.Wait()
}

func TestNewRejectsBadLimits(t *testing.T) {
	if _, err := engine.New(engine.Config{}); err == nil {
		t.Error("no runner: no error")
	}
	if _, err := engine.New(engine.Config{Runner: &fake.Runner{Lim: runner.Limits{Seqs: -1}}}); err == nil {
		t.Error("negative slots: no error")
	}
}
