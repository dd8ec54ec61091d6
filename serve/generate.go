package serve

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/grammar"
)

// generation is the sequences of one request. Choice i continues prompt i/n, where n is the request's.
type generation struct {
	model   *Model
	options openai.Options
	prompts [][]int32
	seqs    []*engine.Sequence
	tokens  []int // generated, of each choice
	params  sample.Params
	clocks  []*stopwatch
	read    chan struct{} // of capacity 1: some clock has progress; nil if nobody asks

	cancel context.CancelFunc
	events chan event // closed when all sequences are over
	wait   sync.WaitGroup
}

// event is a token of a choice, or the error that ended it.
type event struct {
	choice int
	token  engine.Token
	err    error
}

// limits are what the answers of a request are held to.
type limits struct {
	form     *grammar.Grammar // nil if they may be anything
	thoughts *engine.Thoughts // nil if thoughts are not bounded
}

// generate is generateWithin for texts without thoughts.
func (s *Server) generate(ctx context.Context, m *Model, o openai.Options, prompts [][]int32,
	form *grammar.Grammar) (*generation, error) {
	return s.generateWithin(ctx, m, o, prompts, limits{form: form})
}

// generateWithin submits the sequences of a request and forwards their tokens to the events channel. The caller must
// close the generation, which ends sequences that still run.
func (s *Server) generateWithin(ctx context.Context, m *Model, o openai.Options, prompts [][]int32,
	held limits) (*generation, error) {
	rec := recordOf(ctx)
	rec.model = m.ID
	params, err := s.sampling(m, &o, prompts)
	if err != nil {
		return nil, err
	}
	if err := m.checkContext(o.Context, prompts); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &generation{
		params: params, model: m, options: o, prompts: prompts, tokens: make([]int, len(prompts)*o.N), cancel: cancel,
		events: make(chan event),
	}
	if o.Progress && o.Stream {
		g.read = make(chan struct{}, 1)
	}
	for _, p := range prompts {
		rec.prompt += len(p)
		budget := o.MaxTokens
		if o.NoAnswer {
			budget = 1 // a draw costs nothing once the prompt is read; it is not told of
		}
		if room := o.Context - len(p); o.Context > 0 && (budget == 0 || budget > room) {
			budget = room
		}
		choices := make([]engine.Request, o.N) // the prompt is read once for all of them
		for i := range choices {
			clock := &stopwatch{total: len(p), notify: g.read,
				next: rec.span.Sequence(len(g.seqs)+i, s.metrics.Sequence(m.ID, rec.start))}
			g.clocks = append(g.clocks, clock)
			choices[i] = engine.Request{
				Prompt: p, Space: rec.space, MaxTokens: budget, Sampling: params, IgnoreEOG: o.IgnoreEOS,
				Stop: o.Stop, StopTokens: o.StopTokens,
				Thoughts: held.thoughts, Decoder: m.Tokenizer.NewStream(false),
				Logprobs: o.Logprobs, TopLogprobs: o.TopLogprobs, PromptLogprobs: o.EchoLogprobs, Sampled: o.Sampled,
				Observer: clock, Drafter: o.Drafter, MaxDrafts: o.MaxDrafts,
				Unseeded: o.Sampling.Seed == nil && s.c.Sampling.Seed == nil && m.Defaults.Seed == nil,
			}
			choices[i].Sampling.Seed += uint64(i)
			if held.form != nil {
				choices[i].Sampling.Constraint = held.form.NewMatcher()
			}
		}
		seqs, err := m.Engine.SubmitChoices(ctx, choices...)
		if err != nil {
			cancel()
			return nil, err
		}
		g.seqs = append(g.seqs, seqs...)
	}
	for i, seq := range g.seqs {
		g.wait.Go(func() {
			for t, err := range seq.Tokens() {
				if o.NoAnswer && err == nil {
					t = engine.Token{EOG: true, Finish: engine.FinishLength}
				}
				select {
				case g.events <- event{i, t, err}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	go func() {
		g.wait.Wait()
		close(g.events)
	}()
	return g, nil
}

// checkContext reports prompts that leave no room in the context that a request asks for, and one that the model has
// not.
func (m *Model) checkContext(asked int, prompts [][]int32) error {
	if has := m.Engine.Limits().Context; asked > has {
		return invalidField("options.num_ctx",
			fmt.Sprintf("asks for a context of %d tokens, the model was loaded with %d (serve --ctx)",
				asked, has))
	}
	for _, p := range prompts {
		if asked > 0 && len(p) >= asked {
			return &engine.ContextLengthError{Prompt: len(p), Limit: asked}
		}
	}
	return nil
}

// timings are those of a choice so far.
func (g *generation) timings(choice int) *openai.Timings {
	t := g.clocks[choice].timings(g.tokens[choice])
	s := g.seqs[choice].Speculated()
	t.DraftN, t.DraftNAccepted = s.Accepted+s.Rejected, s.Accepted
	return t
}

// tellProgress tells how far prompts are, if anything is new of it.
func (g *generation) tellProgress(to teller) {
	told, ok := to.(progressTeller)
	for i := range g.clocks {
		for _, p := range g.clocks[i].takeProgress() {
			if ok {
				told.progress(i, p)
			}
		}
	}
}

// close ends the sequences and waits for the goroutines that read them.
func (g *generation) close(ctx context.Context) {
	g.cancel()
	g.wait.Wait()
	rec, u := recordOf(ctx), g.usage()
	if rec.generated = u.CompletionTokens; u.PromptTokensDetails != nil {
		rec.cached = u.PromptTokensDetails.CachedTokens
	}
}

// note counts a token.
func (g *generation) note(e event) {
	if e.err == nil && !g.options.NoAnswer {
		g.tokens[e.choice]++
	}
}

func (g *generation) usage() openai.Usage {
	var u openai.Usage
	for _, p := range g.prompts {
		u.PromptTokens += len(p)
	}
	for _, n := range g.tokens {
		u.CompletionTokens += n
	}
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	if g.model.Engine.Reuses() {
		u.PromptTokensDetails = new(openai.PromptTokensDetails)
		for choices := range slices.Chunk(g.seqs, g.options.N) { // one of them read the prompt
			cached := 0
			for _, s := range choices {
				cached = max(cached, s.Cached())
			}
			u.PromptTokensDetails.CachedTokens += cached
		}
	}
	if g.model.Engine.Speculates() {
		var all engine.Speculated
		for _, s := range g.seqs {
			one := s.Speculated()
			all.Accepted, all.Rejected = all.Accepted+one.Accepted, all.Rejected+one.Rejected
		}
		u.CompletionTokensDetails = &openai.CompletionTokensDetails{AcceptedPredictionTokens: &all.Accepted,
			RejectedPredictionTokens: &all.Rejected}
	}
	return u
}

// collect hands every token to add, until all choices are over or one fails.
func (g *generation) collect(ctx context.Context, add func(choice int, t engine.Token)) error {
	for e := range g.events {
		if e.err != nil {
			return e.err
		}
		g.note(e)
		add(e.choice, e.token)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// teller tells a client in its dialect what happens to a generation. One goroutine calls its methods.
type teller interface {
	token(choice int, t engine.Token)
	ping()                // nothing has happened for a while
	finish()              // all choices are over, which ends the stream
	fail(e *openai.Error) // ends it instead
}

// progressTeller is a teller that also tells how far a prompt is.
type progressTeller interface {
	teller
	progress(choice int, p promptProgress)
}

// forward is collect for a stream.
func (s *Server) forward(ctx context.Context, g *generation, out *stream, to teller) {
	ping := time.NewTimer(s.c.PingInterval)
	defer ping.Stop()
	for out.err == nil {
		select {
		case e, ok := <-g.events:
			switch {
			case ok && e.err == nil:
				g.tellProgress(to)
				g.note(e)
				to.token(e.choice, e.token)
			case ok:
				to.fail(s.wireError(ctx, e.err))
				return
			case ctx.Err() != nil:
				to.fail(s.wireError(ctx, context.Cause(ctx)))
				return
			default:
				to.finish()
				return
			}
		case <-g.read:
			g.tellProgress(to)
		case <-ping.C:
			to.ping()
		}
		ping.Reset(s.c.PingInterval)
	}
	recordOf(ctx).err = fmt.Errorf("stream cut off: %w", out.err)
}
