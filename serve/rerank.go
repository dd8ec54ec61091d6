package serve

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// rerank serves POST /v1/rerank.
func (s *Server) rerank(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := openai.ParseRerank(body, s.c.Limits)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m, release, err := s.model(r.Context(), req.Model)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	scores, usage, err := s.scores(r, m, req)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	if n := req.TopN; n > 0 && n < len(order) {
		order = order[:n]
	}
	if req.TEI {
		list := make([]openai.TEIRank, len(order))
		for i, d := range order {
			list[i] = openai.TEIRank{Index: d, Score: scores[d]}
			if req.ReturnDocuments {
				list[i].Text = &req.Documents[d]
			}
		}
		s.reply(w, http.StatusOK, list)
		return
	}
	answer := openai.Ranking{
		Object: openai.ObjectList, Model: m.ID, Usage: usage, Results: make([]openai.RankResult, len(order)),
	}
	for i, d := range order {
		answer.Results[i] = openai.RankResult{Index: d, Score: scores[d]}
		if req.ReturnDocuments {
			answer.Results[i].Document = &openai.RankDocument{Text: req.Documents[d]}
		}
	}
	s.reply(w, http.StatusOK, answer)
}

// scores asks the model about each document of a request.
func (s *Server) scores(r *http.Request, m *Model, req *openai.RerankRequest) ([]float64, openai.InputUsage, error) {
	var usage openai.InputUsage
	if m.Ranker == nil {
		return nil, usage, &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "model",
			Code: openai.CodeUnsupported,
			Message: "this model was not made to rank documents: its file does not name the pooling rank, " +
				"which rerankers do",
		}
	}
	prompts, requests := make([][]int32, len(req.Documents)), make([]engine.EmbedRequest, len(req.Documents))
	for i, d := range req.Documents {
		ids, types, err := m.Ranker.Prompt(req.Query, d)
		if err != nil {
			return nil, usage, err
		}
		prompts[i], requests[i] = ids, engine.EmbedRequest{Prompt: ids, Types: types, Pooling: m.Ranker.Pooling()}
	}
	states, err := s.embedAll(r.Context(), m, requests)
	if err != nil {
		return nil, usage, err
	}
	scores := make([]float64, len(states))
	for i, state := range states {
		scores[i] = m.Ranker.Score(state)
	}
	return scores, inputUsage(prompts), nil
}
