package toolcall

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hipengine/hipengine/text/grammar"
)

// vocabulary has the bytes, and as control tokens the markers that models have as such.
func vocabulary(t testing.TB) (*grammar.Vocabulary, []grammar.Token) {
	t.Helper()
	var tokens []grammar.Token
	for b := range 256 {
		tokens = append(tokens, grammar.Token{Bytes: []byte{byte(b)}})
	}
	for _, m := range []string{
		"<end>", "[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]", "<|tool_call>", "<tool_call|>", `<|"|>`,
		"<|channel>", "<channel|>",
		hmStart, hmChannel, hmMessage, hmConstrain, hmEnd, dsCalls, dsCallsEnd, dsCall, dsCallEnd, dsSep,
		"<|tool_call|>",
	} {
		tokens = append(tokens, grammar.Token{Bytes: []byte(m), Control: true})
	}
	for _, m := range closers {
		tokens = append(tokens, grammar.Token{Bytes: []byte(m)})
	}
	v, err := grammar.NewVocabulary(tokens, grammar.VocabularyOptions{EOG: []int32{256}})
	if err != nil {
		t.Fatal(err)
	}
	return v, tokens
}

// closers are the ends of texts that are no control tokens.
var closers = []string{"</think>", "\n</parameter>", "</arg_value>", "</｜DSML｜parameter>", "</function>"}

// drawAnswer draws tokens at random, from some place on mostly those that close something, until the text ends.
func drawAnswer(t *testing.T, g *grammar.Grammar, tokens []grammar.Token, rng *rand.Rand) string {
	t.Helper()
	var out []byte
	m := g.NewMatcher()
	for n := range 20000 {
		mask, err := m.Mask()
		if err != nil {
			t.Fatalf("behind %q: %v", out, err)
		}
		best, high := -1, -1.0
		for i := range tokens {
			if mask[i/64]>>(i%64)&1 == 0 {
				continue
			}
			x := rng.Float64()
			if c := string(tokens[i].Bytes); n > 40 &&
				(i == 256 || c != "" && strings.Contains(" \"}]<>/tool_callparametervfunctioniDSML｜", c) ||
					tokens[i].Control) {
				x++
			}
			if n > 40 && (i == 256 || tokens[i].Control || i == '"' || i == ' ') {
				x += 0.3
			}
			if n > 40 && slices.Contains(closers, string(tokens[i].Bytes)) {
				x += 0.9
			}
			if x > high {
				best, high = i, x
			}
		}
		if err := m.Accept(int32(best)); err != nil {
			t.Fatal(err)
		}
		if best == 256 {
			return string(out)
		}
		out = append(out, tokens[best].Bytes...)
	}
	t.Fatalf("no end: %.300q", out)
	return ""
}

