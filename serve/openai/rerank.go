package openai

import (
	"encoding/json"
	"math"
)

// RerankRequest is the body of POST /v1/rerank, in the form that Jina and Cohere have, or in that of text-embeddings-inference.
type RerankRequest struct {
	Model           string // empty if absent
	Query           string
	Documents       []string
	TopN            int  // results; 0 is all
	ReturnDocuments bool // results hold their text
	TEI             bool // the documents came as texts, so that the answer is a list
}

// refusedRerank are fields that would change the answer and that this server does not offer.
var refusedRerank = map[string]string{
	"max_chunks_per_doc":   "is not offered by this server: documents are not cut, and those that are too long are errors",
	"max_tokens_per_doc":   "is not offered by this server: documents are not cut, and those that are too long are errors",
	"rank_fields":          "is not offered by this server; put the text of the fields into the documents",
	"raw_scores":           "is not offered by this server: scores are from 0 to 1",
	"truncate":             "is not offered by this server: documents that are too long are errors",
	"truncation_direction": "is not offered by this server: documents that are too long are errors",
}

// ParseRerank reads a request to rank documents. The error is an *[Error].
func ParseRerank(body []byte, l Limits) (*RerankRequest, error) {
	var q RerankRequest
	err := parse(body, l, func(f fields) {
		r := f.r
		q.Model = f.text("model", 256)
		if raw := f.need("query"); raw != nil {
			q.Query = r.text("query", raw, int(r.limits.BodyBytes))
		}
		param, raw := "documents", f.take("documents")
		if texts := f.take("texts"); texts != nil {
			if raw != nil {
				r.fail("texts", CodeValue, "is another name of documents; give one of them")
			}
			param, raw, q.TEI = "texts", texts, true
		}
		if raw == nil {
			r.fail(param, CodeMissing, "is required")
			return
		}
		q.Documents = r.documents(param, raw)
		if n := f.integer("top_n", 1, math.MaxInt32); n != nil {
			q.TopN = *n
		}
		name := "return_documents"
		if q.TEI {
			name = "return_text"
		}
		q.ReturnDocuments = f.boolean(name)
		f.off("truncate", "raw_scores")
		f.ignore("user")
		f.refuse(refusedRerank)
	})
	if err != nil {
		return nil, err
	}
	return &q, nil
}

// off removes members that are false, which asks for nothing.
func (f fields) off(names ...string) {
	for _, name := range names {
		if string(f.members[name]) == "false" {
			delete(f.members, name)
		}
	}
}

// documents decodes an array of strings, or of objects with a text.
func (r *reader) documents(param string, raw json.RawMessage) []string {
	list := r.elements(param, raw, r.limits.Inputs)
	if len(list) == 0 {
		r.fail(param, CodeValue, "must not be empty") // or wrong otherwise, which elements has reported
		return nil
	}
	texts := make([]string, len(list))
	for i, e := range list {
		at := index(param, i)
		switch e[0] {
		case '"':
			texts[i] = r.text(at, e, int(r.limits.BodyBytes))
		case '{':
			d := r.object(at, e)
			if raw := d.need("text"); raw != nil {
				texts[i] = r.text(d.path+"text", raw, int(r.limits.BodyBytes))
			}
			d.end()
		default:
			r.wrongType(at, "a string, or an object with a text", e)
		}
	}
	return texts
}

// Ranking is the answer to POST /v1/rerank.
type Ranking struct {
	Object  string       `json:"object"` // always "list"
	Model   string       `json:"model"`
	Usage   InputUsage   `json:"usage"`
	Results []RankResult `json:"results"` // the most relevant first
}

// RankResult is what a document came to.
type RankResult struct {
	Index    int           `json:"index"`           // in the request
	Score    float64       `json:"relevance_score"` // from 0 to 1
	Document *RankDocument `json:"document,omitempty"`
}

// RankDocument is a document of the request.
type RankDocument struct {
	Text string `json:"text"`
}

// TEIRank is a result in the form of text-embeddings-inference, whose answers are lists of them.
type TEIRank struct {
	Index int     `json:"index"`
	Score float64 `json:"score"`
	Text  *string `json:"text,omitempty"`
}
