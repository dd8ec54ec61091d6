package anthropic

import "encoding/json"

// Reasons why a message ended.
const (
	StopEndTurn      = "end_turn"
	StopMaxTokens    = "max_tokens"
	StopStopSequence = "stop_sequence"
	StopToolUse      = "tool_use"
)

// Message is the answer to a request.
type Message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"` // always "message"
	Role         string  `json:"role"` // always "assistant"
	Model        string  `json:"model"`
	Content      []Block `json:"content"`
	StopReason   *string `json:"stop_reason"`   // null until the message has ended
	StopSequence *string `json:"stop_sequence"` // null unless one ended it
	Usage        Usage   `json:"usage"`
}

// Usage counts tokens. The whole prompt is the sum of the three kinds of input tokens.
type Usage struct {
	InputTokens              int `json:"input_tokens"`                // that were read
	CacheCreationInputTokens int `json:"cache_creation_input_tokens"` // always 0: what is kept costs nothing
	CacheReadInputTokens     int `json:"cache_read_input_tokens"`     // that were not read, because what they lead to was kept
	OutputTokens             int `json:"output_tokens"`
}

// Block is a part of a message: a [TextBlock], [ThinkingBlock] or [ToolUseBlock].
type Block interface{ isBlock() }

// TextBlock is text.
type TextBlock struct {
	Type string `json:"type"` // always "text"
	Text string `json:"text"`
}

// ThinkingBlock are thoughts. Their signature is a hash, which the server does not ask for again.
type ThinkingBlock struct {
	Type      string `json:"type"` // always "thinking"
	Thinking  string `json:"thinking"`
	Signature string `json:"signature"`
}

// ToolUseBlock is a call.
type ToolUseBlock struct {
	Type  string          `json:"type"` // always "tool_use"
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"` // an object
}

func (*TextBlock) isBlock()     {}
func (*ThinkingBlock) isBlock() {}
func (*ToolUseBlock) isBlock()  {}

// TokenCount is the answer to a request for the number of a prompt's tokens.
type TokenCount struct {
	InputTokens int `json:"input_tokens"`
}
