package grammar

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestQuoted holds JSON strings to the grammars of their texts.
func TestQuoted(t *testing.T) {
	v := byteVocabulary(t)
	for _, c := range []struct {
		spec      Spec
		good, bad []string
	}{
		{Spec{Lark: "start: \"a\\n\" B+\nB: /[\"\\\\x]/"}, []string{"a\n\"", "a\nx\\\""},
			[]string{"", "a\n", "a\ny", "ax"}},
		{Spec{Regexp: `(é|\t){2}`}, []string{"é\t", "\té"}, []string{"é", "tt", "\t\t\t"}},
		{Spec{GBNF: `root ::= "<" [^>]* ">"`}, []string{"<>", "<\x01\"a\\>", "<é😀>"}, []string{"<", "<>>"}},
	} {
		g, err := build(v, func(b *Builder) (Part, error) { return b.Quoted(c.spec) })
		if err != nil {
			t.Fatalf("%+v: %v", c.spec, err)
		}
		for _, text := range append(c.good, c.bad...) {
			var quoted strings.Builder
			e := json.NewEncoder(&quoted)
			e.SetEscapeHTML(false)
			if err := e.Encode(text); err != nil {
				t.Fatal(err)
			}
			spelled := strings.TrimSuffix(quoted.String(), "\n")
			good := false
			for _, g := range c.good {
				good = good || g == text
			}
			if fits(t, g, spelled) != good {
				t.Errorf("%+v: %s is taken: %v", c.spec, spelled, !good)
			}
		}
		if fits(t, g, `"a`+"\n"+`x"`) {
			t.Errorf("%+v: a line end stands in a string", c.spec)
		}
	}
	var b Builder
	if _, err := b.Quoted(Spec{Lark: "start: <|x|>"}); !errors.Is(err, ErrControl) {
		t.Errorf("a control token in a string: %v", err)
	}
	var syntax *SyntaxError
	if _, err := b.Quoted(Spec{Regexp: "("}); !errors.As(err, &syntax) {
		t.Errorf("a broken expression: %v", err)
	}
}
