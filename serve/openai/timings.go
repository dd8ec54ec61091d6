package openai

// Timings say how long an answer took, as llama.cpp's server has them. The first token comes with the prompt, so that
// rates of what was predicted are over one token less.
type Timings struct {
	CacheN              int     `json:"cache_n"`  // tokens of the prompt that were kept
	PromptN             int     `json:"prompt_n"` // tokens of the prompt that were read
	PromptMS            float64 `json:"prompt_ms"`
	PromptPerTokenMS    float64 `json:"prompt_per_token_ms"`
	PromptPerSecond     float64 `json:"prompt_per_second"`
	PredictedN          int     `json:"predicted_n"`
	PredictedMS         float64 `json:"predicted_ms"`
	PredictedPerTokenMS float64 `json:"predicted_per_token_ms"`
	PredictedPerSecond  float64 `json:"predicted_per_second"`
	DraftN              int     `json:"draft_n,omitempty"`          // tokens that were guessed
	DraftNAccepted      int     `json:"draft_n_accepted,omitempty"` // of these, that became part of the answer
}

// PromptProgress says how far a prompt is, as llama.cpp's server has it.
type PromptProgress struct {
	Total     int   `json:"total"` // tokens
	Cache     int   `json:"cache"` // that were kept
	Processed int   `json:"processed"`
	TimeMS    int64 `json:"time_ms"` // since its reading began
}
