package anthropic

import (
	"slices"
	"strings"

	"github.com/hipengine/hipengine/serve/openai"
)

// HostedTools are the beginnings of the types of tools that Anthropic's servers run. They are left out.
var HostedTools = []string{"web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "mcp_toolset", "advisor_"}

// readTools reads tools and which of them may be called.
func (q *Request) readTools(f openai.Fields) {
	var tools []openai.Tool
	var names []string
	if v, ok := f.Take("tools"); ok {
		for _, e := range v.List(f.Limits().Tools) {
			if fn, ok := tool(e.Object()); ok {
				names = append(names, fn.Name)
				tools = append(tools, openai.Tool{Type: "function", Function: fn})
			}
		}
	}
	if err := q.SetTools(tools); err != nil {
		f.Fail("tools", openai.CodeValue, "%v", err)
	}
	v, ok := f.Take("tool_choice")
	if !ok {
		return
	}
	c := v.Object()
	if kind, ok := c.Need("type"); ok {
		switch kind.OneOf("auto", "any", "tool", "none") {
		case "any":
			q.ToolChoice.Required = true
		case "tool":
			if name, ok := c.Need("name"); ok {
				q.ToolChoice = openai.ToolChoice{Required: true, Names: []string{name.Text()}}
				if len(tools) > 0 && !slices.Contains(names, name.Text()) {
					name.Fail(openai.CodeValue, "%s is none of the tools", openai.Quoted(name.Text()))
				}
			}
		case "none":
			q.Tools = nil
		}
	}
	q.OneCall = c.Boolean("disable_parallel_tool_use")
	c.End()
	if q.ToolChoice.Required && len(tools) == 0 {
		v.Fail(openai.CodeValue, "asks for a call, and there are no tools")
	}
}

// tool reads the declaration of a tool; ok is false if it is left out.
func tool(f openai.Fields) (fn openai.ToolFunction, ok bool) {
	if v, given := f.Take("type"); given {
		kind := v.Text()
		hosted := func(prefix string) bool { return strings.HasPrefix(kind, prefix) }
		switch {
		case slices.ContainsFunc(HostedTools, hosted):
			return fn, false
		case kind != "custom":
			v.Fail(openai.CodeUnsupported, "this model does not know %s; declare the tool with an input_schema", openai.Quoted(kind))
		}
	}
	f.Ignore("cache_control", "eager_input_streaming", "defer_loading", "allowed_callers", "input_examples")
	fn = f.Function("input_schema")
	if fn.Parameters == nil {
		f.Fail("input_schema", openai.CodeMissing, "is required")
	}
	return fn, true
}
