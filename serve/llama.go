package serve

import (
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/openai"
)

// Parts of llama.cpp's own API that Config.LlamaRoutes can name.
const (
	LlamaCompletion = "completion" // /completion, /completions and /infill
	LlamaSlots      = "slots"      // /slots
	LlamaVerbose    = "verbose"    // __verbose in answers of chat completions, as with verbose of requests
	LlamaPrefill    = "prefill"    // chat completions go on with a last message that is the assistant's
	LlamaPredict    = "predict"    // /predict, for Vertex AI
)

var llamaParts = []string{LlamaCompletion, LlamaSlots, LlamaVerbose, LlamaPrefill, LlamaPredict}

// offersLlama reports whether a part of llama.cpp's API is offered.
func (s *Server) offersLlama(part string) bool { return slices.Contains(s.c.LlamaRoutes, part) }

// llamaRoutes adds the routes of llama.cpp's own API, if any is asked for. Those that are not say so.
func (s *Server) llamaRoutes(routes map[string]http.Handler) {
	if len(s.c.LlamaRoutes) == 0 {
		return
	}
	on := func(part string, h http.HandlerFunc) http.HandlerFunc {
		if s.offersLlama(part) {
			return h
		}
		return func(w http.ResponseWriter, r *http.Request) {
			s.fail(w, r,
				notSupported("this server does not offer "+part+
					" of llama.cpp's API; its owner can, with --llama-routes"))
		}
	}
	for _, path := range []string{"/completion", "/completions"} {
		routes[path] = method(http.MethodPost, s.guard(on(LlamaCompletion, s.llamaCompletion)))
	}
	routes["/infill"] = method(http.MethodPost, s.guard(on(LlamaCompletion, s.infill)))
	routes["/predict"] = method(http.MethodPost, s.guard(on(LlamaPredict, s.predict)))
	routes["/slots"] = method(http.MethodGet, s.guard(on(LlamaSlots, s.slots)))
	routes["/slots/{id}"] = method(http.MethodPost, s.guard(on(LlamaSlots, s.changeSlot)))
}

// notSupported is the error of what llama.cpp's server can do and this one does not.
func notSupported(message string) error {
	return &openai.Error{Status: http.StatusNotImplemented, Type: openai.TypeNotSupported,
		Code: openai.CodeUnsupported, Message: message}
}

