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
	// beginnings of the types of tools that are left out; not llama.cpp's
	HostedTools []string `json:"tools_without_effect"`
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
	Seed             int64    `json:"seed"` // -1: one is drawn
	Temperature      float32  `json:"temperature"`
	DynatempRange    float32  `json:"dynatemp_range"`
	DynatempExponent float32  `json:"dynatemp_exponent"`
	TopK             int      `json:"top_k"`
	TopP             float32  `json:"top_p"`
	MinP             float32  `json:"min_p"`
	TopNSigma        float32  `json:"top_n_sigma"` // -1 is off
	XTCProbability   float32  `json:"xtc_probability"`
	XTCThreshold     float32  `json:"xtc_threshold"`
	TypicalP         float32  `json:"typical_p"`
	RepeatLastN      int      `json:"repeat_last_n"`
	RepeatPenalty    float32  `json:"repeat_penalty"`
	PresencePenalty  float32  `json:"presence_penalty"`
	FrequencyPenalty float32  `json:"frequency_penalty"`
	DRYMultiplier    float32  `json:"dry_multiplier"`
	DRYBase          float32  `json:"dry_base"`
	DRYAllowedLength int      `json:"dry_allowed_length"`
	DRYLastN         int      `json:"dry_penalty_last_n"`
	DRYBreakers      []string `json:"dry_sequence_breakers"`
	Mirostat         int      `json:"mirostat"`
	MirostatTau      float32  `json:"mirostat_tau"`
	MirostatEta      float32  `json:"mirostat_eta"`
	MinKeep          int      `json:"min_keep"`
}

// WithoutEffect returns the names of fields that requests may have and that cannot change an answer of this server, in
// alphabetical order, in a new slice.
func WithoutEffect() []string {
	return slices.Sorted(slices.Values(noEffect))
}

// Slot is an entry of the answer to GET /slots of llama.cpp's server.
type Slot struct {
	ID          int  `json:"id"`
	NCtx        int  `json:"n_ctx"`
	Speculative bool `json:"speculative"`
	Processing  bool `json:"is_processing"`
}
