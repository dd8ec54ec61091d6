package ollama

import (
	"math"

	"github.com/hipengine/hipengine/serve/openai"
)

// Embed is the body of POST /api/embed, and of the older POST /api/embeddings.
type Embed struct {
	Model      string
	Inputs     []string
	Param      string // the field that the inputs came in
	Truncate   bool   // inputs are cut to the context
	Context    int    // most tokens of an input; 0 is the model's
	Dimensions int    // 0 is the model's
}

// ParseEmbed reads a request of /api/embed. The error is an *[openai.Error].
func ParseEmbed(body []byte, l openai.Limits) (*Embed, error) {
	e := &Embed{Param: "input", Truncate: true}
	err := openai.Parse(body, l, func(f openai.Fields) {
		if v, ok := f.Need("input"); ok && v.IsText() {
			e.Inputs = []string{v.Text()}
		} else if ok {
			for _, text := range v.List(f.Limits().Inputs) {
				e.Inputs = append(e.Inputs, text.Text())
			}
		}
		if v, ok := f.Take("truncate"); ok {
			e.Truncate = v.Boolean()
		}
		if n := f.Integer("dimensions", 0, math.MaxInt32); n != nil {
			e.Dimensions = *n
		}
		e.read(f)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// ParseEmbeddings reads a request of /api/embeddings, which has one text. The error is an *[openai.Error].
func ParseEmbeddings(body []byte, l openai.Limits) (*Embed, error) {
	e := &Embed{Param: "prompt", Truncate: true}
	err := openai.Parse(body, l, func(f openai.Fields) {
		if v, ok := f.Need("prompt"); ok {
			e.Inputs = []string{v.Text()}
		}
		e.read(f)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// read reads what both have in common. Of the options, num_ctx alone counts for embeddings.
func (e *Embed) read(f openai.Fields) {
	e.Model = f.Word("model")
	f.Ignore("keep_alive")
	if v, ok := f.Take("options"); ok {
		var c openai.ChatRequest
		readOptions(v.Object(), &c)
		e.Context = c.Context
	}
}

// Embeddings is the answer to POST /api/embed.
type Embeddings struct {
	Model           string      `json:"model"`
	Embeddings      [][]float32 `json:"embeddings"` // of length 1
	TotalDuration   int64       `json:"total_duration"`
	LoadDuration    int64       `json:"load_duration"`
	PromptEvalCount int         `json:"prompt_eval_count"`
}

// OldEmbedding is the answer to POST /api/embeddings.
type OldEmbedding struct {
	Embedding []float32 `json:"embedding"` // as the model has it
}
