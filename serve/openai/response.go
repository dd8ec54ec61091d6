package openai

import "encoding/json"

// Values of the object fields.
const (
	ObjectChatCompletion = "chat.completion"
	ObjectChatChunk      = "chat.completion.chunk"
	ObjectCompletion     = "text_completion" // of completions and of their chunks
	ObjectModel          = "model"
	ObjectList           = "list"
)

// Usage counts tokens. Several choices share one prompt, which counts once.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`

	// of servers that keep prompts
	PromptTokensDetails     *PromptTokensDetails     `json:"prompt_tokens_details,omitempty"`
	CompletionTokensDetails *CompletionTokensDetails `json:"completion_tokens_details,omitempty"`
}

// PromptTokensDetails says what became of the tokens of the prompt.
type PromptTokensDetails struct {
	CachedTokens int `json:"cached_tokens"` // were not read, because what they lead to was kept
}

// CompletionTokensDetails says what tokens were generated for.
type CompletionTokensDetails struct {
	ReasoningTokens int `json:"reasoning_tokens"` // thoughts and their markers

	// of servers that guess tokens: those that became part of the answer, and those that did not and are not counted
	// elsewhere
	AcceptedPredictionTokens *int `json:"accepted_prediction_tokens,omitempty"`
	RejectedPredictionTokens *int `json:"rejected_prediction_tokens,omitempty"`
}

// ChatCompletion is the answer to a chat request without stream.
type ChatCompletion struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"` // seconds since 1970
	Model   string       `json:"model"`
	Build   string       `json:"system_fingerprint"` // of the program
	Choices []ChatChoice `json:"choices"`
	Usage   Usage        `json:"usage"`
	Timings *Timings     `json:"timings,omitempty"` // of the first choice

	Verbose *LlamaCompletion `json:"__verbose,omitempty"` // the first choice as /completion has it, if that is asked for
}

// ChatChoice is one answer to the conversation.
type ChatChoice struct {
	Index        int           `json:"index"`
	Message      ChatMessage   `json:"message"`
	Logprobs     *ChatLogprobs `json:"logprobs"`
	FinishReason string        `json:"finish_reason"`

	FinishDetails *FinishDetails `json:"finish_details,omitempty"`
}

// FinishDetails explain an answer that says nothing because its tokens ran out. They are not OpenAI's.
type FinishDetails struct {
	Type    string `json:"type"` // always "max_tokens"
	Message string `json:"message"`
}

// NewFinishDetails returns the details with a message, or nil if it is empty.
func NewFinishDetails(message string) *FinishDetails {
	if message == "" {
		return nil
	}
	return &FinishDetails{"max_tokens", message}
}

// ChatMessage is the assistant's message.
type ChatMessage struct {
	Role             string     `json:"role"`
	Content          *string    `json:"content"` // null beside calls alone
	Refusal          *string    `json:"refusal"` // always null
	ReasoningContent string     `json:"reasoning_content,omitempty"`
	ToolCalls        []ToolCall `json:"tool_calls,omitempty"`
}

// ToolCall is a call of a function.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"` // always "function"
	Function CallFunction `json:"function"`
}

// CallFunction is the function of a call, with the JSON of its arguments.
type CallFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// ToolCallDelta is what a chunk adds to a call: first id, type and name, and then pieces of the arguments.
type ToolCallDelta struct {
	Index    int               `json:"index"`
	ID       string            `json:"id,omitempty"`
	Type     string            `json:"type,omitempty"`
	Function CallFunctionDelta `json:"function"`
}

// CallFunctionDelta is what a chunk adds to the function of a call.
type CallFunctionDelta struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// ChatLogprobs are the log-probabilities of a choice's tokens.
type ChatLogprobs struct {
	Content []TokenLogprob `json:"content"`
	Refusal []TokenLogprob `json:"refusal"` // always null
}

// TokenLogprob is a token with its log-probability and the most likely tokens in its place.
type TokenLogprob struct {
	LogprobEntry
	TopLogprobs []LogprobEntry `json:"top_logprobs"`
}

// LogprobEntry is a token with its log-probability.
type LogprobEntry struct {
	Token   string  `json:"token"`
	Logprob float32 `json:"logprob"`
	Bytes   []int   `json:"bytes"` // of the token, which need not be whole characters
}

