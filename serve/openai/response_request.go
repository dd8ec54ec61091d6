package openai

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/toolcall"
)

// ResponseRequest is the body of POST /v1/responses, as the conversation that it asks to go on with. Its messages are
// those of Converse.
type ResponseRequest struct {
	ChatRequest

	Input        []ResponseItem
	Instructions *string
	PreviousID   string // of the response that the conversation goes on from; empty is none
	Store        bool   // the response is kept for later requests
	Summaries    bool   // thoughts are shown as summaries
	Sealed       bool   // thoughts come sealed, too

	// Known are the tools by the names that templates see.
	Known map[string]ResponseTool

	// Echo are fields that the response repeats, as they came.
	Echo ResponseEcho
}

// ResponseEcho are fields of a request that its response repeats.
type ResponseEcho struct {
	Metadata   json.RawMessage `json:"metadata"`
	Reasoning  json.RawMessage `json:"reasoning"`
	Text       json.RawMessage `json:"text"`
	ToolChoice json.RawMessage `json:"tool_choice"`
	Tools      json.RawMessage `json:"tools"`
}

// included are what a client may ask to be included. Of tools that are not offered there is nothing.
var included = []string{
	includeSealed, includeLogprobs, "file_search_call.results", "web_search_call.results",
	"web_search_call.action.sources", "message.input_image.image_url", "computer_call_output.output.image_url",
	"code_interpreter_call.outputs",
}

const (
	includeSealed   = "reasoning.encrypted_content"
	includeLogprobs = "message.output_text.logprobs"
)

// refusedResponse are fields that would change the answer and that this server does not offer.
var refusedResponse = map[string]string{
	"conversation": "is not offered by this server; use previous_response_id or send all items",
	"prompt":       "is not offered by this server; use instructions and input",
}

// ParseResponse reads a request for a response. The error is an *[Error].
func ParseResponse(body []byte, l Limits) (*ResponseRequest, error) {
	var q ResponseRequest
	if err := parse(body, l, func(f fields) { q.read(f) }); err != nil {
		return nil, err
	}
	return &q, nil
}

func (q *ResponseRequest) read(f fields) {
	r := f.r
	q.N, q.Store = 1, true
	q.Model, q.PreviousID = f.text("model", 256), f.text("previous_response_id", 256)
	q.Stream, q.MaxTokens = f.boolean("stream"), f.budget()
	q.TokenTimings, q.Progress = f.boolean("timings_per_token"), f.boolean("return_progress")
	f.speculation(&q.Options)
	f.sampling(&q.Options)
	f.ends(&q.Options)
	q.Kwargs = f.kwargs()
	q.readThinking(f)
	q.Echo = ResponseEcho{
		Metadata: f.metadata(), Reasoning: f.echo("reasoning", `{"effort":null,"summary":null}`),
		Text: f.echo("text", `{"format":{"type":"text"}}`), ToolChoice: f.echo("tool_choice", `"auto"`),
		Tools: f.echo("tools", `[]`),
	}
	if raw := f.take("input"); raw != nil {
		q.Input = r.input("input", raw)
	} else if q.PreviousID == "" {
		r.fail("input", CodeMissing, "is required")
	}
	if raw := f.take("instructions"); raw != nil {
		q.Instructions = new(r.text("instructions", raw, int(r.limits.BodyBytes)))
	}
	if store := f.optional("store"); store != nil {
		q.Store = *store
	}
	if raw := f.take("stop"); raw != nil {
		q.Stop = r.stop("stop", raw)
	}
	if raw := f.take("tools"); raw != nil {
		q.Known = r.responseTools(&q.ChatRequest, "tools", raw)
	}
	if raw := f.take("tool_choice"); raw != nil {
		q.responseChoice(r, "tool_choice", raw)
	}
	if parallel := f.optional("parallel_tool_calls"); parallel != nil {
		q.OneCall = !*parallel
	}
	q.readReasoning(f)
	q.readText(f)
	q.readLogprobs(f)
	if raw := f.take("stream_options"); raw != nil {
		s := r.object("stream_options", raw)
		s.ignore("include_obfuscation")
		s.end()
	}
	if raw := f.take("truncation"); raw != nil {
		r.oneOf("truncation", raw, "auto", "disabled") // nothing is left out: what does not fit is an error
	}
	if f.boolean("background") {
		r.fail("background", CodeUnsupported, "is not offered by this server")
	}
	f.ignore(noEffect...)
	f.refuse(refusedResponse)
}

