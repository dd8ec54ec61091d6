package openai

// ObjectResponse is the value of the object field of responses.
const ObjectResponse = "response"

// Response is the answer to POST /v1/responses.
type Response struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	CreatedAt   int64  `json:"created_at"`   // seconds since 1970
	CompletedAt *int64 `json:"completed_at"` // null until then
	Status      string `json:"status"`
	Model       string `json:"model"`

	Output            []ResponseItem  `json:"output"`
	Error             *ResponseError  `json:"error"`
	IncompleteDetails *IncompleteInfo `json:"incomplete_details"`
	Usage             *ResponseUsage  `json:"usage"` // null until it is over

	ResponseEcho
	Instructions       *string `json:"instructions"`
	PreviousResponseID *string `json:"previous_response_id"`
	MaxOutputTokens    *int    `json:"max_output_tokens"`
	ParallelToolCalls  bool    `json:"parallel_tool_calls"`
	Temperature        float32 `json:"temperature"`
	TopP               float32 `json:"top_p"`
	TopLogprobs        int     `json:"top_logprobs"`
	Store              bool    `json:"store"`
	Truncation         string  `json:"truncation"`   // always "disabled"
	ServiceTier        string  `json:"service_tier"` // always "default"
	Background         bool    `json:"background"`   // always false
}

// ResponseError says why a response failed.
type ResponseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// IncompleteInfo says why a response is not complete.
type IncompleteInfo struct {
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"` // not OpenAI's: explains a response that says nothing
}

// ReasonMaxTokens is the reason of responses whose tokens ran out.
const ReasonMaxTokens = "max_output_tokens"

// ResponseUsage counts tokens.
type ResponseUsage struct {
	InputTokens         int                     `json:"input_tokens"`
	InputTokensDetails  PromptTokensDetails     `json:"input_tokens_details"`
	OutputTokens        int                     `json:"output_tokens"`
	OutputTokensDetails CompletionTokensDetails `json:"output_tokens_details"`
	TotalTokens         int                     `json:"total_tokens"`
}

// DeletedResponse is the answer to DELETE /v1/responses/{id}.
type DeletedResponse struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// ItemList is a page of the items that a response was made of.
type ItemList struct {
	Object  string         `json:"object"`
	Data    []ResponseItem `json:"data"`
	FirstID *string        `json:"first_id"`
	LastID  *string        `json:"last_id"`
	HasMore bool           `json:"has_more"`
}

// InputTokens is the answer to POST /v1/responses/input_tokens.
type InputTokens struct {
	Object      string `json:"object"`
	InputTokens int    `json:"input_tokens"`
}

// ObjectInputTokens is the value of the object field of InputTokens.
const ObjectInputTokens = "response.input_tokens"

// The types of the events of a streamed response, which also are their names in the stream.
const (
	EventCreated    = "response.created"
	EventInProgress = "response.in_progress"
	EventCompleted  = "response.completed"
	EventIncomplete = "response.incomplete"
	EventFailed     = "response.failed"

	EventItemAdded   = "response.output_item.added"
	EventItemDone    = "response.output_item.done"
	EventPartAdded   = "response.content_part.added"
	EventPartDone    = "response.content_part.done"
	EventTextDelta   = "response.output_text.delta"
	EventTextDone    = "response.output_text.done"
	EventReasonDelta = "response.reasoning_text.delta"
	EventReasonDone  = "response.reasoning_text.done"

	EventSummaryAdded = "response.reasoning_summary_part.added"
	EventSummaryDone  = "response.reasoning_summary_part.done"
	EventSummaryDelta = "response.reasoning_summary_text.delta"
	EventSummaryText  = "response.reasoning_summary_text.done"

	EventArgumentsDelta = "response.function_call_arguments.delta"
	EventArgumentsDone  = "response.function_call_arguments.done"
	EventInputDelta     = "response.custom_tool_call_input.delta"
	EventInputDone      = "response.custom_tool_call_input.done"
)

// ResponseEvent is an event of a streamed response. Which members it has depends on its type.
type ResponseEvent struct {
	Type           string          `json:"type"`
	SequenceNumber int             `json:"sequence_number"` // from 0
	Response       *Response       `json:"response,omitempty"`
	ItemID         string          `json:"item_id,omitempty"`
	OutputIndex    *int            `json:"output_index,omitempty"`
	ContentIndex   *int            `json:"content_index,omitempty"`
	SummaryIndex   *int            `json:"summary_index,omitempty"`
	Item           ResponseItem    `json:"item,omitempty"`
	Part           *Part           `json:"part,omitempty"`
	Delta          *string         `json:"delta,omitempty"`
	Text           *string         `json:"text,omitempty"`
	Logprobs       *[]TokenLogprob `json:"logprobs,omitempty"`
	Name           string          `json:"name,omitempty"`
	Arguments      *string         `json:"arguments,omitempty"`
	Input          *string         `json:"input,omitempty"`

	Timings  *Timings        `json:"timings,omitempty"`         // with timings_per_token
	Progress *PromptProgress `json:"prompt_progress,omitempty"` // in events in_progress of their own, if asked for
}
