package serve

import "net/http"

// process is a model in the answer of /admin/ps.
type process struct {
	ID        string `json:"id"`
	Running   int    `json:"running"` // sequences
	Waiting   int    `json:"waiting"`
	Slots     int    `json:"slots"`     // sequences that can run at once
	Context   int    `json:"context"`   // most tokens of each
	Invariant bool   `json:"invariant"` // an answer's bits follow from its request alone
	KVTokens  int    `json:"kv_tokens"`
	Prompt    uint64 `json:"prompt_tokens"` // since the start
	Generated uint64 `json:"generated_tokens"`
}

// ps serves GET /admin/ps: what the models are doing.
func (s *Server) ps(w http.ResponseWriter, _ *http.Request) {
	list := []process{}
	for _, m := range s.measured() {
		list = append(list, process{
			ID: m.Name, Running: m.Stats.Running, Waiting: m.Stats.Waiting, Slots: m.Limits.Seqs, Context: m.Limits.Context,
			Invariant: m.Limits.Invariant, KVTokens: m.Stats.HeldTokens, Prompt: m.Stats.PromptTokens, Generated: m.Stats.GeneratedTokens,
		})
	}
	s.reply(w, http.StatusOK, struct {
		Models   []process `json:"models"`
		Draining bool      `json:"draining"`
	}{list, s.draining.Load()})
}

// drain serves POST /admin/drain, for what stops a server in steps of its own: readiness goes to 503 and stays there.
func (s *Server) drain(w http.ResponseWriter, _ *http.Request) {
	s.Drain()
	s.reply(w, http.StatusOK, health{"draining"})
}
