package chat

import (
	"strings"

	"github.com/hipengine/hipengine/text/jinja"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// Prompt is a rendered conversation in pieces for [tokenizer.Tokenizer.EncodePieces]. Plain ones stem from the input:
// contents of messages, names, tools, arguments, documents and further variables. All else is the template's own, so
// that markers in it count: what the template spells, the texts of BOS and EOS, numbers, and roles that templates
// know.
type Prompt []tokenizer.Piece

// String returns the whole text.
func (p Prompt) String() string {
	n := 0
	for _, piece := range p {
		n += len(piece.Text)
	}
	var b strings.Builder
	b.Grow(n)
	for _, piece := range p {
		b.WriteString(piece.Text)
	}
	return b.String()
}

// promptOf returns the prompt that a template rendered.
func promptOf(pieces []jinja.Piece) Prompt {
	p := make(Prompt, len(pieces))
	for i, piece := range pieces {
		p[i] = tokenizer.Piece{Text: piece.Text, Plain: piece.Data}
	}
	return p
}

// knownRoles are the roles that templates know. They choose a form and say nothing, and some templates make markers of
// them, '<|' + role + '|>'. Any other role is text of the caller.
var knownRoles = map[string]bool{
	"system": true, "developer": true, "user": true, "assistant": true, "tool": true, "function": true, "model": true,
	"ipython": true, "observation": true, "environment": true, "context": true, "tool_results": true,
	"tool_response": true,
}

// trustRoles makes the known roles of messages part of the template.
func trustRoles(messages jinja.Value) {
	for _, m := range messages.Items() {
		role, _ := m.Field("role")
		if text, ok := role.Text(); ok && knownRoles[text] {
			m.SetField("role", jinja.Text(text))
		}
	}
}
