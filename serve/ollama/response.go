package ollama

import (
	"encoding/json"
	"time"

	"github.com/hipengine/hipengine/serve/openai"
)

// APIVersion is the version of Ollama's API that the server follows. Clients that need a newer one say so.
const APIVersion = "0.13.0"

// Values of done_reason.
const (
	DoneStop   = "stop"
	DoneLength = "length"
	DoneLoad   = "load" // there was nothing to answer
)

// Error is an error in Ollama's form. It is also the last line of a stream.
type Error struct {
	Error string `json:"error"` // begins with the path of the field at fault
}

// NewError returns an error in Ollama's form.
func NewError(e *openai.Error) Error {
	switch {
	case e.Code == "model_not_found": // in words that clients look for
		return Error{"model not found: " + e.Message}
	case e.Param == "":
		return Error{e.Message}
	}
	return Error{e.Param + ": " + e.Message}
}

// Head begins every answer.
type Head struct {
	Model     string    `json:"model"`
	CreatedAt time.Time `json:"created_at"`
}

// Done ends every answer, with times in nanoseconds.
type Done struct {
	Done               bool   `json:"done"`
	DoneReason         string `json:"done_reason,omitempty"`
	TotalDuration      int64  `json:"total_duration,omitempty"`
	LoadDuration       int64  `json:"load_duration,omitempty"` // until the model was there
	PromptEvalCount    int    `json:"prompt_eval_count,omitempty"`
	PromptEvalDuration int64  `json:"prompt_eval_duration,omitempty"` // to the first token, with the time in the queue
	EvalCount          int    `json:"eval_count,omitempty"`
	EvalDuration       int64  `json:"eval_duration,omitempty"` // from the first token on
}

// ChatAnswer is the answer to POST /api/chat, or a line of its stream, which adds to the message.
type ChatAnswer struct {
	Head
	Message  Message               `json:"message"`
	Logprobs []openai.TokenLogprob `json:"logprobs,omitempty"`
	Done
}

// Message is the assistant's.
type Message struct {
	Role      string     `json:"role"` // always "assistant"
	Content   string     `json:"content"`
	Thinking  string     `json:"thinking,omitempty"`
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
}

// ToolCall is a call of a function. It is always whole.
type ToolCall struct {
	ID       string       `json:"id"`
	Function CallFunction `json:"function"`
}

// CallFunction is the function of a call.
type CallFunction struct {
	Index     int             `json:"index"` // of the call in the message
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // an object
}

// GenerateAnswer is the answer to POST /api/generate, or a line of its stream.
type GenerateAnswer struct {
	Head
	Response string                `json:"response"`
	Thinking string                `json:"thinking,omitempty"`
	Logprobs []openai.TokenLogprob `json:"logprobs,omitempty"`
	Done
}

// Details say what a model is. What is not known until a model was loaded is empty.
type Details struct {
	ParentModel       string   `json:"parent_model"`
	Format            string   `json:"format"`
	Family            string   `json:"family"`
	Families          []string `json:"families"`
	ParameterSize     string   `json:"parameter_size"`
	QuantizationLevel string   `json:"quantization_level"`
}

// Listed is a model of GET /api/tags, and of GET /api/ps, where the last fields are set.
type Listed struct {
	Name       string    `json:"name"`
	Model      string    `json:"model"`
	ModifiedAt time.Time `json:"modified_at,omitzero"`
	Size       int64     `json:"size"`   // bytes of device memory while it is loaded
	Digest     string    `json:"digest"` // always empty: the server does not read whole files for it
	Details    Details   `json:"details"`

	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
	SizeVRAM      *int64     `json:"size_vram,omitempty"`
	ContextLength int        `json:"context_length,omitempty"`
}

// List is the answer to GET /api/tags and GET /api/ps.
type List struct {
	Models []Listed `json:"models"`
}

// Show is the answer to POST /api/show.
type Show struct {
	License      string         `json:"license"`
	Modelfile    string         `json:"modelfile"`
	Parameters   string         `json:"parameters"` // a line for each sampling parameter
	Template     string         `json:"template"`   // the model's own, in Jinja's language
	System       string         `json:"system"`
	Details      Details        `json:"details"`
	ModelInfo    map[string]any `json:"model_info"` // under GGUF's keys
	Capabilities []string       `json:"capabilities"`
	ModifiedAt   time.Time      `json:"modified_at"`
}

// ParseShow reads the name of POST /api/show. The error is an *[openai.Error].
func ParseShow(body []byte, l openai.Limits) (model string, err error) {
	err = openai.Parse(body, l, func(f openai.Fields) {
		old, ok := f.Take("name") // as it once was called
		if v, given := f.Take("model"); given {
			model = v.Text()
		} else if ok {
			model = old.Text()
		} else {
			f.Fail("model", openai.CodeMissing, "is required")
		}
		f.Boolean("verbose")
		for _, name := range []string{"system", "template"} {
			f.Text(name)
		}
		f.Ignore("options")
	})
	return model, err
}

// Version is the answer to GET /api/version.
type Version struct {
	Version   string `json:"version"`   // [APIVersion]
	Hipengine string `json:"hipengine"` // of the program
}
