package anthropic

import (
	"encoding/json"
	"strings"

	"github.com/hipengine/hipengine/serve/openai"
)

// Request is the body of POST /v1/messages, as the conversation that it asks to go on with.
type Request struct {
	openai.ChatRequest
	OmitThinking bool // thoughts are not shown
}

// CodeThread is the code of the error for requests that speak of a conversation that the server is to keep. Clients then
// send it whole.
const CodeThread = "thread_unsupported_request"

// Parse reads a request for a message. The error is an *[openai.Error].
func Parse(body []byte, l openai.Limits) (*Request, error) {
	return parse(body, l, func(q *Request, f openai.Fields) {
		if q.MaxTokens == 0 {
			f.Fail("max_tokens", openai.CodeMissing, "is required")
		}
	})
}

// ParseCount reads a request for the number of a prompt's tokens, which is one for a message without max_tokens.
func ParseCount(body []byte, l openai.Limits) (*Request, error) {
	return parse(body, l, func(*Request, openai.Fields) {})
}

func parse(body []byte, l openai.Limits, check func(*Request, openai.Fields)) (*Request, error) {
	q := &Request{}
	q.N, q.Kwargs = 1, make(map[string]json.RawMessage)
	err := openai.Parse(body, l, func(f openai.Fields) {
		q.read(f)
		check(q, f)
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (q *Request) read(f openai.Fields) {
	if v, ok := f.Take("thread"); ok {
		v.Fail(CodeThread, "this server keeps no conversations; send all of it")
	}
	q.Model, q.Stream, q.MaxTokens, q.Stop = f.Word("model"), f.Boolean("stream"), f.Budget(), f.Stop("stop_sequences")
	q.Sampling = f.Sampling()
	q.readTools(f)
	q.readThinking(f)
	q.readOutput(f)
	var list []openai.Message
	if v, ok := f.Take("system"); ok {
		if text := system(v); text != "" {
			list = append(list, openai.Message{Role: "system", Content: &text})
		}
	}
	if v, ok := f.Need("messages"); ok {
		q.readMessages(f, v, list)
	}
	if v, ok := f.Take("mcp_servers"); ok && len(v.List(64)) > 0 {
		v.Fail(openai.CodeUnsupported, "are not offered by this server")
	}
	f.Ignore("metadata", "service_tier", "cache_control", "context_management", "inference_geo", "speed")
	f.Refuse(map[string]string{"container": "is not offered by this server"})
}

// billing begins a text that Claude Code puts before the system prompt. It changes with every request, says nothing to a
// model, and would keep all that follows from being found among what is kept of prompts.
const billing = "x-anthropic-billing-header"

// system reads the system prompt.
func system(v openai.Value) string {
	if v.IsText() {
		text := v.Text()
		if strings.HasPrefix(text, billing) {
			_, text, _ = strings.Cut(text, "\n")
		}
		return text
	}
	var texts []string
	for i, b := range v.List(v.Limits().Parts) {
		f := b.Object()
		if kind(f) != "text" {
			refuse(f)
		}
		if text := blockText(f); i > 0 || !strings.HasPrefix(text, billing) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n")
}

// readThinking reads whether the model thinks. It does not unless it is asked to.
func (q *Request) readThinking(f openai.Fields) {
	q.SetThinking(false, 0)
	v, ok := f.Take("thinking")
	if !ok {
		return
	}
	t := v.Object()
	if kind, ok := t.Need("type"); ok {
		switch kind.OneOf("enabled", "adaptive", "disabled") {
		case "enabled":
			budget := t.Integer("budget_tokens", 1, int64(f.Limits().MaxTokens))
			switch {
			case budget == nil:
				t.Fail("budget_tokens", openai.CodeMissing, "is required")
			case q.MaxTokens > 0 && *budget >= q.MaxTokens:
				t.Fail("budget_tokens", openai.CodeValue, "must be less than max_tokens, which is %d", q.MaxTokens)
			default:
				q.SetThinking(true, *budget)
			}
		case "adaptive":
			q.SetThinking(true, 0)
		}
	}
	if display, ok := t.Take("display"); ok {
		q.OmitThinking = display.OneOf("summarized", "omitted") == "omitted"
	}
	t.End()
}

// readOutput reads the effort and the form of the answer.
func (q *Request) readOutput(f openai.Fields) {
	format := func(v openai.Value) {
		o := v.Object()
		if kind, ok := o.Need("type"); ok {
			kind.OneOf("json_schema")
		}
		if schema, ok := o.Need("schema"); ok {
			q.Form = schema.Schema()
		}
		o.End()
	}
	if v, ok := f.Take("output_config"); ok {
		o := v.Object()
		if effort, ok := o.Take("effort"); ok {
			q.SetEffort(effort)
		}
		if v, ok := o.Take("format"); ok {
			format(v)
		}
		o.End()
	}
	if v, ok := f.Take("output_format"); ok { // its older name
		if q.Form != nil {
			v.Fail(openai.CodeValue, "is another name of output_config.format")
		}
		format(v)
	}
}
