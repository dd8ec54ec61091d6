package serve

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/ollama"
)

// ollamaTags serves GET /api/tags: the models that are offered.
func (s *Server) ollamaTags(w http.ResponseWriter, r *http.Request) {
	list := ollama.List{Models: []ollama.Listed{}}
	for _, m := range s.list() {
		list.Models = append(list.Models, s.ollamaListed(m))
	}
	s.reply(w, http.StatusOK, list)
}

// ollamaPS serves GET /api/ps: the models that are loaded.
func (s *Server) ollamaPS(w http.ResponseWriter, r *http.Request) {
	list := ollama.List{Models: []ollama.Listed{}}
	for _, m := range s.list() {
		if m.State != pool.Loaded {
			continue
		}
		l := s.ollamaListed(m)
		l.ModifiedAt = time.Time{}
		// It says when a model goes that nobody uses, which depends on the memory that others ask for.
		l.ExpiresAt, l.SizeVRAM, l.ContextLength = new(time.Now().AddDate(100, 0, 0).UTC()), &m.Bytes, m.Limits.Context
		list.Models = append(list.Models, l)
	}
	s.reply(w, http.StatusOK, list)
}

// ollamaListed describes a model by what is known of it without loading it.
func (s *Server) ollamaListed(m pool.Status) ollama.Listed {
	d, _ := s.details.Load(m.ID)
	details, _ := d.(Details)
	return ollama.Listed{Name: m.ID, Model: m.ID, ModifiedAt: m.Created.UTC(), Size: m.Bytes,
		Details: details.ollama()}
}

// ollamaShow serves POST /api/show. It waits until the model is loaded.
func (s *Server) ollamaShow(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	name, err := ollama.ParseShow(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m, release, _, err := s.ollamaModel(r, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	d, limits := m.Details, m.Engine.Limits()
	show := ollama.Show{
		Parameters: ollamaParameters(m.Defaults), Template: m.Template, Details: d.ollama(),
		ModifiedAt: m.Created.UTC(),
		ModelInfo: map[string]any{
			"general.architecture":               d.Architecture,
			"general.parameter_count":            d.Parameters,
			d.Architecture + ".context_length":   limits.Context,
			d.Architecture + ".embedding_length": limits.Embd,
			d.Architecture + ".vocab_size":       limits.Vocab,
		},
	}
	if m.File != "" {
		show.Modelfile = "FROM " + path.Base(m.File) + "\n"
	}
	show.Capabilities = m.capabilities()
	s.reply(w, http.StatusOK, show)
}

// capabilities are what clients may ask of a model, in Ollama's words.
func (m *Model) capabilities() []string {
	if m.Details.Embeds {
		return []string{"embedding"}
	}
	list := []string{"completion"}
	if m.Format != nil && m.Format.Calls() {
		list = append(list, "tools")
	}
	if t := m.Infill; t.Prefix >= 0 && t.Suffix >= 0 && t.Middle >= 0 && t != (InfillTokens{}) {
		list = append(list, "insert")
	}
	if m.Format != nil && strings.Contains(m.Template, "think") {
		list = append(list, "thinking")
	}
	return list
}

// ollamaParameters are the sampling parameters that a model's publisher names, one a line.
func ollamaParameters(o sample.Overrides) string {
	var b strings.Builder
	number := func(name string, v *float32) {
		if v != nil {
			fmt.Fprintf(&b, "%s %v\n", name, *v)
		}
	}
	number("temperature", o.Temperature)
	number("top_p", o.TopP)
	number("min_p", o.MinP)
	number("repeat_penalty", o.RepeatPenalty)
	if o.TopK != nil {
		fmt.Fprintf(&b, "top_k %d\n", *o.TopK)
	}
	return b.String()
}

// ollamaVersion serves GET /api/version.
func (s *Server) ollamaVersion(w http.ResponseWriter, r *http.Request) {
	s.reply(w, http.StatusOK, ollama.Version{Version: ollama.APIVersion, Hipengine: s.c.Version})
}

// Details say what a model is.
type Details struct {
	Architecture string // as GGUF spells it
	Parameters   int64  // numbers in its weights
	Quantization string // the mixture of types of its weights, as llama.cpp names it; empty if its file does not say
	Embeds       bool   // it was made for embeddings
}

// ollama returns details in Ollama's form.
func (d Details) ollama() ollama.Details {
	o := ollama.Details{
		Format: "gguf", Family: d.Architecture, Families: []string{},
		QuantizationLevel: strings.ToUpper(d.Quantization),
	}
	if d.Architecture != "" {
		o.Families = []string{d.Architecture}
	}
	switch n := float64(d.Parameters); {
	case n >= 1e9:
		o.ParameterSize = fmt.Sprintf("%.1fB", n/1e9)
	case n >= 1e6:
		o.ParameterSize = fmt.Sprintf("%.1fM", n/1e6)
	case n > 0:
		o.ParameterSize = fmt.Sprintf("%.1fK", n/1e3)
	}
	return o
}