// ChatChunk is an event of a chat stream.
type ChatChunk struct {
	ID      string            `json:"id"`
	Object  string            `json:"object"`
	Created int64             `json:"created"`
	Model   string            `json:"model"`
	Build   string            `json:"system_fingerprint"`
	Choices []ChatChunkChoice `json:"choices"` // empty in the chunk with the usage
	Usage   *Usage            `json:"usage,omitempty"`
	// of the choice, in its last chunk, and wherever they are asked for
	Timings  *Timings        `json:"timings,omitempty"`
	Progress *PromptProgress `json:"prompt_progress,omitempty"` // in chunks of their own, if they are asked for

	Verbose *LlamaCompletion `json:"__verbose,omitempty"` // as in ChatCompletion, in the last chunk of the first choice
}

// ChatChunkChoice is a change of one choice.
type ChatChunkChoice struct {
	Index        int           `json:"index"`
	Delta        ChatDelta     `json:"delta"`
	Logprobs     *ChatLogprobs `json:"logprobs"`
	FinishReason *string       `json:"finish_reason"` // null until the last change

	FinishDetails *FinishDetails `json:"finish_details,omitempty"` // in the last change
}

// ChatDelta is what a chunk adds to the message. The first has the role.
type ChatDelta struct {
	Role             string          `json:"role,omitempty"`
	Content          *string         `json:"content,omitempty"`
	ReasoningContent *string         `json:"reasoning_content,omitempty"`
	ToolCalls        []ToolCallDelta `json:"tool_calls,omitempty"`
}

// MarshalJSON implements json.Marshaler: the delta with the role says that there is no content yet.
func (d ChatDelta) MarshalJSON() ([]byte, error) {
	type delta ChatDelta
	if d.Role == "" {
		return json.Marshal(delta(d))
	}
	return json.Marshal(struct {
		Role    string  `json:"role"`
		Content *string `json:"content"`
	}{d.Role, d.Content})
}

// Completion is the answer to a completion request, and an event of its stream.
type Completion struct {
	ID       string             `json:"id"`
	Object   string             `json:"object"`
	Created  int64              `json:"created"`
	Model    string             `json:"model"`
	Build    string             `json:"system_fingerprint"` // of the program
	Choices  []CompletionChoice `json:"choices"`
	Usage    *Usage             `json:"usage,omitempty"`
	Timings  *Timings           `json:"timings,omitempty"` // as in ChatCompletion and ChatChunk
	Progress *PromptProgress    `json:"prompt_progress,omitempty"`
}

// CompletionChoice is the text after a prompt, or what an event adds to it.
type CompletionChoice struct {
	Index        int                 `json:"index"`
	Text         string              `json:"text"`
	Logprobs     *CompletionLogprobs `json:"logprobs"`
	FinishReason *string             `json:"finish_reason"`
}

// CompletionLogprobs are the log-probabilities of a choice's tokens, as parallel lists. A token that is not whole
// characters is written as in "bytes:\\xe2\\x80".
type CompletionLogprobs struct {
	Tokens        []string             `json:"tokens"`
	TokenLogprobs []*float32           `json:"token_logprobs"` // null for the first token of a prompt
	TopLogprobs   []map[string]float32 `json:"top_logprobs"`   // with the token itself, so that there may be one more
	// character at which the token's text starts in the choice's text
	TextOffset []int `json:"text_offset"`
}

// NewCompletionLogprobs returns empty lists.
func NewCompletionLogprobs() *CompletionLogprobs {
	return &CompletionLogprobs{Tokens: []string{}, TokenLogprobs: []*float32{}, TopLogprobs: []map[string]float32{},
		TextOffset: []int{}}
}

// Model is an entry of the list of models.
type Model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	// Not OpenAI's: further names of the model.
	Aliases []string `json:"aliases"`
	Tags    []string `json:"tags"`   // what its owner says of it
	Loaded  bool     `json:"loaded"` // not OpenAI's: a request for the model need not wait for it
}

// ModelList is the answer to GET /v1/models.
type ModelList struct {
	Object string       `json:"object"`
	Data   []Model      `json:"data"`
	Models []CodexModel `json:"models"` // the same, as Codex wants to know them
}