// echo returns a member as it came, which stays, or else a default.
func (f fields) echo(name, absent string) json.RawMessage {
	if raw := f.members[name]; len(raw) > 0 && raw[0] != 'n' {
		return raw
	}
	return json.RawMessage(absent)
}

// metadata reads what a client notes of a response: at most 16 texts.
func (f fields) metadata() json.RawMessage {
	const most, keyBytes, textBytes = 16, 64, 512
	r, raw := f.r, f.take("metadata")
	if raw == nil {
		return json.RawMessage("{}")
	}
	m := r.object("metadata", raw)
	if len(m.members) > most {
		r.fail("metadata", CodeValue, "has %d entries, at most %d are allowed", len(m.members), most)
	}
	for _, key := range slices.Sorted(maps.Keys(m.members)) {
		if len(key) > keyBytes {
			r.fail("metadata", CodeValue, "a key has %d bytes, at most %d are allowed", len(key), keyBytes)
			break
		}
		r.text(m.path+key, m.members[key], textBytes)
	}
	return raw
}

func (q *ResponseRequest) readReasoning(f fields) {
	raw := f.take("reasoning")
	if raw == nil {
		return
	}
	r := f.r
	o := r.object("reasoning", raw)
	if raw := o.take("effort"); raw != nil {
		r.effort("reasoning.effort", raw)
		var effort string
		r.unmarshal("reasoning.effort", raw, &effort)
		setEffort(q.Kwargs, effort)
	}
	for _, name := range []string{"summary", "generate_summary"} {
		if raw := o.take(name); raw != nil {
			q.Summaries = r.oneOf("reasoning."+name, raw, "auto", "concise", "detailed", "none") != "none" ||
				q.Summaries
		}
	}
	o.end()
}

func (q *ResponseRequest) readText(f fields) {
	raw := f.take("text")
	if raw == nil {
		return
	}
	r := f.r
	o := r.object("text", raw)
	if raw := o.take("verbosity"); raw != nil {
		r.oneOf("text.verbosity", raw, "low", "medium", "high") // models of others do not know it
	}
	if raw := o.take("format"); raw != nil {
		q.Form = r.textFormat("text.format", raw)
	}
	o.end()
}

// textFormat reads the form of a text as responses have it.
func (r *reader) textFormat(param string, raw json.RawMessage) *Form {
	f := r.object(param, raw)
	defer f.end()
	kind := f.need("type")
	if kind == nil {
		return nil
	}
	o := &forms{f: f}
	switch r.oneOf(f.path+"type", kind, "text", "json_object", "json_schema") {
	case "json_object":
		o.set(param, grammar.Spec{JSONObject: true})
	case "json_schema":
		f.text("name", 256)
		f.text("description", int(r.limits.BodyBytes))
		f.boolean("strict") // the schema is enforced either way
		if raw := f.need("schema"); raw != nil {
			o.set(f.path+"schema", r.schema(f.path+"schema", raw))
		}
	}
	return o.form
}

func (q *ResponseRequest) readLogprobs(f fields) {
	r := f.r
	if n := f.integer("top_logprobs", 0, int64(r.limits.TopLogprobs)); n != nil {
		q.TopLogprobs, q.Logprobs = *n, *n > 0
	}
	raw := f.take("include")
	if raw == nil {
		return
	}
	for i, e := range r.elements("include", raw, 64) {
		switch r.oneOf(index("include", i), e, included...) {
		case includeLogprobs:
			q.Logprobs = true
		case includeSealed:
			q.Sealed = true
		}
	}
}

// Open sets the thoughts of items whose thoughts come sealed, which open makes text of. Its error becomes an *[Error].
func (q *ResponseRequest) Open(open func(sealed string) (string, error)) error {
	for _, item := range q.Input {
		thoughts, ok := item.(*ReasoningItem)
		if !ok || thoughts.EncryptedContent == nil {
			continue
		}
		text, err := open(*thoughts.EncryptedContent)
		if err != nil {
			return invalid(thoughts.param, "invalid_encrypted_content", "%v", err)
		}
		thoughts.Content = []*Part{{Type: PartReasoningText, Text: text}}
	}
	return nil
}

