package serve

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/ollama"
	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/toolcall"
)

// ollamaRoutes are the endpoints of Ollama's API.
func (s *Server) ollamaRoutes() map[string]http.Handler {
	routes := map[string]http.Handler{}
	add := func(path, verb string, h http.HandlerFunc) {
		routes[path] = ollamaErrors(method(verb, s.guard(h)))
	}
	add("/api/chat", http.MethodPost, s.ollamaChat)
	add("/api/generate", http.MethodPost, s.ollamaGenerate)
	add("/api/embed", http.MethodPost, s.ollamaEmbed)
	add("/api/embeddings", http.MethodPost, s.ollamaEmbeddings)
	add("/api/tags", http.MethodGet, s.ollamaTags)
	add("/api/show", http.MethodPost, s.ollamaShow)
	add("/api/ps", http.MethodGet, s.ollamaPS)
	add("/api/version", http.MethodGet, s.ollamaVersion)
	for path, instead := range notOllama {
		routes[path] = ollamaErrors(s.guard(func(w http.ResponseWriter, r *http.Request) {
			s.fail(w, r, &openai.Error{
				Status: http.StatusNotImplemented, Type: openai.TypeInvalidRequest, Code: openai.CodeUnsupported,
				Message: r.URL.Path + " is not offered by this server: " + instead,
			})
		}))
	}
	routes["/api/"] = ollamaErrors(http.HandlerFunc(s.notFound))
	return routes
}

// notOllama are the endpoints that would change the machine's models, and what does it instead.
var notOllama = map[string]string{
	"/api/pull":           "hipengine pull NAME on its machine fetches models",
	"/api/push":           "it publishes no models",
	"/api/create":         "hipengine convert and quantize on its machine make model files",
	"/api/copy":           "hipengine serve --alias MODEL=NAME gives a model another name",
	"/api/delete":         "hipengine rm NAME on its machine removes models",
	"/api/blobs/{digest}": "hipengine convert and quantize on its machine make model files",
}

// ollamaErrors makes the errors of an endpoint Ollama's.
func ollamaErrors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recordOf(r.Context()).errorForm = func(e *openai.Error) any { return ollama.NewError(e) }
		next.ServeHTTP(w, r)
	})
}

// ollamaModel is model for names as Ollama has them, of which the tag latest is the same as none. It returns how long
// it took.
func (s *Server) ollamaModel(r *http.Request, name string) (m *Model, release func(), took time.Duration, err error) {
	start := time.Now()
	if base, ok := strings.CutSuffix(name, ":latest"); ok && !s.offers(name) {
		name = base
	}
	m, release, err = s.model(r.Context(), name)
	return m, release, time.Since(start), err
}

// ollamaWriter is ollamaModel for a request that wants text.
func (s *Server) ollamaWriter(r *http.Request, name string) (*Model, func(), time.Duration, error) {
	m, release, took, err := s.ollamaModel(r, name)
	if err != nil {
		return nil, nil, took, err
	}
	if err := m.writes(); err != nil {
		release()
		return nil, nil, took, err
	}
	return m, release, took, nil
}

// offers reports whether a model or an alias has a name.
func (s *Server) offers(name string) bool {
	for _, m := range s.list() {
		if m.ID == name {
			return true
		}
	}
	return s.c.Aliases[name] != ""
}

