package openai

// ResponseItem is an item of a response or of its input: a *[MessageItem], [ReasoningItem], [FunctionCallItem],
// [FunctionOutputItem], [CustomCallItem], [CustomOutputItem] or [ReferenceItem].
type ResponseItem interface{ ItemID() string }

// Values of the status of an item, and of a response.
const (
	StatusInProgress = "in_progress"
	StatusCompleted  = "completed"
	StatusIncomplete = "incomplete"
	StatusFailed     = "failed" // of responses
)

// The types of items.
const (
	ItemMessage        = "message"
	ItemReasoning      = "reasoning"
	ItemFunctionCall   = "function_call"
	ItemFunctionOutput = "function_call_output"
	ItemCustomCall     = "custom_tool_call"
	ItemCustomOutput   = "custom_tool_call_output"
	ItemReference      = "item_reference"
)

// MessageItem is a message.
type MessageItem struct {
	ID      string  `json:"id"`
	Type    string  `json:"type"` // always ItemMessage
	Status  string  `json:"status"`
	Role    string  `json:"role"` // user, system, developer or assistant
	Content []*Part `json:"content"`
}

// The types of parts.
const (
	PartInputText     = "input_text"
	PartOutputText    = "output_text"
	PartReasoningText = "reasoning_text"
	PartSummaryText   = "summary_text"
)

// Part is a text of an item.
type Part struct {
	Type        string          `json:"type"`
	Text        string          `json:"text"`
	Annotations *[]struct{}     `json:"annotations,omitempty"` // of output_text, where it is empty
	Logprobs    *[]TokenLogprob `json:"logprobs,omitempty"`    // of output_text, empty unless they were asked for
}

// NewOutputText returns an empty part of the assistant's text.
func NewOutputText() *Part {
	return &Part{Type: PartOutputText, Annotations: &[]struct{}{}, Logprobs: &[]TokenLogprob{}}
}

// ReasoningItem are thoughts. They stand in Summary if a summary was asked for, which nobody makes, else in Content, and
// sealed in EncryptedContent if that was asked for.
type ReasoningItem struct {
	ID               string  `json:"id"`
	Type             string  `json:"type"` // always ItemReasoning
	Status           string  `json:"status,omitempty"`
	Summary          []*Part `json:"summary"`
	Content          []*Part `json:"content,omitempty"`
	EncryptedContent *string `json:"encrypted_content"`

	param string // of EncryptedContent, in a request
}

// FunctionCallItem is a call of a function.
type FunctionCallItem struct {
	ID        string `json:"id"`
	Type      string `json:"type"` // always ItemFunctionCall
	Status    string `json:"status"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"` // that the function is declared in
	Arguments string `json:"arguments"`           // JSON
}

// FunctionOutputItem is what a function returned.
type FunctionOutputItem struct {
	ID     string `json:"id"`
	Type   string `json:"type"` // always ItemFunctionOutput
	Status string `json:"status"`
	CallID string `json:"call_id"`
	Output string `json:"output"`
}

// CustomCallItem is a call of a tool that takes free text.
type CustomCallItem struct {
	ID        string `json:"id"`
	Type      string `json:"type"` // always ItemCustomCall
	Status    string `json:"status"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"` // that the tool is declared in
	Input     string `json:"input"`
}

// CustomOutputItem is what such a tool returned.
type CustomOutputItem struct {
	ID     string `json:"id"`
	Type   string `json:"type"` // always ItemCustomOutput
	Status string `json:"status"`
	CallID string `json:"call_id"`
	Output string `json:"output"`
}

// ReferenceItem stands for an item of a response that is stored.
type ReferenceItem struct {
	ID   string `json:"id"`
	Type string `json:"type"` // always ItemReference
}

// ItemID implements ResponseItem.
func (i *MessageItem) ItemID() string { return i.ID }

// ItemID implements ResponseItem.
func (i *ReasoningItem) ItemID() string { return i.ID }

// ItemID implements ResponseItem.
func (i *FunctionCallItem) ItemID() string { return i.ID }

// ItemID implements ResponseItem.
func (i *FunctionOutputItem) ItemID() string { return i.ID }

// ItemID implements ResponseItem.
func (i *CustomCallItem) ItemID() string { return i.ID }

// ItemID implements ResponseItem.
func (i *CustomOutputItem) ItemID() string { return i.ID }

// ItemID implements ResponseItem.
func (i *ReferenceItem) ItemID() string { return i.ID }
