package openai

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/toolcall"
)

// HostedTools are the beginnings of the types of tools that OpenAI's servers run, or whose schema its models know by
// heart. They are left out.
var HostedTools = []string{
	"web_search", "file_search", "image_generation", "code_interpreter", "computer", "mcp", "local_shell", "shell",
	"apply_patch", "tool_search",
}

// ResponseTool is a tool as the client knows it.
type ResponseTool struct {
	Name, Namespace string
	Custom          bool // it takes free text
}

// responseTools collects the tools of a request. Templates see functions alone, under names that are unique.
type responseTools struct {
	r     *reader
	c     *ChatRequest
	list  []Tool
	tools map[string]ResponseTool // by the names that templates see
}

// responseTools reads the tools of a request for a response.
func (r *reader) responseTools(c *ChatRequest, param string, raw json.RawMessage) map[string]ResponseTool {
	t := &responseTools{r: r, c: c, tools: make(map[string]ResponseTool)}
	t.read(param, raw, "")
	if err := c.SetTools(t.list); err != nil {
		r.fail(param, CodeValue, "%v", err)
	}
	return t.tools
}

func (t *responseTools) read(param string, raw json.RawMessage, namespace string) {
	r := t.r
	for i, e := range r.elements(param, raw, r.limits.Tools) {
		f := r.object(index(param, i), e)
		raw := f.need("type")
		if raw == nil {
			return
		}
		kind := r.text(f.path+"type", raw, 256)
		hosted := func(prefix string) bool { return strings.HasPrefix(kind, prefix) }
		switch {
		case kind == "function":
			f.ignore("defer_loading")
			fn := r.function(f, "parameters")
			t.add(f, fn, ResponseTool{Name: fn.Name, Namespace: namespace})
		case kind == "custom":
			t.custom(f, namespace)
		case kind == "namespace" && namespace == "":
			t.namespace(f)
		case slices.ContainsFunc(HostedTools, hosted):
		default:
			r.fail(f.path+"type", CodeUnsupported, "tools of type %s are not offered by this server; use function",
				quote(kind))
		}
	}
}

// add takes a tool. One whose name is taken stands behind the name of its namespace.
func (t *responseTools) add(f fields, fn ToolFunction, tool ResponseTool) (name string) {
	if _, taken := t.tools[fn.Name]; taken && tool.Namespace != "" {
		fn.Name = tool.Namespace + "." + fn.Name
	}
	if _, taken := t.tools[fn.Name]; taken {
		t.r.fail(f.path+"name", CodeValue, "%s is the name of another tool", quote(fn.Name))
	}
	t.tools[fn.Name] = tool
	t.list = append(t.list, Tool{Type: "function", Function: fn})
	if len(t.list) > t.r.limits.Tools {
		t.r.fail("tools", CodeValue, "has more than %d tools", t.r.limits.Tools)
	}
	return fn.Name
}

// namespace reads tools that share a name, of which templates do not know.
func (t *responseTools) namespace(f fields) {
	raw := f.need("name")
	if raw == nil {
		return
	}
	name := t.r.functionName(f.path+"name", raw)
	f.text("description", int(t.r.limits.BodyBytes))
	if raw := f.need("tools"); raw != nil {
		t.read(f.path+"tools", raw, name)
	}
	f.end()
}

// custom reads a tool that takes free text. Templates see a function with that text as its one argument.
func (t *responseTools) custom(f fields, namespace string) {
	r := t.r
	var fn ToolFunction
	if raw := f.need("name"); raw != nil {
		fn.Name = r.functionName(f.path+"name", raw)
	}
	fn.Description = f.text("description", int(r.limits.BodyBytes))
	var spec grammar.Spec
	said := "The text that the tool takes."
	if raw := f.take("format"); raw != nil {
		format := r.object(f.path+"format", raw)
		if kind := format.need("type"); kind != nil &&
			r.oneOf(format.path+"type", kind, "text", "grammar") == "grammar" {
			var syntax, definition string
			if raw := format.need("syntax"); raw != nil {
				syntax = r.oneOf(format.path+"syntax", raw, "lark", "regex")
			}
			if raw := format.need("definition"); raw != nil {
				definition = r.text(format.path+"definition", raw, int(r.limits.BodyBytes))
			}
			if spec.Lark = definition; syntax == "regex" {
				spec = grammar.Spec{Regexp: definition}
			}
			said = "The text that the tool takes, in the form of this " + syntax + ":\n" + definition
		}
		format.end()
	}
	f.ignore("defer_loading")
	f.end()
	argument, err := json.Marshal(map[string]string{"type": "string", "description": said})
	if err != nil {
		r.fail(f.path+"format", CodeValue, "%v", err)
	}
	fn.Parameters = json.RawMessage(`{"type":"object","properties":{"` + toolcall.InputName + `":` + string(argument) +
		`},"required":["` + toolcall.InputName + `"],"additionalProperties":false}`)
	if name := t.add(f, fn, ResponseTool{Name: fn.Name, Namespace: namespace, Custom: true}); !spec.IsZero() {
		t.c.Input(name, spec)
	}
}

// responseChoice reads which tools may be called.
func (q *ResponseRequest) responseChoice(r *reader, param string, raw json.RawMessage) {
	switch raw[0] {
	case '"':
		q.chooseMode(r.oneOf(param, raw, "auto", "none", "required"))
	case '{':
		f := r.object(param, raw)
		kind := f.need("type")
		switch {
		case kind == nil:
		case string(kind) == `"allowed_tools"`:
			q.chooseAllowed(f, func(tool fields) []string {
				if kind := tool.need("type"); kind != nil {
					return q.chosenTool(tool, r.text(tool.path+"type", kind, 256))
				}
				return nil
			})
		default:
			q.ToolChoice = ToolChoice{Required: true, Names: q.chosenTool(f, r.text(f.path+"type", kind, 256))}
		}
		f.end()
	default:
		r.wrongType(param, "a string or an object", raw)
	}
	if (q.ToolChoice.Required || q.ToolChoice.Names != nil) && q.Tools == nil {
		r.fail(param, CodeValue, "asks for a call, and there are no tools")
	}
}

// chosenTool reads the name of a tool of a type, and returns the names that templates see.
func (q *ResponseRequest) chosenTool(f fields, kind string) []string {
	r := f.r
	if kind != "function" && kind != "custom" {
		r.fail(f.path+"type", CodeUnsupported, "tools of type %s are not offered by this server", quote(kind))
		return nil
	}
	raw := f.need("name")
	if raw == nil {
		return nil
	}
	name, namespace := r.functionName(f.path+"name", raw), f.text("namespace", 256)
	for seen, t := range q.Known {
		if t.Name == name && t.Custom == (kind == "custom") && (namespace == "" || t.Namespace == namespace) {
			return []string{seen}
		}
	}
	if q.Tools != nil {
		r.fail(f.path+"name", CodeValue, "%s is none of the tools", quote(name))
	}
	return nil
}

// seen returns the name that templates see of a tool.
func (q *ResponseRequest) seen(namespace, name string) string {
	if full := namespace + "." + name; namespace != "" {
		if t, ok := q.Known[full]; ok && t.Namespace == namespace {
			return full
		}
	}
	return name
}
