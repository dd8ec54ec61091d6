package anthropic

// The types of events, which also are their names in the stream.
const (
	EventMessageStart = "message_start"
	EventBlockStart   = "content_block_start"
	EventBlockDelta   = "content_block_delta"
	EventBlockStop    = "content_block_stop"
	EventMessageDelta = "message_delta"
	EventMessageStop  = "message_stop"
	EventPing         = "ping"
	EventError        = "error"
)

// MessageStart begins a stream, with a message that has no content yet.
type MessageStart struct {
	Type    string  `json:"type"`
	Message Message `json:"message"`
}

// BlockStart begins a block, which is empty.
type BlockStart struct {
	Type         string `json:"type"`
	Index        int    `json:"index"`
	ContentBlock Block  `json:"content_block"`
}

// BlockDelta adds to the block that was begun last.
type BlockDelta struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Delta Delta  `json:"delta"`
}

// Delta is what is added. One of its texts is set, that of its type.
type Delta struct {
	Type        string `json:"type"` // text_delta, thinking_delta, signature_delta or input_json_delta
	Text        string `json:"text,omitempty"`
	Thinking    string `json:"thinking,omitempty"`
	Signature   string `json:"signature,omitempty"`
	PartialJSON string `json:"partial_json,omitempty"`
}

// BlockStop ends a block.
type BlockStop struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
}

// MessageDelta says how the message ended.
type MessageDelta struct {
	Type  string `json:"type"`
	Delta Stop   `json:"delta"`
	Usage Usage  `json:"usage"`
}

// Stop is how a message ended.
type Stop struct {
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
}

// Plain is an event that says nothing but its type.
type Plain struct {
	Type string `json:"type"`
}
