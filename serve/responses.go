package serve

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/openai"
)

// responses serves POST /v1/responses.
func (s *Server) responses(w http.ResponseWriter, r *http.Request) {
	req, err := s.responseRequest(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m, release, err := s.writer(r.Context(), req.Model)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	input, err := s.conversation(r, req)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	g, write, err := s.converse(r.Context(), m, &req.ChatRequest)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer g.close(r.Context())
	b := &responseBuilder{answer: write(), generation: g, request: req, response: newResponse(m, req)}
	b.response.Store = req.Store && s.stored.budget > 0
	if space := recordOf(r.Context()).space; req.Sealed {
		b.seal = func(text string) string { return s.sealer.seal(space, text) }
	}
	b.keep = func() bool { return s.stored.add(recordOf(r.Context()).space, b.response, input) }
	if req.Stream {
		b.out = newStream(w, s.c.WriteTimeout)
		defer b.out.close()
		b.start()
		s.forward(r.Context(), g, b.out, b)
		return
	}
	if err := g.collect(r.Context(), b.token); err != nil {
		s.fail(w, r, err)
		return
	}
	b.finish()
	s.reply(w, http.StatusOK, b.response)
}

// responseRequest reads a request for a response.
func (s *Server) responseRequest(w http.ResponseWriter, r *http.Request) (*openai.ResponseRequest, error) {
	body, err := s.body(w, r)
	if err != nil {
		return nil, err
	}
	return openai.ParseResponse(body, s.c.Limits)
}

// conversation sets the messages of a request and returns the items that they are made of, those of earlier responses
// included.
func (s *Server) conversation(r *http.Request, req *openai.ResponseRequest) ([]openai.ResponseItem, error) {
	space := recordOf(r.Context()).space
	var previous []openai.ResponseItem
	if req.PreviousID != "" {
		stored := s.stored.get(space, req.PreviousID)
		if stored == nil {
			e := responseNotFound(req.PreviousID)
			e.Param, e.Code = "previous_response_id", "previous_response_not_found"
			return nil, e
		}
		previous = stored.items()
	}
	open := func(sealed string) (string, error) { return s.sealer.open(space, sealed) }
	if err := req.Open(open); err != nil {
		return nil, err
	}
	if err := req.Resolve(func(id string) openai.ResponseItem { return s.stored.item(space, id) }); err != nil {
		return nil, err
	}
	if err := req.Converse(previous); err != nil {
		return nil, err
	}
	return append(previous, req.Input...), nil
}

// newResponse returns the response to a request, of which nothing is there yet.
func newResponse(m *Model, req *openai.ResponseRequest) openai.Response {
	p := req.Sampling.Apply(m.Defaults.Apply(sample.Defaults()))
	o := openai.Response{
		ID: "resp_" + rand.Text(), Object: openai.ObjectResponse, CreatedAt: time.Now().Unix(), Model: m.ID,
		Status: openai.StatusInProgress, Output: []openai.ResponseItem{}, ResponseEcho: req.Echo,
		Instructions: req.Instructions, ParallelToolCalls: !req.OneCall, Temperature: p.Temperature, TopP: p.TopP,
		TopLogprobs: req.TopLogprobs, Truncation: "disabled", ServiceTier: "default",
	}
	if o.TopP == 0 { // off
		o.TopP = 1
	}
	if req.MaxTokens > 0 {
		o.MaxOutputTokens = &req.MaxTokens
	}
	if req.PreviousID != "" {
		o.PreviousResponseID = &req.PreviousID
	}
	return o
}

func responseNotFound(id string) *openai.Error {
	return &openai.Error{Status: http.StatusNotFound, Type: openai.TypeInvalidRequest, Code: "response_not_found",
		Message: fmt.Sprintf("response %s is not here: it was not stored, or has made room for others; "+
			"send the whole conversation", openai.Quoted(id))}
}

// storedResponse returns the stored response that a request names, or writes the error.
func (s *Server) storedResponse(w http.ResponseWriter, r *http.Request) *storedResponse {
	stored := s.stored.get(recordOf(r.Context()).space, r.PathValue("id"))
	if stored == nil {
		s.fail(w, r, responseNotFound(r.PathValue("id")))
	}
	return stored
}

// getResponse serves GET /v1/responses/{id}.
func (s *Server) getResponse(w http.ResponseWriter, r *http.Request) {
	if stream := r.URL.Query().Get("stream"); stream != "" && stream != "false" {
		s.fail(w, r, &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: "stream",
			Code: openai.CodeUnsupported, Message: "a stored response is not offered as a stream"})
		return
	}
	if stored := s.storedResponse(w, r); stored != nil {
		s.reply(w, http.StatusOK, stored.response)
	}
}

// deleteResponse serves DELETE /v1/responses/{id}.
func (s *Server) deleteResponse(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !s.stored.remove(recordOf(r.Context()).space, id) {
		s.fail(w, r, responseNotFound(id))
		return
	}
	s.reply(w, http.StatusOK, openai.DeletedResponse{ID: id, Object: openai.ObjectResponse, Deleted: true})
}

// listItems serves GET /v1/responses/{id}/input_items: the newest first unless order is asc.
func (s *Server) listItems(w http.ResponseWriter, r *http.Request) {
	const usual, most = 20, 100
	query := r.URL.Query()
	refuse := func(param, message string) {
		s.fail(w, r, &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: param,
			Code: openai.CodeValue, Message: message})
	}
	limit := usual
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			refuse("limit", fmt.Sprintf("must be from 1 to %d", most))
			return
		}
		limit = n
	}
	order := query.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		refuse("order", "must be asc or desc")
		return
	}
	stored := s.storedResponse(w, r)
	if stored == nil {
		return
	}
	items := slices.Clone(stored.input)
	if order != "asc" {
		slices.Reverse(items)
	}
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(items, func(item openai.ResponseItem) bool { return item.ItemID() == after })
		if i < 0 {
			refuse("after", "is the id of no item of this response")
			return
		}
		items = items[i+1:]
	}
	page := openai.ItemList{Object: openai.ObjectList, Data: items, HasMore: len(items) > limit}
	if page.HasMore {
		page.Data = items[:limit]
	}
	if n := len(page.Data); n > 0 {
		page.FirstID, page.LastID = new(page.Data[0].ItemID()), new(page.Data[n-1].ItemID())
	}
	s.reply(w, http.StatusOK, page)
}

// inputTokens serves POST /v1/responses/input_tokens.
func (s *Server) inputTokens(w http.ResponseWriter, r *http.Request) {
	req, err := s.responseRequest(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if _, err := s.conversation(r, req); err != nil {
		s.fail(w, r, err)
		return
	}
	n, err := s.promptTokens(r, &req.ChatRequest)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, openai.InputTokens{Object: openai.ObjectInputTokens, InputTokens: n})
}
