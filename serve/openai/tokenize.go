package openai

import (
	"encoding/json"
)

// TokenizeRequest is the body of POST /tokenize, as llama.cpp's server has it.
type TokenizeRequest struct {
	Model        string   // empty if absent
	Content      []Prompt // parts in their order, each text or ids
	AddSpecial   bool     // add what the model expects round a text, such as BOS
	ParseSpecial bool     // texts of special tokens stand for them; the default
	WithPieces   bool     // answer with the pieces of text beside the ids
}

// ParseTokenize reads a request to tokenize. The error is an *[Error].
func ParseTokenize(body []byte, l Limits) (*TokenizeRequest, error) {
	var t TokenizeRequest
	err := parse(body, l, func(f fields) {
		t.Model = f.text("model", 256)
		if raw := f.need("content"); raw != nil {
			t.Content = f.r.mixed("content", raw)
		}
		t.AddSpecial, t.WithPieces = f.boolean("add_special"), f.boolean("with_pieces")
		t.ParseSpecial = f.booleanOr("parse_special", true)
	})
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// mixed decodes a string, or an array of strings and token ids that follow on each other.
func (r *reader) mixed(param string, raw json.RawMessage) []Prompt {
	if raw[0] == '"' {
		return []Prompt{{Text: r.text(param, raw, int(r.limits.BodyBytes))}}
	}
	if raw[0] != '[' {
		r.wrongType(param, "a string, or an array of strings and token ids", raw)
		return nil
	}
	var parts []Prompt
	list := r.elements(param, raw, r.limits.PromptTokens)
	for i := 0; i < len(list); {
		if list[i][0] == '"' {
			parts = append(parts, Prompt{Text: r.text(index(param, i), list[i], int(r.limits.BodyBytes))})
			i++
			continue
		}
		ids := []int32{}
		for ; i < len(list) && list[i][0] != '"' && r.err == nil; i++ {
			ids = append(ids, r.token(param, i, list[i]))
		}
		if r.err != nil {
			return nil
		}
		parts = append(parts, Prompt{Tokens: ids})
	}
	return parts
}

// DetokenizeRequest is the body of POST /detokenize, as llama.cpp's server has it.
type DetokenizeRequest struct {
	Model  string // empty if absent
	Tokens []int32
}

// ParseDetokenize reads a request to detokenize. The error is an *[Error].
func ParseDetokenize(body []byte, l Limits) (*DetokenizeRequest, error) {
	d := DetokenizeRequest{}
	err := parse(body, l, func(f fields) {
		d.Model = f.text("model", 256)
		if raw := f.need("tokens"); raw != nil {
			for i, e := range f.r.elements("tokens", raw, f.r.limits.PromptTokens) {
				d.Tokens = append(d.Tokens, f.r.token("tokens", i, e))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// Tokens is the answer to POST /tokenize.
type Tokens struct {
	Tokens []any `json:"tokens"` // of int32, or of [TokenPiece]
}

// TokenPiece is a token with its text.
type TokenPiece struct {
	ID    int32 `json:"id"`
	Piece any   `json:"piece"` // a string, or an array of bytes where these are no whole characters
}

// Text is the answer to POST /detokenize.
type Text struct {
	Content string `json:"content"`
}

// RenderedPrompt is the answer to POST /apply-template.
type RenderedPrompt struct {
	Prompt string `json:"prompt"`
}
