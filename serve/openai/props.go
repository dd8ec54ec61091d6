package openai

import "slices"

// Props is the answer to GET /props, as llama.cpp's server has it.
type Props struct {
	Defaults      PropsDefaults `json:"default_generation_settings"`
	TotalSlots    int           `json:"total_slots"` // sequences that run at once
	ModelAlias    string        `json:"model_alias"` // the name in requests
	ModelPath     string        `json:"model_path"`  // of the file, without its folder
	Modalities    Modalities    `json:"modalities"`
	ChatTemplate  string        `json:"chat_template"`
	BOSToken      string        `json:"bos_token"`
	EOSToken      string        `json:"eos_token"`
	BuildInfo     string        `json:"build_info"`
	IsSleeping    bool          `json:"is_sleeping"`           // unloaded, until a request asks for it
	WithoutEffect []string      `json:"fields_without_effect"` // of requests; not llama.cpp's
}

// PropsDefaults are the settings of a request that says nothing.
type PropsDefaults struct {
	Params SamplingSettings `json:"params"`
	NCtx   int              `json:"n_ctx"` // tokens of one sequence
}

// Modalities say what a model reads beside text.
type Modalities struct {
	Vision bool `json:"vision"`
	Audio  bool `json:"audio"`
}

// SamplingSettings are sampling parameters under llama.cpp's names.
type SamplingSettings struct {
	Seed             int64   `json:"seed"` // -1: one is drawn
	Temperature      float32 `json:"temperature"`
	TopK             int     `json:"top_k"`
	TopP             float32 `json:"top_p"`
	MinP             float32 `json:"min_p"`
	RepeatLastN      int     `json:"repeat_last_n"`
	RepeatPenalty    float32 `json:"repeat_penalty"`
	PresencePenalty  float32 `json:"presence_penalty"`
	FrequencyPenalty float32 `json:"frequency_penalty"`
}

// WithoutEffect returns the names of fields that requests may have and that cannot change an answer of this server, in
// alphabetical order, in a new slice.
func WithoutEffect() []string {
	return slices.Sorted(slices.Values(noEffect))
}
