package serve

import (
	"net/http"

	"github.com/hipengine/hipengine/serve/openai"
)

// slots serves GET /slots: the sequences that can run at once. A sequence belongs to no slot, so that the first are
// shown busy.
func (s *Server) slots(w http.ResponseWriter, r *http.Request) {
	id, err := s.resolve(r.URL.Query().Get("model"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, m := range s.list() {
		if m.ID != id {
			continue
		}
		if r.URL.Query().Get("fail_on_no_slot") != "" && m.Stats.Running >= m.Limits.Seqs {
			s.fail(w, r, unavailable("no slot is idle"))
			return
		}
		list := make([]openai.Slot, m.Limits.Seqs)
		for i := range list {
			list[i] = openai.Slot{ID: i, NCtx: m.Limits.Context, Processing: i < m.Stats.Running,
				Speculative: m.Stats.Drafts > 0}
		}
		s.reply(w, http.StatusOK, list)
		return
	}
	s.fail(w, r, modelNotFound(id))
}

// changeSlot serves POST /slots/{id}, which saves, restores and erases states. Here they are found by what they begin
// with.
func (s *Server) changeSlot(w http.ResponseWriter, r *http.Request) {
	switch action := r.URL.Query().Get("action"); action {
	case "save", "restore", "erase":
		s.fail(w, r, notSupported(
			"states of prompts belong to no slot: a prompt that begins like an earlier one finds "+
				"its state by itself, with --cache-dir also after the server was stopped"))
	default:
		s.fail(w, r, &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "action",
			Code:    openai.CodeValue,
			Message: "must be save, restore or erase"})
	}
}
