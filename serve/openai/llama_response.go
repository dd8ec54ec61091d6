package openai

import (
	"bytes"
	"encoding/json"
	"strings"
)

// LlamaCompletion is the answer to POST /completion of llama.cpp's server, and the last event of a choice in a stream.
type LlamaCompletion struct {
	Index       int                `json:"index"`
	Content     string             `json:"content"` // empty in a stream, where it came before
	Tokens      []int32            `json:"tokens"`  // if they were asked for
	Slot        int                `json:"id_slot"` // -1: a sequence belongs to none
	Stop        bool               `json:"stop"`    // true
	Model       string             `json:"model"`
	Predicted   int                `json:"tokens_predicted"`
	Evaluated   int                `json:"tokens_evaluated"` // of the prompt
	Settings    GenerationSettings `json:"generation_settings"`
	Prompt      string             `json:"prompt"`
	HasNewLine  bool               `json:"has_new_line"`
	Truncated   bool               `json:"truncated"` // the context is full
	StopType    string             `json:"stop_type"` // eos, word or limit
	StopWord    string             `json:"stopping_word"`
	TokensTotal int                `json:"tokens_cached"` // of the prompt and the answer
	Timings     *Timings           `json:"timings"`

	Probs []TokenProb `json:"completion_probabilities,omitempty"`
}

// LlamaChunk is an event of a stream of llama.cpp's server.
type LlamaChunk struct {
	Index     int             `json:"index"`
	Content   string          `json:"content"`
	Tokens    []int32         `json:"tokens"`
	Stop      bool            `json:"stop"`    // false
	Slot      int             `json:"id_slot"` // as in LlamaCompletion
	Predicted int             `json:"tokens_predicted"`
	Evaluated int             `json:"tokens_evaluated"`
	Timings   *Timings        `json:"timings,omitempty"`
	Progress  *PromptProgress `json:"prompt_progress,omitempty"`

	Probs []TokenProb `json:"completion_probabilities,omitempty"`
}

// GenerationSettings are the parameters of an answer under llama.cpp's names.
type GenerationSettings struct {
	SamplingSettings
	Stop         []string    `json:"stop"`
	MaxTokens    int         `json:"max_tokens"` // -1: as many as the context allows
	NPredict     int         `json:"n_predict"`  // the same
	IgnoreEOS    bool        `json:"ignore_eos"`
	Stream       bool        `json:"stream"`
	LogitBias    []TokenBias `json:"logit_bias"`
	NProbs       int         `json:"n_probs"`
	PostSampling bool        `json:"post_sampling_probs"`
	TokenTimings bool        `json:"timings_per_token"`
}

// TokenBias is what is added to the logit of a token; null is minus infinity.
type TokenBias struct {
	Token int32    `json:"token"`
	Bias  *float32 `json:"bias"`
}

// TokenProb is a token with its log-probability and the most likely tokens in its place, or with its probability of
// being drawn and those that could be.
type TokenProb struct {
	ProbEntry
	Top      []ProbEntry `json:"top_logprobs,omitzero"`
	TopProbs []ProbEntry `json:"top_probs,omitzero"`
}

// ProbEntry is a token with its log-probability, or its probability of being drawn.
type ProbEntry struct {
	ID      int32    `json:"id"`
	Token   string   `json:"token"`
	Bytes   []int    `json:"bytes"`
	Logprob *float32 `json:"logprob,omitempty"`
	Prob    *float64 `json:"prob,omitempty"`
}

// Select returns the fields of an answer that a request asks for, each under its name, such as content or
// generation_settings/seed; those that are not there are left out.
func (c LlamaCompletion) Select(fields []string) (map[string]json.RawMessage, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for _, name := range fields {
		if v := lookup(text.Bytes(), name); v != nil {
			out[name] = v
		}
	}
	return out, nil
}

// lookup returns the value at a path of names between slashes, or nil.
func lookup(text json.RawMessage, path string) json.RawMessage {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		var object map[string]json.RawMessage
		if json.Unmarshal(text, &object) != nil {
			return nil
		}
		if text = object[name]; text == nil {
			return nil
		}
	}
	return text
}