// llamaCompletion serves POST /completion.
func (s *Server) llamaCompletion(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := openai.ParseLlamaCompletion(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.llamaGenerate(w, r, req)
}

// infill serves POST /infill.
func (s *Server) infill(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := openai.ParseInfill(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.llamaGenerate(w, r, req)
}

// llamaGenerate answers a request of either route.
func (s *Server) llamaGenerate(w http.ResponseWriter, r *http.Request, req *openai.LlamaCompletionRequest) {
	m, release, err := s.writer(r.Context(), req.Model)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	prompts, err := m.llamaPrompts(req)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	form, err := m.form(req.Form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	g, err := s.generate(r.Context(), m, req.Options, prompts, form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer g.close(r.Context())
	answers := make([]*llamaAnswer, len(g.seqs))
	for i := range answers {
		answers[i] = &llamaAnswer{g: g, req: req, index: i}
	}
	if req.Stream {
		out := newStream(w, s.c.WriteTimeout)
		defer out.close()
		s.forward(r.Context(), g, out, llamaTeller{out, answers})
		return
	}
	if err := g.collect(r.Context(), func(i int, t engine.Token) { answers[i].add(t) }); err != nil {
		s.fail(w, r, err)
		return
	}
	list := make([]any, len(answers))
	for i, a := range answers {
		if list[i], err = a.final(); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if req.Many {
		s.reply(w, http.StatusOK, list)
		return
	}
	s.reply(w, http.StatusOK, list[0])
}

// llamaPrompts returns the ids of a request's prompts. Texts of special tokens in them stand for these.
func (m *Model) llamaPrompts(req *openai.LlamaCompletionRequest) ([][]int32, error) {
	if req.Infill != nil {
		ids, err := m.infillPrompt(req.Infill)
		return [][]int32{ids}, err
	}
	prompts := make([][]int32, len(req.Prompts))
	for i, parts := range req.Prompts {
		if len(parts) > 0 && parts[0].Tokens == nil {
			ids, err := m.Tokenizer.EncodePrompt(parts[0].Text)
			if err != nil {
				return nil, err
			}
			prompts[i], parts = ids, parts[1:]
		}
		rest, err := m.encode(parts, false, true)
		if err != nil {
			return nil, err
		}
		prompts[i] = append(prompts[i], rest...)
	}
	return prompts, nil
}

// llamaAnswer collects a choice.
type llamaAnswer struct {
	g     *generation
	req   *openai.LlamaCompletionRequest
	index int

	content strings.Builder
	ids     []int32
	queue   logprobQueue
	probs   []openai.TokenProb
	last    engine.Token
}

// add takes a token.
func (a *llamaAnswer) add(t engine.Token) {
	a.content.WriteString(t.Text)
	if a.last = t; !t.EOG {
		a.ids = append(a.ids, t.ID)
	}
	if a.req.Logprobs {
		for _, t := range a.queue.add(t) {
			a.probs = append(a.probs, a.g.model.tokenProb(t, a.req.Sampled))
		}
	}
}

// chunk is the event of a token.
func (a *llamaAnswer) chunk(t engine.Token) openai.LlamaChunk {
	c := openai.LlamaChunk{Index: a.index, Content: t.Text, Tokens: []int32{t.ID}, Slot: -1,
		Predicted: a.g.tokens[a.index],
		Evaluated: len(a.prompt())}
	if a.req.TokenTimings {
		c.Timings = a.g.timings(a.index)
	}
	if a.req.Logprobs {
		c.Probs = []openai.TokenProb{a.g.model.tokenProb(t, a.req.Sampled)}
	}
	return c
}

// progress is the event of a part of the prompt that was read.
func (a *llamaAnswer) progress(p promptProgress) openai.LlamaChunk {
	c := openai.LlamaChunk{Index: a.index, Tokens: []int32{}, Slot: -1, Evaluated: len(a.prompt()), Progress: p.wire()}
	if a.req.TokenTimings {
		c.Timings = p.timings()
	}
	return c
}

func (a *llamaAnswer) prompt() []int32 { return a.g.prompts[a.index/a.req.N] }

// final is the whole answer, or the fields of it that the request asks for; in a stream without what was said already.
func (a *llamaAnswer) final() (any, error) {
	c := a.whole()
	if len(a.req.Fields) > 0 {
		return c.Select(a.req.Fields)
	}
	return c, nil
}

// whole is final for all fields.
func (a *llamaAnswer) whole() openai.LlamaCompletion {
	m, tokens := a.g.model, a.g.tokens[a.index]
	c := openai.LlamaCompletion{
		Index: a.index, Tokens: []int32{}, Slot: -1, Stop: true, Model: m.ID, Predicted: tokens,
		Evaluated: len(a.prompt()),
		Settings:  m.generationSettings(a.g, a.req), Prompt: m.Tokenizer.Decode(a.prompt(), true),
		HasNewLine: strings.Contains(a.content.String(), "\n"),
		Truncated:  a.last.Finish == engine.FinishLength && (a.req.BudgetOpen || tokens < a.req.MaxTokens),
		StopType:   "limit", StopWord: a.last.StopString, TokensTotal: len(a.prompt()) + tokens,
		Timings: a.g.timings(a.index),
	}
	switch {
	case a.last.StopString != "":
		c.StopType = "word"
	case a.last.Finish == engine.FinishStop:
		c.StopType = "eos"
	}
	if !a.req.Stream {
		c.Content, c.Probs = a.content.String(), a.probs
		if a.req.Tokens {
			c.Tokens = append(c.Tokens, a.ids...)
		}
	}
	return c
}

// generationSettings returns the parameters of a request.
func (m *Model) generationSettings(g *generation, req *openai.LlamaCompletionRequest) openai.GenerationSettings {
	o := openai.GenerationSettings{
		SamplingSettings: samplingSettings(g.params, true),
		Stop:             append([]string{}, req.Stop...), MaxTokens: req.MaxTokens,
		IgnoreEOS: req.IgnoreEOS, Stream: req.Stream, LogitBias: []openai.TokenBias{},
		NProbs: req.TopLogprobs, PostSampling: req.Sampled, TokenTimings: req.TokenTimings,
	}
	if req.BudgetOpen {
		o.MaxTokens = -1
	}
	o.NPredict = o.MaxTokens
	for id, bias := range g.params.LogitBias {
		b := openai.TokenBias{Token: id}
		if !math.IsInf(float64(bias), -1) { // which JSON has not, and which means never
			b.Bias = &bias
		}
		o.LogitBias = append(o.LogitBias, b)
	}
	slices.SortFunc(o.LogitBias, func(a, b openai.TokenBias) int { return int(a.Token) - int(b.Token) })
	if req.IgnoreEOS { // as llama.cpp does it: they cannot come
		for _, id := range m.Tokenizer.EOG() {
			o.LogitBias = append(o.LogitBias, openai.TokenBias{Token: id})
		}
	}
	return o
}

// tokenProb returns the log-probabilities at a token, or the probabilities if they are of the draw.
func (m *Model) tokenProb(t engine.Token, sampled bool) openai.TokenProb {
	entry := func(p sample.Logprob) openai.ProbEntry {
		piece := m.Tokenizer.Piece(p.ID, true)
		e := openai.ProbEntry{ID: p.ID, Token: strings.ToValidUTF8(string(piece), "\uFFFD"), Bytes: make([]int, len(piece))}
		if sampled {
			e.Prob = new(math.Exp(float64(p.Logprob)))
		} else {
			e.Logprob = &p.Logprob
		}
		for i, b := range piece {
			e.Bytes[i] = int(b)
		}
		return e
	}
	out := openai.TokenProb{ProbEntry: entry(sample.Logprob{ID: t.ID, Logprob: t.Logprob})}
	top := make([]openai.ProbEntry, len(t.Top))
	for i, p := range t.Top {
		top[i] = entry(p)
	}
	if sampled {
		out.TopProbs = top
	} else {
		out.Top = top
	}
	return out
}

// llamaTeller tells in events of llama.cpp's server, one for each token, and one for the end of each choice.
type llamaTeller struct {
	out     *stream
	answers []*llamaAnswer
}

func (l llamaTeller) token(choice int, t engine.Token) {
	a := l.answers[choice]
	a.add(t)
	if !t.EOG || t.Text != "" {
		l.out.event(a.chunk(t))
	}
	if t.Finish == engine.FinishNone {
		return
	}
	final, err := a.final()
	if err != nil {
		l.fail(&openai.Error{Type: openai.TypeServer, Message: err.Error()})
		return
	}
	l.out.event(final)
}

func (l llamaTeller) progress(choice int, p promptProgress) {
	l.out.event(l.answers[choice].progress(p))
}
func (l llamaTeller) ping()                { l.out.ping() }
func (l llamaTeller) fail(e *openai.Error) { l.out.event(e) }
func (l llamaTeller) finish()              {}
