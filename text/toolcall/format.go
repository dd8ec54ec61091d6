package toolcall

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// Format is the form in which a family of models writes calls and thoughts.
type Format struct {
	name    string
	think   pair
	openers []string // markers of which each may begin calls

	// call returns the state that reads calls behind an opener, which has been taken. If they turn out to be text, the
	// state calls fail with all that was taken.
	call func(p *Parser, opener string, fail func(raw string)) func(final bool) bool
	// begin returns the first state where it is not that of content.
	begin func(p *Parser) func(final bool) bool

	// resume is begin for an answer of which the prompt holds the first text.
	resume func(p *Parser) func(final bool) bool

	// one writes a call, and all what stands round and between several; both are nil where there are no calls.
	one func(b *grammar.Builder, t Tool) (grammar.Part, error)
	all func(b *grammar.Builder, one grammar.Part, most int) grammar.Part
	// answer writes a whole answer, where that is not thoughts, text and calls one after the other.
	answer func(b *grammar.Builder, calls, form *grammar.Part, a Answer) (grammar.Part, error)
	// avoid are the texts that text before a call must not hold; nil stands for the openers.
	avoid []string
	// guess is set where answers are looked through for thoughts although the template speaks of none.
	guess bool
}

// Thinks reports whether answers can have thoughts. A nil Format has none.
func (f *Format) Thinks() bool { return f != nil && f.think != pair{} }

// KnowsThoughts reports whether the model was told of thoughts: plain answers are looked through for them anyway.
func (f *Format) KnowsThoughts() bool { return f.Thinks() && !f.guess }

// pair are the markers round thoughts; empty if there are none.
type pair struct{ open, close string }

var thinkTags = pair{"<think>", "</think>"}

// formats are all formats, in the order in which templates are looked at, with the markers by which one is told: all
// of them must be in the template.
var formats = []struct {
	format  func() *Format
	markers []string
}{
	{harmony, []string{"<|channel|>", "<|message|>", "<|start|>"}},
	{gemma4, []string{"<|tool_call>", `<|"|>`}},
	{dsml, []string{"｜DSML｜", "invoke name="}},
	{deepseekFenced, []string{dsCalls, "```json"}},
	{deepseek, []string{dsCalls}},
	{mistral, []string{"[TOOL_CALLS]", "[ARGS]"}},
	{mistralList, []string{"[TOOL_CALLS]"}},
	{coder, []string{"<function=", "<parameter="}},
	{glm, []string{"<arg_key>", "<arg_value>"}},
	{hermes, []string{"<tool_call>"}},
	{granite, []string{"<|tool_call|>"}},
	{llama, []string{"<|start_header_id|>", `{"name": `}},
	{plain, nil},
}

// Names returns the names of the formats.
func Names() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.format().name)
	}
	slices.Sort(names)
	return names
}

// ByName returns the format of a name of Names.
func ByName(name string) (*Format, error) {
	for _, f := range formats {
		if format := f.format(); format.name == name {
			return format, nil
		}
	}
	return nil, fmt.Errorf("toolcall: unknown format %q (known: %s)", name, strings.Join(Names(), ", "))
}

// Detect returns the format of a chat template: the first, in the order harmony, gemma4, deepseek-dsml,
// deepseek-fenced, deepseek, mistral, mistral-list, qwen-xml, glm, hermes, granite, llama3, all of whose markers it
// holds, or else plain, which knows thoughts in <think> alone. Thoughts of a format that has no markers for them are
// found in <think> if the template speaks of it.
func Detect(template string) *Format {
	for _, f := range formats {
		if !slices.ContainsFunc(f.markers, func(m string) bool { return !strings.Contains(template, m) }) {
			format := f.format()
			if format.think == (pair{}) && format.begin == nil && strings.Contains(template, "<think>") {
				format.think = thinkTags
			}
			format.guess = format.think == thinkTags && !strings.Contains(template, "think>")
			return format
		}
	}
	return plain()
}

// plain is the form of models that know no calls.
func plain() *Format { return &Format{name: "plain", think: thinkTags} }

// Name returns the format's name.
func (f *Format) Name() string { return f.name }

// Calls reports whether the format knows calls.
func (f *Format) Calls() bool { return f.one != nil }

// NewID returns an id of a call made of letters and digits that nobody can guess, of which there are 9 at least.
func (f *Format) NewID(random string) string {
	if f.think == mistralThink { // whose templates want 9 characters
		return random[:9]
	}
	return "call_" + random
}

// Opens reports whether a prompt that ends in tail leaves thoughts open.
func (f *Format) Opens(tail string) bool {
	return f.think.open != "" &&
		strings.HasSuffix(strings.TrimRight(tail, blanks), strings.TrimRight(f.think.open, blanks))
}

// Closes reports whether a prompt that ends in tail ends behind thoughts.
func (f *Format) Closes(tail string) bool {
	return f.think.close != "" && strings.HasSuffix(strings.TrimRight(tail, blanks), f.think.close)
}

// Thoughts returns the text with which thoughts begin, those of which each ends them, and the text that ends them
// early: what the model itself would write between its thoughts and the answer. All are empty for a format without
// thoughts.
func (f *Format) Thoughts() (opener string, closers []string, end string) {
	switch {
	case f.name == "harmony": // whose thoughts are a channel
		return hmChannel + "analysis" + hmMessage, []string{hmEnd, hmStart, hmChannel},
			hmEnd + hmStart + "assistant" + hmChannel + "final" + hmMessage
	case f.think == (pair{}):
		return "", nil, ""
	case f.think == thinkTags:
		return f.think.open, []string{f.think.close}, f.think.close + "\n\n"
	}
	return f.think.open, []string{f.think.close}, f.think.close
}
