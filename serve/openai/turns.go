package openai

import "encoding/json"

// PlainTurns returns a conversation with one system message, at its start, and no two users' turns in a row: system
// messages that stand further behind become users' turns. Contents are texts, if empty ones: templates look into those
// of messages that are calls alone. It is nil if messages are so already.
func PlainTurns(messages json.RawMessage) json.RawMessage {
	var list, plain []Message
	if err := json.Unmarshal(messages, &list); err != nil {
		return nil
	}
	changed := false
	for i, m := range list {
		first := i == 0 || len(plain) == 1 && plain[0].Role == "system"
		if m.Role == "system" && !first {
			m.Role, changed = "user", true
		}
		if m.Content == nil {
			m.Content, changed = new(""), true
		}
		if n := len(plain); n > 0 && plain[n-1].Role == m.Role && (m.Role == "system" || m.Role == "user") &&
			m.Name == plain[n-1].Name && m.Content != nil && plain[n-1].Content != nil {
			plain[n-1].Content, changed = new(*plain[n-1].Content+"\n\n"+*m.Content), true
			continue
		}
		plain = append(plain, m)
	}
	if !changed {
		return nil
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil
	}
	return text
}
