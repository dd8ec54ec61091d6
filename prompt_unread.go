package hipengine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/text/chat"
)

// unread returns a *ConversationError that names the first part of a conversation that a template leaves out of the
// prompt, nil if there is none: tools and documents whose variable it never names, and texts and calls of messages
// that change nothing. What assistants said may be left out, as templates do with old thoughts, and with texts beside
// calls.
func (t *template) unread(in chat.Input, prompt chat.Prompt) error {
	for _, v := range []struct {
		name string
		raw  json.RawMessage
	}{{"tools", in.Tools}, {"documents", in.Documents}} {
		if holds(v.raw) && !t.tmpl.Uses(v.name) && !(v.name == "tools" && t.tmpl.Uses("functions")) {
			return leftOut(v.name)
		}
	}
	var messages []map[string]json.RawMessage
	if json.Unmarshal(in.Messages, &messages) != nil {
		return nil // the template has rendered it, whatever it is
	}
	text := prompt.String()
	var b strings.Builder // what stems from messages: the template's own words prove nothing
	for _, piece := range prompt {
		if piece.Plain {
			b.WriteString(piece.Text)
		} else {
			b.WriteByte('\n')
		}
	}
	data := b.String()
	at := 0                     // texts stand in the order of messages
	proven := map[string]bool{} // roles of which a message is in the prompt
	shows := func(role, probe string) bool {
		i := strings.Index(data[at:], probe)
		// Where the first message of a role has words of another one, it is looked for as those that are not found.
		if i < 0 || !proven[role] && strings.Count(string(in.Messages), probe) > 1 {
			return false
		}
		at += i + len(probe)
		proven[role] = true
		return true
	}
	for i, m := range messages {
		var role string
		json.Unmarshal(m["role"], &role)
		field, probe := "content", probeOf(m["content"])
		if role == "assistant" {
			if field = "tool_calls"; !holds(m[field]) {
				continue
			}
			var calls []struct{ Function struct{ Name string } }
			if json.Unmarshal(m[field], &calls) != nil || len(calls) == 0 {
				continue
			}
			probe = calls[0].Function.Name
		}
		if probe == "" || shows(role, probe) {
			continue
		}
		proven[role] = true
		// It may stand there in another form. If it does, the prompt is another without it.
		without := slices.Clone(messages)
		without[i] = maps.Clone(m)
		if without[i][field] = json.RawMessage(`"."`); field == "tool_calls" {
			delete(without[i], field)
		}
		other := in
		var err error
		if other.Messages, err = json.Marshal(without); err != nil {
			return nil
		}
		if second, err := t.tmpl.Render(other); err == nil && second.String() == text {
			return leftOut(fmt.Sprintf("messages[%d].%s (role %q)", i, field, role))
		}
	}
	return nil
}

// leftOut is the error for a part of a conversation that has no place in the prompt.
func leftOut(what string) error {
	reason := "it leaves out " + what + "; the option lenient accepts that"
	return &ConversationError{Reason: reason, err: errors.New("the chat template: " + reason)}
}

// holds reports whether JSON is there and neither null nor empty.
func holds(raw json.RawMessage) bool {
	switch strings.TrimSpace(string(raw)) {
	case "", "null", "[]", "{}", `""`:
		return false
	}
	return true
}

// probeOf returns a part of a message's content that stands in a prompt whatever escapes the template writes: the
// longest run of ASCII letters and digits, up to 64 bytes.
func probeOf(content json.RawMessage) (longest string) {
	var texts []string
	var text string
	var parts []struct{ Text string }
	switch {
	case json.Unmarshal(content, &text) == nil:
		texts = []string{text}
	case json.Unmarshal(content, &parts) == nil:
		for _, p := range parts {
			texts = append(texts, p.Text)
		}
	}
	for _, s := range texts {
		for word := range strings.FieldsFuncSeq(s[:min(len(s), 4096)], func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
		}) {
			if len(word) > len(longest) {
				longest = word[:min(len(word), 64)]
			}
		}
	}
	return longest
}
