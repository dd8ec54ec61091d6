package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
)

// walk takes tokens of a grammar at random and reports what breaks a promise: a token of the mask that is rejected,
// one outside it that is not, or a forced token that is not in it.
func walk(t *testing.T, g *Grammar, seed uint64) (out []byte, complete bool) {
	m := g.NewMatcher()
	rng := rand.New(rand.NewPCG(seed, 0))
	v := g.Vocabulary()
	for range 40 {
		mask, err := m.Mask()
		if err != nil {
			if !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrNoToken) {
				t.Fatal(err)
			}
			return out, false
		}
		var allowed []int32
		for i := range v.tokens {
			in := mask[i/64]>>(i%64)&1 != 0
			if err := m.Clone().Accept(int32(i)); (err == nil) != in {
				t.Fatalf("behind %q, token %d is in the mask: %v, but accepting it says %v", out, i, in, err)
			}
			if in {
				allowed = append(allowed, int32(i))
			}
		}
		if forced := m.Forced(); len(forced) > 0 && mask[forced[0]/64]>>(forced[0]%64)&1 == 0 {
			t.Fatalf("behind %q, token %d is forced and not in the mask", out, forced[0])
		}
		id := allowed[rng.IntN(len(allowed))]
		if err := m.Accept(id); err != nil {
			t.Fatal(err)
		}
		if m.ended {
			return out, true
		}
		out = append(out, v.tokens[id].Bytes...)
	}
	return out, m.Complete()
}

// FuzzCompile compiles text in every language. What compiles is walked through.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		applyPatch, "root ::= \"a\" [b-z]{2,300} root | \"<tool>\" .*",
		`{"type":"object","properties":{"a":{"$ref":"#"}}}`,
		`{"anyOf":[{"type":"string","pattern":"^(a|b)*$","maxLength":9},{"type":"number","minimum":0.5}]}`,
		`(a|b)*c{2,}\d[^x]`,
		"start: (A | /b+/i)~2..4 [\"c\"..\"f\"]\nA: \"x\" -> y\n%import common.INT\n", `{"enum":[1,"a",{"b":[null]}]}`,
	} {
		f.Add([]byte(text), uint64(1))
	}
	v := byteVocabulary(f, `{"`, `": `, `", "`, "ab", "}]", "  ", "é", "\xc3", "\xa9\n")
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		for _, compile := range []func() (*Grammar, error){
			func() (*Grammar, error) { return JSONSchema(v, text) },
			func() (*Grammar, error) { return GBNF(v, string(text)) },
			func() (*Grammar, error) { return Lark(v, string(text)) },
			func() (*Grammar, error) { return Regexp(v, string(text)) },
		} {
			g, err := compile()
			if err != nil {
				continue
			}
			walk(t, g, seed)
		}
		if g, err := JSONSchema(v, text); err == nil {
			if out, complete := walk(t, g, seed+1); complete && !json.Valid(bytes.TrimSpace(out)) {
				t.Errorf("%s: %q is complete and no JSON", text, out)
			}
		}
	})
}

// TestForget goes through a text while the states are dropped under it.
func TestForget(t *testing.T) {
	v := byteVocabulary(t)
	g, err := JSONSchema(v, []byte(`{"type":"object"}`))
	if err != nil {
		t.Fatal(err)
	}
	text := `{"a": {"b": [1, {"c": "d"}, null]}, "e": [[[]]]}`
	m := g.NewMatcher()
	for i := range len(text) {
		g.mu.Lock()
		g.forget()
		g.mu.Unlock()
		if _, err := m.Mask(); err != nil {
			t.Fatalf("behind %q: %v", text[:i], err)
		}
		if err := m.Accept(int32(text[i])); err != nil {
			t.Fatalf("behind %q: %v", text[:i], err)
		}
	}
	g.forget()
	if !m.Complete() {
		t.Error("the text is not complete")
	}
	if _, err := m.Mask(); err != nil { // the end
		t.Error(err)
	}
}

// TestMaskMemory bounds what masks take.
func TestMaskMemory(t *testing.T) {
	v := byteVocabulary(t)
	v.masks = newLRU(4 << 10)
	g, err := JSONSchema(v, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		walk(t, g, seed)
	}
	if v.masks.bytes > v.masks.most || v.masks.order.Len() != len(v.masks.index) || v.masks.order.Len() == 0 {
		t.Errorf("%d bytes in %d masks, at most %d bytes are allowed", v.masks.bytes, v.masks.order.Len(),
			v.masks.most)
	}
}
