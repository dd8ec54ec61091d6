package serve

import (
	"context"
	"net/http"
	"time"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/serve/openai"
)

// process is a model in the answer of /admin/ps.
type process struct {
	ID string `json:"id"`
	// waiting, loading, loaded, unloading; or unloaded, of those that were loaded before
	State     string  `json:"state"`
	Pinned    bool    `json:"pinned"`
	Bytes     int64   `json:"memory_bytes"`     // that are promised to it
	Idle      float64 `json:"idle_seconds"`     // since a request used it last; 0 while one does
	Users     int     `json:"requests"`         // that use it
	Loading   int     `json:"requests_loading"` // that wait for it to be loaded
	Running   int     `json:"running"`          // sequences
	Waiting   int     `json:"waiting"`
	Slots     int     `json:"slots"`     // sequences that can run at once
	Context   int     `json:"context"`   // most tokens of each
	Invariant bool    `json:"invariant"` // an answer's bits follow from its request alone
	KVTokens  int     `json:"kv_tokens"`
	Prompt    uint64  `json:"prompt_tokens"` // since the start
	Generated uint64  `json:"generated_tokens"`
	Loads     uint64  `json:"loads"`
	Failures  uint64  `json:"load_failures"`
}

// ps serves GET /admin/ps: what the models are doing that are loaded, or were.
func (s *Server) ps(w http.ResponseWriter, _ *http.Request) {
	list := []process{}
	for _, m := range s.list() {
		if m.State == pool.Unloaded && m.Loads+m.Failures == 0 {
			continue
		}
		p := process{
			ID: m.ID, State: m.State.String(), Pinned: m.Pinned, Bytes: m.Bytes, Users: m.Users, Loading: m.Waiting,
			Running: m.Stats.Running, Waiting: m.Stats.Waiting, Slots: m.Limits.Seqs, Context: m.Limits.Context,
			Invariant: m.Limits.Invariant, KVTokens: m.Stats.HeldTokens, Prompt: m.Stats.PromptTokens,
			Generated: m.Stats.GeneratedTokens,
			Loads:     m.Loads, Failures: m.Failures,
		}
		if m.Users == 0 && !m.Used.IsZero() {
			p.Idle = time.Since(m.Used).Seconds()
		}
		list = append(list, p)
	}
	s.reply(w, http.StatusOK, struct {
		Models   []process `json:"models"`
		Draining bool      `json:"draining"`
	}{list, s.draining.Load()})
}

// load serves POST /admin/load: it answers when the model is loaded, or cannot be.
func (s *Server) load(w http.ResponseWriter, r *http.Request) { s.change(w, r, Source.Load) }

// unload serves POST /admin/unload: it answers when those that used the model are done and it is unloaded.
func (s *Server) unload(w http.ResponseWriter, r *http.Request) { s.change(w, r, Source.Unload) }

// change does something to the model that a request names, and answers what the model is then.
func (s *Server) change(w http.ResponseWriter, r *http.Request,
	do func(s Source, ctx context.Context, id string) error) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	id, err := openai.ParseModelName(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	source := s.models.get()
	if source == nil {
		s.fail(w, r, errLoading)
		return
	}
	recordOf(r.Context()).model = id
	if err := do(source, r.Context(), id); err != nil {
		s.fail(w, r, err)
		return
	}
	state := pool.Unloaded // unless another request wants it already
	for _, m := range source.List() {
		if m.ID == id {
			state = m.State
		}
	}
	s.reply(w, http.StatusOK, struct {
		ID    string `json:"id"`
		State string `json:"state"`
	}{id, state.String()})
}

// drain serves POST /admin/drain, for what stops a server in steps of its own: readiness goes to 503 and stays there.
func (s *Server) drain(w http.ResponseWriter, _ *http.Request) {
	s.Drain()
	s.reply(w, http.StatusOK, health{"draining"})
}
