package chat

import "errors"

// decodeArguments replaces the arguments of tool calls in assistant messages that are strings by the objects that they
// spell. An empty string stands for no arguments. Strings that spell no object stay. changed reports if any was replaced.
func (in *interp) decodeArguments(messages value) (changed bool, err error) {
	l, ok := messages.(*list)
	if !ok {
		return false, nil
	}
	for _, m := range l.items {
		message, ok := m.(*dict)
		if !ok {
			continue
		}
		if role, _ := message.getString("role"); role != "assistant" {
			continue
		}
		found, _ := message.getString("tool_calls")
		calls, ok := found.(*list)
		if !ok {
			continue
		}
		for _, c := range calls.items {
			call, ok := c.(*dict)
			if !ok {
				continue
			}
			if fn, ok := call.getString("function"); ok {
				if call, ok = fn.(*dict); !ok {
					continue
				}
			}
			replaced, err := in.decodeArgumentsOf(call)
			if err != nil {
				return changed, err
			}
			changed = changed || replaced
		}
	}
	return changed, nil
}

// decodeArgumentsOf decodes the arguments of one function call.
func (in *interp) decodeArgumentsOf(call *dict) (bool, error) {
	found, _ := call.getString("arguments")
	text, ok := found.(string)
	if !ok {
		return false, nil
	}
	if text == "" {
		call.setString("arguments", &dict{})
		return true, nil
	}
	v, err := in.decodeJSON([]byte(text))
	if err != nil {
		var limit *LimitError
		if errors.As(err, &limit) {
			return false, err
		}
		return false, nil
	}
	if _, ok := v.(*dict); !ok {
		return false, nil
	}
	call.setString("arguments", v)
	return true, nil
}

// canRetry reports whether err may come from a template that wants arguments as strings: a used-up limit does not.
func canRetry(err error) bool {
	var limit *LimitError
	return !errors.As(err, &limit)
}
