package openai

import (
	"encoding/json"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/text/grammar"
)

// Parse reads a request of another dialect, as strictly as those of this package are read: what read leaves of the
// members is unknown. The error is an *[Error].
func Parse(body []byte, l Limits, read func(Fields)) error {
	return parse(body, l, func(f fields) { read(Fields{f}) })
}

// Fields are the members of an object of a request. Reading one removes it; a null is the same as an absent one.
type Fields struct{ f fields }

// Value is a value of a request, which knows its path.
type Value struct {
	r    *reader
	path string
	raw  json.RawMessage
}

// Limits returns the limits of the request.
func (f Fields) Limits() Limits { return f.f.r.limits }

// Take returns a member, and whether it is there.
func (f Fields) Take(name string) (Value, bool) {
	raw := f.f.take(name)
	return Value{f.f.r, f.f.path + name, raw}, raw != nil
}

// Need is Take for a member that must be there.
func (f Fields) Need(name string) (Value, bool) {
	raw := f.f.need(name)
	return Value{f.f.r, f.f.path + name, raw}, raw != nil
}

// Text returns a string of any length, "" if it is absent.
func (f Fields) Text(name string) string { return f.f.text(name, int(f.f.r.limits.BodyBytes)) }

// Word is Text for names and ids.
func (f Fields) Word(name string) string { return f.f.text(name, 256) }

// Boolean returns false for an absent member.
func (f Fields) Boolean(name string) bool { return f.f.boolean(name) }

// Integer returns nil for an absent member.
func (f Fields) Integer(name string, low, high int64) *int { return f.f.integer(name, low, high) }

// Stop reads strings that end the text.
func (f Fields) Stop(name string) []string {
	if raw := f.f.take(name); raw != nil {
		return f.f.r.stop(f.f.path+name, raw)
	}
	return nil
}

// Budget reads how many tokens may be generated, by each of its names; 0 if the request leaves it open.
func (f Fields) Budget() int { return f.f.budget() }

// Sampling reads the parameters of sampling.
func (f Fields) Sampling() sample.Overrides { return f.f.sampling() }

// Ignore removes members that cannot change the answer.
func (f Fields) Ignore(names ...string) { f.f.ignore(names...) }

// Refuse reports members that this server does not offer, for each name the reason.
func (f Fields) Refuse(reasons map[string]string) { f.f.refuse(reasons) }

// Fail reports a member, or the object itself if name is empty.
func (f Fields) Fail(name, code, format string, args ...any) {
	f.f.r.fail(f.f.path+name, code, format, args...)
}

// Err returns the request's first error, nil if there is none so far.
func (f Fields) Err() error {
	if f.f.r.err == nil {
		return nil
	}
	return f.f.r.err
}

// End reports what has not been read.
func (f Fields) End() { f.f.end() }

// Function reads the declaration of a function, all that is left of the object. The name of its schema is the dialect's.
func (f Fields) Function(schema string) ToolFunction { return f.f.r.function(f.f, schema) }

// Object returns the members of an object.
func (v Value) Object() Fields { return Fields{v.r.object(v.path, v.raw)} }

// List returns the elements of an array of at most limit.
func (v Value) List(limit int) []Value {
	var list []Value
	for i, e := range v.r.elements(v.path, v.raw, limit) {
		list = append(list, Value{v.r, index(v.path, i), e})
	}
	return list
}

// Limits returns the limits of the request.
func (v Value) Limits() Limits { return v.r.limits }

// IsText reports whether the value is a string.
func (v Value) IsText() bool { return v.raw[0] == '"' }

// IsObject reports whether the value is an object.
func (v Value) IsObject() bool { return v.raw[0] == '{' }

// Text returns a string of any length.
func (v Value) Text() string { return v.r.text(v.path, v.raw, int(v.r.limits.BodyBytes)) }

// OneOf returns a string, which must be one of the given.
func (v Value) OneOf(values ...string) string { return v.r.oneOf(v.path, v.raw, values...) }

// Schema returns the form that a JSON Schema asks for.
func (v Value) Schema() *Form { return &Form{Spec: v.r.schema(v.path, v.raw), Param: v.path} }

// Raw returns the value as it came.
func (v Value) Raw() json.RawMessage { return v.raw }

// Path returns where in the request the value stands.
func (v Value) Path() string { return v.path }

// Fail reports the value.
func (v Value) Fail(code, format string, args ...any) { v.r.fail(v.path, code, format, args...) }

// Quoted returns text of a request for messages: quoted, and not too long.
func Quoted(s string) string { return quote(s) }

// ContinueFinal makes the answer go on with the last message, which is the assistant's, as v asks.
func (c *ChatRequest) ContinueFinal(v Value) {
	if v.r.err == nil {
		c.continueFinal(v.r, v.path)
	}
}

// SetMessages sets the conversation.
func (c *ChatRequest) SetMessages(list []Message) error {
	text, err := json.Marshal(list)
	c.Messages = text
	return err
}

// SetEffort sets the variables of templates that an effort of reasoning stands for, which v holds.
func (c *ChatRequest) SetEffort(v Value) {
	v.r.effort(v.path, v.raw)
	if v.r.err == nil {
		setEffort(c.Kwargs, v.Text())
	}
}

// SetThinking turns thoughts on or off, by the names that templates have for it. budget is how many tokens they may take;
// 0 is any.
func (c *ChatRequest) SetThinking(on bool, budget int) {
	think(c.Kwargs, on)
	if budget > 0 {
		c.Kwargs["thinking_budget"], _ = json.Marshal(budget)
	}
}

// Tool is the declaration of a function as templates have it.
type Tool struct {
	Type     string       `json:"type"` // always "function"
	Function ToolFunction `json:"function"`
}

// ToolFunction is the function of a Tool. Its members are in the order in which OpenAI documents them.
type ToolFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Strict      bool            `json:"strict,omitempty"`
}

// SetTools sets the functions that may be called.
func (c *ChatRequest) SetTools(list []Tool) error {
	if len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list)
	c.Tools = text
	return err
}

// Input holds free text of a tool to a grammar.
func (c *ChatRequest) Input(tool string, s grammar.Spec) {
	if c.Inputs == nil {
		c.Inputs = make(map[string]grammar.Spec)
	}
	c.Inputs[tool] = s
}