// Resolve puts the items of stored responses in the place of references. find returns nil for an id that it does not
// know.
func (q *ResponseRequest) Resolve(find func(id string) ResponseItem) error {
	for i, item := range q.Input {
		ref, ok := item.(*ReferenceItem)
		if !ok {
			continue
		}
		if q.Input[i] = find(ref.ID); q.Input[i] == nil {
			return &Error{Status: 404, Type: TypeInvalidRequest, Param: index("input", i) + ".id",
				Code:    "item_not_found",
				Message: fmt.Sprintf("%s is no item of a stored response", quote(ref.ID))}
		}
	}
	return nil
}

// Converse sets the messages: the instructions, the items of earlier responses, and those of the request. The error is
// an *[Error].
func (q *ResponseRequest) Converse(previous []ResponseItem) error {
	c := &itemTurns{q: q, names: make(map[string]string)}
	if q.Instructions != nil {
		c.add("system", *q.Instructions)
	}
	for i, item := range append(previous[:len(previous):len(previous)], q.Input...) {
		if id, found := c.item(item); !found {
			return invalid(index("input", i-len(previous))+".call_id", CodeValue, "%s is the id of no call before it",
				quote(id))
		}
	}
	c.flush()
	if !slices.ContainsFunc(c.list, func(m Message) bool { return m.Role != "system" }) {
		c.add("user", "") // clients look whether the server is there
	}
	return q.SetMessages(c.list)
}

// itemTurns makes messages of items. What comes from the assistant in a row is one message.
type itemTurns struct {
	q     *ResponseRequest
	list  []Message
	turn  *Message          // of the assistant, not yet in the list
	names map[string]string // of the tools that were called, by the ids of the calls
}

func (c *itemTurns) add(role, text string) {
	c.flush()
	c.list = append(c.list, Message{Role: role, Content: &text})
}

// flush ends the turn of the assistant.
func (c *itemTurns) flush() {
	if c.turn == nil {
		return
	}
	if c.turn.Content == nil && len(c.turn.ToolCalls) == 0 {
		c.turn.Content = new("")
	}
	c.list, c.turn = append(c.list, *c.turn), nil
}

// assistant returns the turn of the assistant, a new one if what comes cannot stand behind what is there.
func (c *itemTurns) assistant(fits func(m *Message) bool) *Message {
	if c.turn != nil && !fits(c.turn) {
		c.flush()
	}
	if c.turn == nil {
		c.turn = &Message{Role: "assistant"}
	}
	return c.turn
}

// item adds an item. found is false for a result of a call, whose id it returns, that nobody made.
func (c *itemTurns) item(item ResponseItem) (id string, found bool) {
	silent := func(m *Message) bool { return m.Content == nil && len(m.ToolCalls) == 0 }
	switch i := item.(type) {
	case *MessageItem:
		switch i.Role {
		case "assistant":
			c.assistant(silent).Content = new(textOf(i.Content))
		case "developer":
			c.add("system", textOf(i.Content))
		default:
			c.add(i.Role, textOf(i.Content))
		}
	case *ReasoningItem:
		text := textOf(i.Content)
		if text == "" {
			text = textOf(i.Summary)
		}
		m := c.assistant(silent)
		m.ReasoningContent = strings.TrimPrefix(m.ReasoningContent+"\n"+text, "\n")
	case *FunctionCallItem:
		c.call(i.CallID, c.q.seen(i.Namespace, i.Name), json.RawMessage(i.Arguments))
	case *CustomCallItem:
		arguments, err := json.Marshal(map[string]string{toolcall.InputName: i.Input})
		if err != nil {
			return "", false
		}
		c.call(i.CallID, c.q.seen(i.Namespace, i.Name), arguments)
	case *FunctionOutputItem:
		return c.result(i.CallID, i.Output)
	case *CustomOutputItem:
		return c.result(i.CallID, i.Output)
	}
	return "", true
}

func (c *itemTurns) call(id, name string, arguments json.RawMessage) {
	m := c.assistant(func(*Message) bool { return true })
	function := MessageFunction{Name: name, Arguments: arguments}
	m.ToolCalls = append(m.ToolCalls, MessageCall{ID: id, Type: "function", Function: function})
	c.names[id] = name
}

func (c *itemTurns) result(id, output string) (string, bool) {
	name, found := c.names[id]
	c.flush()
	c.list = append(c.list, Message{Role: "tool", Content: &output, Name: name, ToolCallID: id})
	return id, found
}

// textOf joins texts by newlines.
func textOf(parts []*Part) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.Text
	}
	return strings.Join(texts, "\n")
}
