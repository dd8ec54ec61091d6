package serve

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/hipengine/hipengine/serve/openai"
)

// tokenize serves POST /tokenize.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := openai.ParseTokenize(body, s.c.Limits)
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
	ids, err := m.encode(req.Content, req.AddSpecial, req.ParseSpecial)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := m.checkIDs("content", ids); err != nil {
		s.fail(w, r, err)
		return
	}
	out := openai.Tokens{Tokens: make([]any, len(ids))}
	for i, id := range ids {
		if out.Tokens[i] = id; req.WithPieces {
			out.Tokens[i] = openai.TokenPiece{ID: id, Piece: wirePiece(m.Tokenizer.Piece(id, true))}
		}
	}
	s.reply(w, http.StatusOK, out)
}

// encode returns the ids of parts that follow on each other. What the model expects round a text goes round the first
// of them alone, if that is text.
func (m *Model) encode(parts []openai.Prompt, addSpecial, parseSpecial bool) ([]int32, error) {
	var ids []int32
	for i, p := range parts {
		if p.Tokens != nil {
			ids = append(ids, p.Tokens...)
			continue
		}
		of, err := m.Tokenizer.EncodeText(p.Text, addSpecial && i == 0, parseSpecial)
		if err != nil {
			return nil, err
		}
		ids = append(ids, of...)
	}
	return ids, nil
}

// wirePiece returns the text of a token, or its bytes where they are no whole characters.
func wirePiece(b []byte) any {
	if utf8.Valid(b) {
		return string(b)
	}
	list := make([]int, len(b))
	for i, c := range b {
		list[i] = int(c)
	}
	return list
}

// detokenize serves POST /detokenize.
func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := openai.ParseDetokenize(body, s.c.Limits)
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
	if err := m.checkIDs("tokens", req.Tokens); err != nil {
		s.fail(w, r, err)
		return
	}
	text := m.Tokenizer.Decode(req.Tokens, true)
	s.reply(w, http.StatusOK, openai.Text{Content: strings.ToValidUTF8(text, "\uFFFD")})
}

// chatTokens serves POST /v1/chat/completions/input_tokens: how many tokens a chat request's prompt has.
func (s *Server) chatTokens(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := s.parseChat(body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	n, err := s.promptTokens(r, req)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, openai.PromptTokens{Tokens: n})
}

// applyTemplate serves POST /apply-template: the prompt that a chat request would be read as.
func (s *Server) applyTemplate(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	req, err := s.parseChat(body)
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
	text, err := s.renderText(m, req)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, openai.RenderedPrompt{Prompt: text})
}
