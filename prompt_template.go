package hipengine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hipengine/hipengine/text/chat"
)

// template is a chat template, or why it cannot be used: what needs none of it works all the same.
type template struct {
	source string
	tmpl   *chat.Template
	err    error
}

func parseTemplate(source string) template {
	t, err := chat.Parse(source)
	return template{source, t, err}
}

// Names of templates that models carry beside their own, as Hugging Face has them.
const (
	toolUse = "tool_use" // for conversations with tools
	rag     = "rag"      // for conversations with documents
)

// templates are the templates of a model.
type templates struct {
	main  template
	named map[string]template
}

// newTemplates takes the templates of a model, or the one that the options name in their place. A model without any
// gets ChatML.
func newTemplates(source string, named map[string]string, o Options) (ts templates, err error) {
	if o.ChatTemplate != "" {
		if source, err = chooseTemplate(o.ChatTemplate, named); err != nil {
			return ts, &OptionError{Option: "ChatTemplate", Err: err}
		}
		ts.main = parseTemplate(source)
		if ts.main.err != nil {
			return ts, &OptionError{Option: "ChatTemplate", Err: ts.main.err}
		}
		return ts, nil
	}
	ts.named = make(map[string]template, len(named))
	for name, source := range named {
		ts.named[name] = parseTemplate(source)
	}
	switch {
	case source != "":
		ts.main = parseTemplate(source)
	case len(named) > 0:
		ts.main.err = fmt.Errorf("the model has no default template, but %s: choose one",
			strings.Join(slices.Sorted(maps.Keys(named)), ", "))
	default:
		ts.main = parseTemplate(chat.ChatML)
	}
	return ts, nil
}

// chooseTemplate returns the source of a template that is given as such, by its name in the model, or by that of a
// well-known form.
func chooseTemplate(given string, named map[string]string) (string, error) {
	if strings.ContainsAny(given, "{\n") {
		return given, nil
	}
	if source, ok := named[given]; ok {
		return source, nil
	}
	if source, ok := chat.Forms[given]; ok {
		return source, nil
	}
	all := slices.Concat(slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(chat.Forms)))
	return "", fmt.Errorf("there is no template %q: want %s, or a template's text", given, strings.Join(all, ", "))
}

// pick returns the template for a conversation.
func (ts *templates) pick(tools, documents bool) template {
	if t, ok := ts.named[toolUse]; ok && tools {
		return t
	}
	if t, ok := ts.named[rag]; ok && documents {
		return t
	}
	return ts.main
}

// dates are variables for the date of the day and how templates that name them want it: those of Llama 3, which
// otherwise say a day of 2024, and of firefunction.
var dates = map[string]string{"date_string": "02 Jan 2006", "datetime": "Jan 02 2006"}

// supply adds to the variables of a rendering what the template names and nobody has given: dates, and the tools as a
// text, which is functions for firefunction.
func (t template) supply(in *chat.Input, now time.Time) {
	given := map[string]string{}
	for name, layout := range dates {
		given[name] = now.Format(layout)
	}
	given["functions"] = string(in.Tools)
	for name, text := range given {
		if in.Kwargs[name] != nil || t.err != nil || !t.tmpl.Uses(name) {
			continue
		}
		if in.Kwargs == nil {
			in.Kwargs = make(map[string]json.RawMessage)
		}
		in.Kwargs[name], _ = json.Marshal(text)
	}
}
