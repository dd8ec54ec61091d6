package openai

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
)

// EmbeddingRequest is the body of POST /v1/embeddings, and of llama.cpp's own POST /embedding.
type EmbeddingRequest struct {
	Model      string     // empty if absent
	Inputs     [][]Prompt // each of parts that follow on each other
	Param      string     // the field that the inputs came in
	Native     bool       // it is llama.cpp's own form
	Base64     bool       // vectors are the text of their bytes
	Dimensions int        // 0 if absent
	Norm       int        // as llama.cpp's embd_normalize: 2 for length 1, -1 for none
}

// refusedEmbedding are fields that would change the answer and that this server does not offer.
var refusedEmbedding = map[string]string{
	"truncate_prompt_tokens": "is not offered by this server: inputs that are too long are errors",
}

// ParseEmbedding reads a request for embeddings. The error is an *[Error].
func ParseEmbedding(body []byte, l Limits) (*EmbeddingRequest, error) {
	return parseEmbedding(body, l, false)
}

// ParseNativeEmbedding reads a request in the form that llama.cpp's /embedding has: the text may be called content,
// and embd_normalize says how vectors are scaled. The error is an *[Error].
func ParseNativeEmbedding(body []byte, l Limits) (*EmbeddingRequest, error) {
	return parseEmbedding(body, l, true)
}

func parseEmbedding(body []byte, l Limits, native bool) (*EmbeddingRequest, error) {
	e := EmbeddingRequest{Param: "input", Native: native, Norm: 2}
	err := parse(body, l, func(f fields) {
		r := f.r
		e.Model = f.text("model", 256)
		raw := f.take("input")
		if native {
			if content := f.take("content"); content != nil {
				if raw != nil {
					r.fail("content", CodeValue, "is another name of input; give one of them")
				}
				raw, e.Param = content, "content"
			}
			if n := f.integer("embd_normalize", -1, 64); n != nil {
				e.Norm = *n
			}
		} else if n := f.integer("dimensions", 1, math.MaxInt32); n != nil {
			e.Dimensions = *n
		}
		if raw == nil {
			r.fail(e.Param, CodeMissing, "is required")
			return
		}
		e.Inputs = r.inputs(e.Param, raw)
		if raw := f.take("encoding_format"); raw != nil {
			e.Base64 = r.oneOf("encoding_format", raw, "float", "base64") == "base64"
		}
		f.ignore("user")
		f.refuse(refusedEmbedding)
	})
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// inputs decodes a string, an array of token ids that may have strings among them, or an array of either.
func (r *reader) inputs(param string, raw json.RawMessage) [][]Prompt {
	if raw[0] != '[' {
		return [][]Prompt{r.mixed(param, raw)}
	}
	list := r.elements(param, raw, max(r.limits.PromptTokens, r.limits.Inputs))
	isNumber := func(e json.RawMessage) bool { return kind(e) == "a number" }
	switch {
	case len(list) == 0:
		r.fail(param, CodeValue, "must not be empty")
		return nil
	case slices.ContainsFunc(list, isNumber):
		return [][]Prompt{r.mixed(param, raw)}
	case len(list) > r.limits.Inputs:
		r.fail(param, CodeValue, "has %d inputs, at most %d are allowed", len(list), r.limits.Inputs)
		return nil
	}
	inputs := make([][]Prompt, len(list))
	for i, e := range list {
		if inputs[i] = r.mixed(index(param, i), e); r.err == nil && len(inputs[i]) == 0 {
			r.fail(index(param, i), CodeValue, "must not be empty")
		}
	}
	return inputs
}

// ObjectEmbedding is the value of an embedding's object field.
const ObjectEmbedding = "embedding"

// EmbeddingList is the answer to POST /v1/embeddings.
type EmbeddingList struct {
	Object string      `json:"object"`
	Data   []Embedding `json:"data"` // in the order of the inputs
	Model  string      `json:"model"`
	Usage  InputUsage  `json:"usage"`
}

// Embedding is the vector of an input.
type Embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding Vector `json:"embedding"`
}

// NativeEmbedding is the vectors of an input in llama.cpp's form: one, or one for each token.
type NativeEmbedding struct {
	Index     int      `json:"index"`
	Embedding []Vector `json:"embedding"`
}

// InputUsage counts tokens of requests that generate none.
type InputUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

// Vector is numbers, or the base64 form of their bytes as little-endian float32.
type Vector struct {
	Numbers []float32
	Base64  bool
}

// MarshalJSON implements json.Marshaler.
func (v Vector) MarshalJSON() ([]byte, error) {
	if !v.Base64 {
		if v.Numbers == nil {
			return []byte("[]"), nil
		}
		return json.Marshal(v.Numbers)
	}
	b := make([]byte, 0, 4*len(v.Numbers))
	for _, x := range v.Numbers {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(b))
}
