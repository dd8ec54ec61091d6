package chat

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/text/jinja"
)

// ErrContinue says that the last message cannot be continued.
var ErrContinue = errors.New("chat: the last message cannot be continued")

// markFinal puts a mark behind the content of the last message. Nobody knows it beforehand, so that it stands nowhere else.
func markFinal(r *jinja.Rendering, messages jinja.Value) (mark string, err error) {
	list := messages.Items()
	if len(list) == 0 {
		return "", ErrContinue
	}
	last := list[len(list)-1]
	role, _ := last.Field("role")
	content, _ := last.Field("content")
	text, ok := content.Text()
	if role, _ := role.Text(); role != "assistant" || !ok || text == "" {
		return "", fmt.Errorf("%w: it must be the assistant's, with a text", ErrContinue)
	}
	mark = rand.Text()
	src, err := json.Marshal(text + mark)
	if err != nil {
		return "", err
	}
	marked, err := r.DecodeJSON(src)
	if err != nil {
		return "", err
	}
	last.SetField("content", marked)
	return mark, nil
}

// cut returns what stands before the last of the marks in p, which is a part of a message.
func (p Prompt) cut(mark string) (Prompt, error) {
	for i, piece := range slices.Backward(p) {
		if at := strings.LastIndex(piece.Text, mark); at >= 0 {
			p = slices.Clone(p[:i+1])
			p[i].Text = piece.Text[:at]
			for j := range p { // a template may say the text twice
				p[j].Text = strings.ReplaceAll(p[j].Text, mark, "")
			}
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: the template does not show its text as it is", ErrContinue)
}
