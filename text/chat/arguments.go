package chat

import (
	"errors"

	"github.com/hipengine/hipengine/text/jinja"
)

// decodeArguments replaces the arguments of tool calls in assistant messages that are strings by the objects that they
// spell. An empty string stands for no arguments. Strings that spell no object stay. changed reports if any was
// replaced.
func decodeArguments(r *jinja.Rendering, messages jinja.Value) (changed bool, err error) {
	for _, m := range messages.Items() {
		role, _ := m.Field("role")
		if role, _ := role.Text(); role != "assistant" {
			continue
		}
		calls, _ := m.Field("tool_calls")
		for _, call := range calls.Items() {
			if fn, ok := call.Field("function"); ok {
				call = fn
			}
			replaced, err := decodeArgumentsOf(r, call)
			if err != nil {
				return changed, err
			}
			changed = changed || replaced
		}
	}
	return changed, nil
}

// decodeArgumentsOf decodes the arguments of one function call.
func decodeArgumentsOf(r *jinja.Rendering, call jinja.Value) (bool, error) {
	found, _ := call.Field("arguments")
	text, ok := found.Text()
	if !ok {
		return false, nil
	}
	if text == "" {
		text = "{}"
	}
	v, err := r.DecodeJSON([]byte(text))
	if err != nil {
		var limit *LimitError
		if errors.As(err, &limit) {
			return false, err
		}
		return false, nil
	}
	if v.Type() != "dict" {
		return false, nil
	}
	call.SetField("arguments", v)
	return true, nil
}

// canRetry reports whether err may come from a template that wants arguments as strings: a used-up limit does not.
func canRetry(err error) bool {
	var limit *LimitError
	return !errors.As(err, &limit)
}