// ollamaChat serves POST /api/chat.
func (s *Server) ollamaChat(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := ollama.ParseChat(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m, release, load, err := s.ollamaWriter(r, req.Model)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	line := func(p ollamaPart, d ollama.Done) any {
		return ollama.ChatAnswer{Head: ollamaHead(m), Done: d, Logprobs: p.logprobs,
			Message: ollama.Message{Role: "assistant", Content: p.content, Thinking: p.thinking, ToolCalls: p.calls}}
	}
	if req.Empty {
		s.ollamaLoaded(w, req.Stream, line, load)
		return
	}
	g, write, err := s.converse(r.Context(), m, &req.ChatRequest)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.ollamaAnswer(w, r, &ollamaAnswer{answer: write(), generation: g, load: load, line: line})
}

// ollamaGenerate serves POST /api/generate.
func (s *Server) ollamaGenerate(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := ollama.ParseGenerate(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m, release, load, err := s.ollamaWriter(r, req.Model)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	line := func(p ollamaPart, d ollama.Done) any {
		return ollama.GenerateAnswer{
			Head: ollamaHead(m), Done: d, Logprobs: p.logprobs, Response: p.content, Thinking: p.thinking,
		}
	}
	if req.Empty {
		s.ollamaLoaded(w, req.Stream, line, load)
		return
	}
	a := &ollamaAnswer{load: load, line: line}
	if req.Raw || req.Suffix != "" {
		a.answer = &answer{}
		a.generation, err = s.goOn(r, m, req)
	} else {
		var write func() *answer
		if a.generation, write, err = s.converse(r.Context(), m, &req.ChatRequest); err == nil {
			a.answer = write()
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.ollamaAnswer(w, r, a)
}

// goOn starts the answer to a raw prompt, or what stands between two texts.
func (s *Server) goOn(r *http.Request, m *Model, req *ollama.Generate) (*generation, error) {
	var ids []int32
	var err error
	if req.Suffix != "" {
		ids, err = m.infillPrompt(&openai.Infill{
			Prefix: []openai.Prompt{{Text: req.Prompt}}, Suffix: []openai.Prompt{{Text: req.Suffix}},
		})
	} else {
		ids, err = m.Tokenizer.EncodePrompt(req.Prompt)
	}
	if err != nil {
		return nil, err
	}
	form, err := m.form(req.Form)
	if err != nil {
		return nil, err
	}
	return s.generate(r.Context(), m, req.Options, [][]int32{ids}, form)
}

// ollamaHead begins an answer that is made now.
func ollamaHead(m *Model) ollama.Head { return ollama.Head{Model: m.ID, CreatedAt: time.Now().UTC()} }

// ollamaLoaded answers a request that asks for nothing but the model.
func (s *Server) ollamaLoaded(w http.ResponseWriter, stream bool, line func(ollamaPart, ollama.Done) any,
	load time.Duration) {
	v := line(ollamaPart{}, ollama.Done{Done: true, DoneReason: ollama.DoneLoad, LoadDuration: load.Nanoseconds()})
	if !stream {
		s.reply(w, http.StatusOK, v)
		return
	}
	out := newLines(w, s.c.WriteTimeout)
	defer out.close()
	out.json(v)
}

// ollamaAnswer sends an answer, as a stream or whole, and closes its generation.
func (s *Server) ollamaAnswer(w http.ResponseWriter, r *http.Request, a *ollamaAnswer) {
	g := a.generation
	defer g.close(r.Context())
	a.record = recordOf(r.Context())
	if g.options.Stream {
		a.out = newLines(w, s.c.WriteTimeout)
		defer a.out.close()
		s.forward(r.Context(), g, a.out, a)
		return
	}
	if err := g.collect(r.Context(), a.token); err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, a.line(a.whole, a.done()))
}

// ollamaPart is an answer or a part of one.
type ollamaPart struct {
	content, thinking string
	calls             []ollama.ToolCall
	logprobs          []openai.TokenLogprob
}

func (p *ollamaPart) empty() bool {
	return p.content == "" && p.thinking == "" && len(p.calls) == 0 && len(p.logprobs) == 0
}

func (p *ollamaPart) add(o ollamaPart) {
	p.content, p.thinking = p.content+o.content, p.thinking+o.thinking
	p.calls, p.logprobs = append(p.calls, o.calls...), append(p.logprobs, o.logprobs...)
}

// ollamaAnswer puts an answer together, and tells of it as it grows if there is a stream.
type ollamaAnswer struct {
	*answer
	record     *record
	generation *generation
	load       time.Duration // that the model took to be there
	line       func(ollamaPart, ollama.Done) any
	out        *stream // nil: it is sent whole
	whole      ollamaPart

	queue logprobQueue
	call  ollama.ToolCall // that is being written
	calls int
	args  strings.Builder
}

// token implements teller.
func (a *ollamaAnswer) token(_ int, t engine.Token) {
	var p ollamaPart
	if a.generation.options.Logprobs {
		p.logprobs = a.generation.model.chatLogprobs(a.queue.add(t))
	}
	for _, e := range a.add(t) {
		switch e.Kind {
		case toolcall.Content:
			p.content += e.Text
		case toolcall.Reasoning:
			p.thinking += e.Text
		case toolcall.Begin:
			a.call = ollama.ToolCall{ID: e.ID, Function: ollama.CallFunction{Index: a.calls, Name: e.Text}}
			a.calls++
			a.args.Reset()
		case toolcall.Arguments:
			a.args.WriteString(e.Text)
		case toolcall.End:
			if text := a.args.String(); json.Valid([]byte(text)) { // it is not where the tokens ran out
				a.call.Function.Arguments = json.RawMessage(text)
				p.calls = append(p.calls, a.call)
			}
		}
	}
	switch {
	case a.out == nil:
		a.whole.add(p)
	case !p.empty():
		a.out.json(a.line(p, ollama.Done{}))
	}
}

// finish implements teller.
func (a *ollamaAnswer) finish() { a.out.json(a.line(ollamaPart{}, a.done())) }

// ping implements teller. Lines have no comments, so that one adds nothing.
func (a *ollamaAnswer) ping() { a.out.json(a.line(ollamaPart{}, ollama.Done{})) }

// fail implements teller.
func (a *ollamaAnswer) fail(e *openai.Error) { a.out.json(a.record.form(e)) }

// done says how the answer ended and how long it took.
func (a *ollamaAnswer) done() ollama.Done {
	u, t := a.generation.usage(), a.generation.timings(0)
	d := ollama.Done{
		Done: true, DoneReason: ollama.DoneStop, TotalDuration: time.Since(a.record.start).Nanoseconds(),
		LoadDuration: a.load.Nanoseconds(), PromptEvalCount: u.PromptTokens,
		PromptEvalDuration: nanoseconds(t.PromptMS),
		EvalCount:          u.CompletionTokens, EvalDuration: nanoseconds(t.PredictedMS),
	}
	if a.answer.finish == engine.FinishLength {
		d.DoneReason = ollama.DoneLength
	}
	return d
}

func nanoseconds(ms float64) int64 { return int64(math.Round(ms * 1e6)) }
