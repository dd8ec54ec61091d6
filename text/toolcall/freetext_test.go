package toolcall

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/hipengine/hipengine/text/grammar"
)

// TestFreeTextTools draws calls of a tool that takes free text: it fits the grammar, whatever the format makes of it.
func TestFreeTextTools(t *testing.T) {
	v, tokens := vocabulary(t)
	const lark = "start: \"*** \" (LINE \"\\n\")+ \"end\"\nLINE: /[a\"\\\\é{}]{1,6}/"
	fits := regexp.MustCompile("^\\*\\*\\* ([a\"\\\\é{}]{1,6}\n)+end$")
	tools, err := ParseTools([]byte(`[{"function":{"name":"add"}},{"function":{"name":"edit","parameters":` +
		`{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	tools.Hold("edit", grammar.Spec{Lark: lark})
	rng := rand.New(rand.NewPCG(3, 4))
	for _, name := range Names() {
		f := byName(t, name)
		if !f.Calls() {
			continue
		}
		a := Answer{Tools: tools.Select("edit"), Required: true}
		g, err := f.Grammar(v, name, a)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 4 {
			text := drawAnswer(t, g, tokens, rng)
			out := parse(t, f, Options{Tools: tools, Reasoning: true}, text)
			if len(out.Calls) != 1 || out.Calls[0].Name != "edit" {
				t.Fatalf("%s: %+v of %q", name, out, text)
			}
			var args map[string]string
			if err := json.Unmarshal([]byte(out.Calls[0].Arguments), &args); err != nil || len(args) != 1 ||
				!fits.MatchString(args[InputName]) {
				t.Errorf("%s: %q of %q: %v", name, args, text, err)
			}
		}
	}
}

// TestContinued reads answers that the prompt began: there are no thoughts any more.
func TestContinued(t *testing.T) {
	v, tokens := vocabulary(t)
	tools := testTools(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, name := range Names() {
		f := byName(t, name)
		out := parse(t, f, Options{Tools: tools, Reasoning: true, Continued: true}, " is ", "Paris.")
		if out.Content != " is Paris." || out.Reasoning != "" || out.Calls != nil {
			t.Errorf("%s: %+v", name, out)
		}
		if open := f.think.open; open != "" {
			if out := parse(t, f, Options{Reasoning: true, Continued: true}, open+"x"); out.Content != open+"x" ||
				out.Reasoning != "" {
				t.Errorf("%s: %+v", name, out)
			}
		}
		form := Answer{Form: &grammar.Spec{Regexp: " (yes|no)"}, Thinks: true, Continued: true}
		answers := []Answer{form}
		if f.Calls() {
			answers = append(answers, Answer{Tools: tools, Thinks: true, Parallel: true, Continued: true})
		}
		for i, a := range answers {
			g, err := f.Grammar(v, [2]any{name, i}, a)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for range 4 {
				text := drawAnswer(t, g, tokens, rng)
				out := parse(t, f, Options{Tools: a.Tools, Reasoning: true, Continued: true}, text)
				if out.Reasoning != "" || a.Form != nil && out.Content != " yes" && out.Content != " no" {
					t.Errorf("%s, %+v: %+v of %q", name, a, out, text)
				}
			}
		}
	}
}