// TestGrammar draws answers that each format's grammar allows, and parses them: calls are of the tools, and their
// arguments fit the schemas.
func TestGrammar(t *testing.T) {
	v, tokens := vocabulary(t)
	tools := testTools(t)
	schemas := map[string]*jsonschema.Schema{}
	for _, tool := range tools.List() {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(tool.Schema))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(tool.Name, doc); err != nil {
			t.Fatal(err)
		}
		if schemas[tool.Name], err = c.Compile(tool.Name); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(7, 8))
	for _, name := range Names() {
		f := byName(t, name)
		if !f.Calls() {
			continue
		}
		for _, a := range []Answer{
			{Tools: tools, Required: true},
			{Tools: tools, Required: true, Parallel: true, Thinks: true},
			{Tools: tools.Select("add"), Required: true, Open: f.think.open != ""},
			{Tools: tools, Thinks: true, Parallel: true},
		} {
			g, err := f.Grammar(v, [2]any{name, a}, a)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for range 4 {
				text := drawAnswer(t, g, tokens, rng)
				out := parse(t, f, Options{Tools: tools, Reasoning: true, Open: a.Open}, text)
				if n := len(out.Calls); a.Required && n == 0 || !a.Parallel && n > 1 {
					t.Errorf("%s, %+v: %d calls in %q", name, a, n, text)
				}
				// which has a channel for it
				if a.Required && strings.TrimSpace(out.Content) != "" && name != "harmony" {
					t.Errorf("%s: content %q of %q, in which there must be a call", name, out.Content, text)
				}
				for _, c := range out.Calls {
					if !a.Tools.Has(c.Name) {
						t.Errorf("%s: call of %s in %q", name, c.Name, text)
					}
					if name == "gemma4" && c.Name == "note" { // of which one argument is held to no schema
						continue
					}
					value, err := jsonschema.UnmarshalJSON(strings.NewReader(c.Arguments))
					if err == nil {
						err = schemas[c.Name].Validate(value)
					}
					if err != nil {
						t.Errorf("%s: %s of %q: %v", name, c.Arguments, text, err)
					}
				}
			}
		}
		// Text alone must be of the form that is asked for.
		form := &grammar.Spec{Regexp: "(yes|no)"}
		a := Answer{Form: form, Thinks: true}
		g, err := f.Grammar(v, [2]any{name, "form"}, a)
		if err != nil {
			t.Fatal(err)
		}
		if out := parse(t, f, Options{Reasoning: true}, drawAnswer(t, g, tokens, rng)); !strings.HasSuffix(out.Content,
			"yes") && !strings.HasSuffix(out.Content, "no") {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// TestGrammarErrors tells what cannot be enforced.
func TestGrammarErrors(t *testing.T) {
	v, _ := vocabulary(t)
	odd := func(strict bool) *Tools {
		s := map[bool]string{true: `,"strict":true`}[strict]
		tools, err := ParseTools(
			[]byte(`[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"if":{}}}}` + s + `}}]`))
		if err != nil {
			t.Fatal(err)
		}
		return tools
	}
	for _, name := range Names() {
		f := byName(t, name)
		if !f.Calls() {
			if _, err := f.Grammar(v, name, Answer{Tools: testTools(t)}); !errors.Is(err, ErrNoCalls) {
				t.Errorf("%s: error %v", name, err)
			}
			continue
		}
		var schema *grammar.SchemaError
		if _, err := f.Grammar(v, name+"strict", Answer{Tools: odd(true), Required: true}); !errors.As(err, &schema) ||
			schema.Keyword != "if" {
			t.Errorf("%s: a strict schema with if: error %v", name, err)
		}
		if _, err := f.Grammar(v, name+"lenient", Answer{Tools: odd(false), Required: true}); err != nil {
			t.Errorf("%s: a schema with if: %v", name, err)
		}
		if _, err := f.Grammar(v, name+"only", Answer{Tools: testTools(t).Select("nobody")}); err == nil {
			t.Errorf("%s: a tool that there is not: no error", name)
		}
	}
	if _, err := ParseTools([]byte(`{`)); err == nil {
		t.Error("tools that are no JSON: no error")
	}
	if _, err := ByName("nothing"); err == nil || !strings.Contains(err.Error(), "hermes") {
		t.Errorf("an unknown format: %v", err)
	}
}

// TestValueOf reads parameters as their schemas say.
func TestValueOf(t *testing.T) {
	for _, c := range []struct {
		text string
		kind valueKind
		want string
	}{
		{"\n1\n", jsonValue, "1"}, {"x", jsonValue, `"x"`}, {"None", jsonValue, "null"}, {"None", autoValue, `"None"`},
		{`"q"`, autoValue, `"\"q\""`},
		{`{"a":1}`, autoValue, `{"a":1}`}, {"", autoValue, `""`}, {"", jsonValue, `""`}, {`"q"`, jsonValue, `"q"`},
	} {
		if got := valueOf(c.text, c.kind, true); got != c.want || !json.Valid([]byte(got)) {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}
