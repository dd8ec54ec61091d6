package grammar

import (
	"errors"
	"strings"
	"testing"
)

// byteVocabulary has a token for each byte, a few longer ones, a control token <tool>, and <end>, which ends.
func byteVocabulary(t testing.TB, more ...string) *Vocabulary {
	t.Helper()
	var tokens []Token
	for b := range 256 {
		tokens = append(tokens, Token{Bytes: []byte{byte(b)}})
	}
	tokens = append(tokens, Token{Bytes: []byte("<end>"), Control: true},
		Token{Bytes: []byte("<tool>"), Control: true})
	for _, m := range more {
		tokens = append(tokens, Token{Bytes: []byte(m)})
	}
	encode := func(text string) (ids []int32, _ error) {
		for len(text) > 0 {
			best, n := int32(text[0]), 1
			for i, m := range more {
				if strings.HasPrefix(text, m) && len(m) > n {
					best, n = int32(258+i), len(m)
				}
			}
			ids, text = append(ids, best), text[n:]
		}
		return ids, nil
	}
	v, err := NewVocabulary(tokens, VocabularyOptions{EOG: []int32{256}, Encode: encode})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fits reports whether a grammar accepts a text, byte by byte, and that every byte of it is in the mask.
func fits(t *testing.T, g *Grammar, text string) bool {
	t.Helper()
	m := g.NewMatcher()
	for i := range len(text) {
		mask, err := m.Mask()
		if err != nil && !errors.Is(err, ErrNoToken) {
			t.Fatal(err)
		}
		id := int32(text[i])
		in := err == nil && mask[id/64]>>(id%64)&1 != 0
		if err := m.Accept(id); (err == nil) != in {
			t.Fatalf("%q: byte %d is in the mask: %v, but accepting it says %v", text, i, in, err)
		} else if err != nil {
			return false
		}
	}
	return m.Complete()
}

func TestRegexp(t *testing.T) {
	v := byteVocabulary(t)
	for _, c := range []struct{ pattern, yes, no string }{
		{`abc`, "abc", "ab|abcd|"},
		{`a*b+c?`, "b|aab|bbc", "a|c|aabcc"},
		{`(foo|bar){2,3}`, "foobar|barbarfoo", "foo|foobarfoobar"},
		{`[^a-z]`, "A|é|\U0001F600|\x00", "a|AB"},
		{`\d{3}-\w+`, "123-a_9", "12-a|123-"},
		{`.{2}`, "ab|éü", "a|é|a\n"},
		{`(?i)yes`, "yes|YES|yEs", "no"},
		{`x{200}`, strings.Repeat("x", 200), strings.Repeat("x", 199) + "|" + strings.Repeat("x", 201)},
		{`(ab{0,300}c){2,}`, "acabbc|ac" + strings.Repeat("abbbc", 40), "ac|abb"},
		{`(a{150}b?){2}`, strings.Repeat("a", 150) + "b" + strings.Repeat("a", 150), strings.Repeat("a", 299)},
		{`(x|y){100,}`, strings.Repeat("xy", 80), strings.Repeat("x", 99)},
		{`[α-ω]+`, "αβγ", "abc|α1"},
		{`^ab$`, "ab", "b"},
		{`()|a`, "|a", "b"},
	} {
		g, err := Regexp(v, c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		check(t, g, c.pattern, c.yes, c.no)
	}
}

// check tests texts between bars.
func check(t *testing.T, g *Grammar, name, yes, no string) {
	t.Helper()
	for s := range strings.SplitSeq(yes, "|") {
		if !fits(t, g, s) {
			t.Errorf("%s does not accept %q", name, s)
		}
	}
	for s := range strings.SplitSeq(no, "|") {
		if fits(t, g, s) {
			t.Errorf("%s accepts %q", name, s)
		}
	}
}

func TestGBNF(t *testing.T) {
	v := byteVocabulary(t)
	for _, c := range []struct{ grammar, yes, no string }{
		{"root ::= \"a\" [b-d]+ # text\n", "ab|abcd", "a|ae"},
		{"root ::= expr\nexpr ::= term (\"+\" term)*\nterm ::= num | \"(\" expr \")\"\nnum ::= [0-9]{1,3}",
			"1+(2+33)|7", "1+|(1|1234"},
		{"root ::= (\n  \"x\" |\n  \"y\"\n)\n  | \"z\"", "x|y|z", "xy"},
		{"list ::= \"[\" ws (root (\",\" ws root)*)? \"]\"\nws ::= [ \\t\\n]*\nroot ::= list | \"1\"",
			"[[1, []]]|1|[]", "[|[1,]|[1 ]"},
		{"root ::= \"\\x41\\u00e9\\\"\\\\\" .", "Aé\"\\x", "A"},
		{"root ::= \"a\" root | \"\"", "|a|aaaaaaaa", "b"},
		{"root ::= item{2,} \nitem ::= [^\\n]{1,3} \"\\n\"", "a\nbc\n|a\nb\nc\n", "a\n|abcd\nb\n"},
	} {
		g, err := GBNF(v, c.grammar)
		if err != nil {
			t.Errorf("%s: %v", c.grammar, err)
			continue
		}
		check(t, g, c.grammar, c.yes, c.no)
	}
	for grammar, want := range map[string]error{
		"root ::= root \"a\" | \"b\"":                                         ErrLeftRecursion,
		"root ::= e root | \"x\"\ne ::= \"\" | e2\ne2 ::= e3 e3\ne3 ::= root": ErrLeftRecursion,
		"root ::= \"a\" root":                                                 ErrImpossible,
		"root ::= (([a-z] | \"b\"){1000} [a-z]{1000}){1000000}":               nil,
		"root ::= x":          &SyntaxError{},
		"root = \"a\"":        &SyntaxError{},
		"root ::= \"a":        &SyntaxError{},
		"root ::= [z-a]":      &SyntaxError{},
		"root ::= (\"a\"":     &SyntaxError{},
		"a ::= \"a\"":         &SyntaxError{},
		"root ::= \"a\"{3,1}": &SyntaxError{},
	} {
		_, err := GBNF(v, grammar)
		var syntax *SyntaxError
		if ok := errors.Is(err, want); !ok && !(errors.As(want, &syntax) && errors.As(err, &syntax)) {
			t.Errorf("%s: error %v, want %v", grammar, err, want)
		}
	}
}

// applyPatch is the grammar that Codex gives for its tool apply_patch.
const applyPatch = `start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?

hunk: add_hunk | delete_hunk | update_hunk
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
update_hunk: "*** Update File: " filename LF change_move? change?

filename: /(.+)/
add_line: "+" /(.*)/ LF -> line

change_move: "*** Move to: " filename LF
change: (change_context | change_line)+ eof_line?
change_context: ("@@" | "@@ " /(.+)/) LF
change_line: ("+" | "-" | " ") /(.*)/ LF
eof_line: "*** End of File" LF

%import common.LF
`

func TestLark(t *testing.T) {
	v := byteVocabulary(t)
	g, err := Lark(v, applyPatch)
	if err != nil {
		t.Fatal(err)
	}
	check(t, g, "apply_patch", "*** Begin Patch\n*** Add File: a.go\n+package a\n+\n*** End Patch|"+
		"*** Begin Patch\n*** Update File: b.go\n*** Move to: c.go\n@@ func f\n-old\n+new\n same\n*** End of File\n*** End Patch\n|"+
		"*** Begin Patch\n*** Delete File: x\n*** Delete File: y\n*** End Patch",
		"*** Begin Patch\n*** End Patch|*** Begin Patch\n*** Add File: a\n*** End Patch|*** Begin Patch\n*** Update File: b\nx\n*** End Patch")
	for _, c := range []struct{ grammar, yes, no string }{
		{"start: \"a\"i B~2..3 [c]\nB: \"x\"..\"z\" // letters\n?c: /[0-9]+/ | \"(\" start \")\" -> nested\n",
			"axy|Axyz12|axx(Ayy)", "ax|axyzz"},
		{"start: WORD (\",\" WORD)*\n%import common (WORD, INT)\n", "ab,c", "ab,"},
		{"start: a\n   | b\na.2: \"1\"\nb: \"2\"", "1|2", "12"},
	} {
		g, err := Lark(v, c.grammar)
		if err != nil {
			t.Errorf("%s: %v", c.grammar, err)
			continue
		}
		check(t, g, c.grammar, c.yes, c.no)
	}
	for _, grammar := range []string{"start: x", "start \"a\"", "%ignore WS\nstart: \"a\"", "start: /(?=a)/",
		"start: \"a", "x: \"a\"", "start{a}: a"} {
		if _, err := Lark(v, grammar); err == nil {
			t.Errorf("%s: no error", grammar)
		}
	}
}

func TestControlTokens(t *testing.T) {
	v := byteVocabulary(t, "<to", "ab")
	var b Builder
	text, err := b.Text()
	if err != nil {
		t.Fatal(err)
	}
	g, err := b.Compile(b.Seq(text, b.Repeat(b.Seq(b.Special("<tool>"), b.Literal("x!")), 0, -1)), v)
	if err != nil {
		t.Fatal(err)
	}
	m := g.NewMatcher()
	mask, err := m.Mask()
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int32]bool{'a': true, '<': true, 256: true, 257: true, 258: true, 259: true} {
		if got := mask[id/64]>>(id%64)&1 != 0; got != want {
			t.Errorf("token %d is allowed: %v", id, got)
		}
	}
	for _, id := range []int32{'<', 't', 257} { // text that looks like the marker is text
		if err := m.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	if ids := m.Forced(); len(ids) != 2 || ids[0] != 'x' || ids[1] != '!' {
		t.Errorf("forced %v, want x!", ids)
	}
	if err := m.Accept('a'); !errors.Is(err, ErrRejected) {
		t.Errorf("text in place of what is forced: %v", err)
	}
	if err := m.Accept(256); !errors.Is(err, ErrRejected) {
		t.Errorf("an end in place of what is forced: %v", err)
	}
}

func TestText(t *testing.T) {
	v := byteVocabulary(t)
	var b Builder
	text, err := b.Text("<<a", "<b")
	if err != nil {
		t.Fatal(err)
	}
	g, err := b.Compile(text, v)
	if err != nil {
		t.Fatal(err)
	}
	check(t, g, "text without <<a and <b", "|<|<<|<<<|<a|b<é", "<<a|x<b|<<<a|\xff")
}

func TestForced(t *testing.T) {
	v := byteVocabulary(t, `{"`, `name`, `": "`, `"a`, `true`)
	g, err := JSONSchema(v, []byte(
		`{"type":"object","properties":{"name":{"const":true}},"required":["name"],"additionalProperties":false}`))
	if err != nil {
		t.Fatal(err)
	}
	m := g.NewMatcher()
	if ids := m.Forced(); len(ids) != 0 {
		t.Errorf("forced %v, though { may be a part of a longer token", ids)
	}
	for _, id := range []int32{258} {
		if err := m.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	ids := m.Forced()
	if len(ids) == 0 || ids[0] != 259 {
		t.Errorf("forced %v, want name first", ids)
	}
	for _, id := range ids {
		if err := m.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	g, err = Regexp(v, "abc")
	if err != nil {
		t.Fatal(err)
	}
	if ids := g.NewMatcher().Forced(); len(ids) != 4 || ids[3] != 256 {
		t.Errorf("forced %v, want abc and the end", ids)
	}
}

func TestVocabularyErrors(t *testing.T) {
	for _, c := range []struct {
		tokens []Token
		o      VocabularyOptions
	}{
		{nil, VocabularyOptions{}},
		{[]Token{{Bytes: []byte("a")}}, VocabularyOptions{EOG: []int32{1}}},
		{[]Token{{Bytes: make([]byte, maxTokenBytes+1)}}, VocabularyOptions{}},
	} {
		if _, err := NewVocabulary(c.tokens, c.o); err == nil {
			t.Errorf("a vocabulary of %d tokens with %+v: no error", len(c.tokens), c.o)
		}
	}
	// A vocabulary that cannot spell what the grammar asks for fails closed.
	v, err := NewVocabulary([]Token{{Bytes: []byte("a")}}, VocabularyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := Regexp(v, "ab")
	if err != nil {
		t.Fatal(err)
	}
	m := g.NewMatcher()
	if err := m.Accept(0); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Mask(); !errors.Is(err, ErrNoToken) {
		t.Errorf("error %v, want %v", err, ErrNoToken)
	}
}
