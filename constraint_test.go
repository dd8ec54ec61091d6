package hipengine_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/text/grammar"
)

func openEmber(t *testing.T) *hipengine.Model {
	t.Helper()
	h, err := hipengine.NewHost(hipengine.HostOptions{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	m, err := h.Open(t.Context(), "", hipengine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestConstraint has Ember answer in forms that it would not choose by itself, and in one that it would.
func TestConstraint(t *testing.T) {
	m := openEmber(t)
	ask := func(question string, p hipengine.Params) (text, finish string, tokens int) {
		t.Helper()
		for piece, err := range m.Chat(t.Context(), []hipengine.Message{{Role: "user", Content: question}}, p) {
			if err != nil {
				t.Fatal(err)
			}
			text += piece.Text
			finish = piece.Finish
			tokens++
		}
		return text, finish, tokens
	}
	const person = "Give me JSON for a person named Ivy, aged 48."
	schema := hipengine.Constraint{JSONSchema: `{"type":"object","properties":{"name":{"type":"string","maxLength":20},
		"age":{"type":"integer","minimum":0,"maximum":150}},"required":["name","age"],"additionalProperties":false}`}
	free, _, _ := ask(person, hipengine.Params{})
	held, finish, _ := ask(person, hipengine.Params{Constraint: schema})
	if held != free || finish != hipengine.FinishStop {
		t.Errorf("%q (%s) with a schema that the answer %q fits", held, finish, free)
	}
	for seed := range uint64(3) {
		text, finish, _ := ask("What is the capital of France?",
			hipengine.Params{Constraint: schema, Seed: &seed, Temperature: new(float32(1.5))})
		var v struct {
			Name *string
			Age  *int
		}
		if err := json.Unmarshal([]byte(text), &v); err != nil || v.Name == nil || v.Age == nil ||
			finish != hipengine.FinishStop {
			t.Errorf("%q (%s): %v", text, finish, err)
		}
	}
	for _, c := range []struct {
		form hipengine.Constraint
		want string
	}{
		{hipengine.Constraint{Regexp: `(London|Madrid)`}, `^(London|Madrid)$`},
		{hipengine.Constraint{GBNF: "root ::= \"I say: \" [a-z ]{3,8} \".\""}, `^I say: [a-z ]{3,8}\.$`},
		{hipengine.Constraint{Lark: "start: (\"x\"|\"y\")~4 \"!\""}, `^[xy]{4}!$`},
		{hipengine.Constraint{Regexp: `Nothing but this, word by word: é\.`}, `^Nothing but this, word by word: é\.$`},
	} {
		if text, finish, _ := ask("What is the capital of France?",
			hipengine.Params{Constraint: c.form}); !regexp.MustCompile(c.want).MatchString(text) ||
			finish != hipengine.FinishStop {
			t.Errorf("%+v: %q (%s)", c.form, text, finish)
		}
	}
	for _, c := range []hipengine.Constraint{
		{JSONSchema: `{"if":{}}`}, {GBNF: "root ::= x"}, {Regexp: "("}, {Lark: "x"}, {JSONSchema: "false"},
		{JSONObject: true, Regexp: "x"},
	} {
		var e *hipengine.ParamsError
		if err := m.CheckParams(hipengine.Params{Constraint: c}); !errors.As(err, &e) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

// TestForcedSpan feeds what a constraint leaves no choice in like a prompt: in fewer steps than tokens.
func TestForcedSpan(t *testing.T) {
	m := openEmber(t)
	e, err := m.Engine()
	if err != nil {
		t.Fatal(err)
	}
	const want = "The tool says that the weather in Paris is sunny, and that it will stay so for the next five days."
	before := e.Stats()
	var text strings.Builder
	tokens := 0
	for p, err := range m.Chat(t.Context(), []hipengine.Message{{Role: "user", Content: "Hello"}},
		hipengine.Params{Constraint: hipengine.Constraint{Regexp: regexp.QuoteMeta(want)}}) {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(p.Text)
		tokens++
	}
	after := e.Stats()
	if text.String() != want {
		t.Errorf("%q", text.String())
	}
	if steps := int(after.Steps - before.Steps); steps > 3 ||
		int(after.GeneratedTokens-before.GeneratedTokens) != tokens || tokens < 20 {
		t.Errorf("%d steps for %d tokens, of which %d are counted", steps, tokens,
			after.GeneratedTokens-before.GeneratedTokens)
	}
}

// TestEmberVocabulary masks ids that the model has and text does not.
func TestEmberVocabulary(t *testing.T) {
	m := openEmber(t)
	v, err := m.Vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	g, err := v.Compile(grammar.Spec{Regexp: `(?s).*`})
	if err != nil {
		t.Fatal(err)
	}
	mask, err := g.NewMatcher().Mask()
	if err != nil {
		t.Fatal(err)
	}
	for id := range int32(v.Len()) {
		text := m.Decode([]int32{id}, true)
		// other control tokens end the text
		want := !strings.HasPrefix(text, "<|im_start") && !strings.HasPrefix(text, "[PAD")
		if in := mask[id/64]>>(id%64)&1 != 0; in != want && text != "\uFFFD" {
			t.Errorf("token %d, %q, may stand in text: %v", id, text, in)
		}
	}
}
