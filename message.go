package hipengine

import "encoding/json"

// Message is a turn of a conversation.
type Message struct {
	Role    string // system, user, assistant, tool, or what else the model's template knows
	Content string

	// Fields are further ones that the template knows, such as tool_calls, tool_call_id or name. They take precedence.
	Fields map[string]json.RawMessage
}

// MarshalJSON returns the message as templates know it.
func (m Message) MarshalJSON() ([]byte, error) {
	if len(m.Fields) == 0 {
		return json.Marshal(struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		}{m.Role, m.Content})
	}
	all := map[string]any{"role": m.Role, "content": m.Content}
	for k, v := range m.Fields {
		all[k] = v
	}
	return json.Marshal(all)
}
