package grammar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// published returns the vocabulary of a published tokenizer.
func published(t testing.TB, name string) *Vocabulary {
	t.Helper()
	raw, _ := testfiles.Tokenizer(t, name)
	vocab, err := tokenizer.FromHF(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(vocab)
	if err != nil {
		t.Fatal(err)
	}
	v, err := FromTokenizer(tok)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// schemaWriter writes schemas at random, of all that is supported.
type schemaWriter struct{ *rand.Rand }

type object = map[string]any

func (w *schemaWriter) some(list ...string) string { return list[w.IntN(len(list))] }

// schema writes a schema of at most depth levels.
func (w *schemaWriter) schema(depth int) any {
	kind := w.IntN(13)
	if depth == 0 {
		kind = w.IntN(7)
	}
	switch kind {
	case 0:
		return object{"type": w.some("null", "boolean"), "title": "t"}
	case 1:
		return w.integer()
	case 2:
		return w.number()
	case 3, 4:
		return w.text()
	case 5:
		return object{"enum": []any{"a", 1, nil, "é\"\n", true, object{"k": []any{1, 2.5}}, w.IntN(100)}[w.IntN(3):]}
	case 6:
		return object{"type": []string{"integer", "string", "null"}[w.IntN(3):], "maxLength": 5, "maximum": 40}
	case 7, 8, 9:
		return w.object(depth)
	case 10, 11:
		return w.array(depth)
	}
	switch w.IntN(4) {
	case 0:
		return object{"anyOf": []any{w.schema(depth - 1), w.schema(depth - 1)}}
	case 1:
		return object{"oneOf": []any{
			object{"type": "object", "properties": object{"kind": object{"const": "x"}, "v": w.schema(depth - 1)},
				"required": []string{"kind"}},
			object{"type": "object", "properties": object{"kind": object{"enum": []string{"y", "z"}}},
				"required": []string{"kind", "w"}},
			w.text(),
		}}
	case 2:
		o := w.object(depth)
		for _, k := range []string{"additionalProperties", "minProperties", "maxProperties"} {
			delete(o, k) // with which there may be nothing that fits both
		}
		return object{"allOf": []any{o,
			object{"properties": object{"extra": w.schema(depth - 1)}, "required": []string{"extra"}}}}
	}
	return object{"$ref": w.some("#/$defs/list", "#/$defs/pair", "#/$defs/tree", "#leaf")}
}

// defs are what schemas refer to: lists and trees of themselves, and what refers to parts of those.
func (w *schemaWriter) defs() object {
	return object{
		"list": object{"type": "object", "properties": object{"v": w.integer(),
			"next": object{"anyOf": []any{object{"type": "null"}, object{"$ref": "#/$defs/list"}}}},
			"required": []string{"v"}},
		"pair": object{"type": "array", "prefixItems": []any{object{"$ref": "#/$defs/list/properties/v"},
			object{"$ref": "#/$defs/tree"}}, "minItems": 2, "maxItems": 2},
		"tree": object{"type": "object", "properties": object{"leaf": object{"$ref": "#leaf"},
			"below": object{"type": "array", "items": object{"$ref": "#/$defs/tree"}, "maxItems": 2}},
			"required": []string{"leaf"}},
		"leaf": object{"$anchor": "leaf", "anyOf": []any{w.text(), w.number(), object{"$ref": "#/$defs/list"}}},
	}
}

func (w *schemaWriter) integer() object {
	s := object{"type": "integer"}
	low := w.Int64N(2000) - 1000
	if w.IntN(8) == 0 {
		low = -1 << 63
	}
	if w.IntN(2) == 0 {
		s[w.some("minimum", "exclusiveMinimum")] = low
	}
	if w.IntN(2) == 0 {
		s[w.some("maximum", "exclusiveMaximum")] = max(low, -2000) + 2 + w.Int64N(1<<w.IntN(50))
	}
	if w.IntN(8) == 0 {
		s = object{"type": "integer", "multipleOf": 1 + w.IntN(50)}
	}
	return s
}

func (w *schemaWriter) number() object {
	s := object{"type": "number"}
	low := float64(w.IntN(2000)-1000) / float64([]int{1, 8, 100}[w.IntN(3)])
	if w.IntN(2) == 0 {
		s[w.some("minimum", "exclusiveMinimum")] = low
	}
	if w.IntN(2) == 0 {
		s[w.some("maximum", "exclusiveMaximum")] = low + float64(1+w.IntN(300))/100
	}
	return s
}

func (w *schemaWriter) text() object {
	s := object{"type": "string", "description": "d"}
	switch w.IntN(5) {
	case 0:
		s["format"] = w.some("date", "time", "date-time", "uuid", "ipv4", "ipv6", "email", "hostname", "uri",
			"duration")
	case 1:
		s["pattern"] = w.some("^[a-z]{2,5}$", "x|^y+$", "\\d-\\d", "^(\\w+ ?)*$", "\"", "^[^\\\\/]*$", "^\\S+$")
	case 2:
		s["minLength"] = w.IntN(4)
	case 3:
		s["minLength"], s["maxLength"] = w.IntN(4), 4+w.IntN(200)
	}
	if w.IntN(10) == 0 {
		s = object{"type": "string", "pattern": "^[a-f]*$", "minLength": 2, "maxLength": 2 + w.IntN(20)}
	}
	return s
}

func (w *schemaWriter) object(depth int) object {
	if w.IntN(4) == 0 {
		return object{"type": "object", "additionalProperties": w.schema(depth - 1), "minProperties": w.IntN(2),
			"maxProperties": 1 + w.IntN(4)}
	}
	properties, required := object{}, []string{}
	for i := range 1 + w.IntN(5) {
		name := fmt.Sprintf("%s%d", w.some("a", "b b", "ü", "\"q"), i)
		properties[name] = w.schema(depth - 1)
		if w.IntN(2) == 0 {
			required = append(required, name)
		}
	}
	s := object{"type": "object", "properties": properties, "required": required}
	switch w.IntN(5) {
	case 0:
		s["additionalProperties"] = false
	case 1:
		s["additionalProperties"] = w.schema(0)
		s["maxProperties"] = len(properties) + w.IntN(3)
	case 2:
		s["minProperties"] = w.IntN(len(properties) + 1)
	}
	return s
}

func (w *schemaWriter) array(depth int) object {
	s := object{"type": "array", "items": w.schema(depth - 1)}
	low := w.IntN(3)
	if w.IntN(2) == 0 {
		s["minItems"] = low
	}
	s["maxItems"] = low + w.IntN(4)
	if w.IntN(3) == 0 {
		s["prefixItems"] = []any{w.schema(depth - 1), w.schema(0)}
	}
	return s
}

// TestRandomSchemas draws outputs for schemas at random, with logits at random, and has another implementation of JSON
// Schema judge them.
func TestRandomSchemas(t *testing.T) {
	schemas := 1000
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most schemas to make long")
		schemas = 40
	}
	v := published(t, "qwen3")
	rng := rand.New(rand.NewPCG(1, 2))
	w := &schemaWriter{Rand: rng}
	tokens := 0
	for i := range schemas {
		depth := 3
		if i%10 == 0 {
			depth = 6
		}
		root := object{"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": w.defs(),
			"allOf": []any{w.schema(depth)}}
		text, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		g, err := JSONSchema(v, text)
		if err != nil {
			t.Fatalf("schema %d, %s: %v", i, text, err)
		}
		judge := judgeOf(t, text)
		out, n := draw(t, g, rng, text)
		tokens += n
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("schema %d, %s: %s: %v", i, text, out, err)
		}
		if err := judge.Validate(value); err != nil {
			t.Fatalf("schema %d, %s: %s: %v", i, text, out, err)
		}
	}
	t.Logf("%d schemas, %d tokens of a vocabulary of %d", schemas, tokens, v.Len())
}

func judgeOf(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// draw chooses tokens at random until the text ends. From the 60th on it prefers those that close something.
func draw(t *testing.T, g *Grammar, rng *rand.Rand, schema []byte) (out []byte, n int) {
	t.Helper()
	m := g.NewMatcher()
	v := g.Vocabulary()
	for n = 0; n < 5000; n++ {
		if n%3 == 0 {
			for _, id := range m.Forced() {
				if err := m.Accept(id); err != nil {
					t.Fatalf("%s: a forced token behind %q: %v", schema, out, err)
				}
				out = append(out, v.tokens[id].Bytes...)
			}
			if m.ended {
				return bytes.TrimSuffix(out, []byte("<|im_end|>")), n
			}
		}
		mask, err := m.Mask()
		if err != nil {
			t.Fatalf("%s: behind %q: %v", schema, out, err)
		}
		best, high := int32(-1), 0.0
		for i := range v.tokens {
			if mask[i/64]>>(i%64)&1 == 0 {
				continue
			}
			logit := rng.Float64()
			if n > 60 {
				logit += ending(v.tokens[i])
			}
			if logit > high {
				best, high = int32(i), logit
			}
		}
		if err := m.Accept(best); err != nil {
			t.Fatalf("%s: token %d is in the mask behind %q: %v", schema, best, out, err)
		}
		if m.ended {
			return out, n
		}
		out = append(out, v.tokens[best].Bytes...)
	}
	t.Fatalf("%s: no end: %.500q", schema, out)
	return nil, 0
}

// ending is high for tokens that close something, and for those that patterns of this test wait for.
func ending(token Token) float64 {
	switch text := string(token.Bytes); {
	case token.Control:
		return 2
	case len(text) > 3:
		return 0
	case strings.Trim(text, "\"}]") == "":
		return 1.2
	case strings.Trim(text, "\"\\-10xy") == "":
		return 1
	}
	return 0
}

// BenchmarkMask measures what a token of JSON costs, over the 262 thousand of Gemma 3.
func BenchmarkMask(b *testing.B) {
	v := published(b, "gemma3")
	g, err := JSONSchema(v, []byte(`{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},
		"age":{"type":"integer","minimum":0,"maximum":150},"mail":{"type":"string","maxLength":100},"tags":{"type":"array","items":{"enum":["red","green","blue"]}},
		"address":{"type":"object","properties":{"street":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9]{5}$"}},"required":["street"]},
		"more":{"type":"object"}},"required":["name","age"]}}`))
	if err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, `, {"name": "A name of number %d", "age": %d, "mail": "someone%d@example.org", "tags": ["red", "blue"], `+
			`"address": {"street": "Long Street %d", "zip": "12345"}, "more": {"a": [1, 2, {"b": null}]}}`, i, i, i, i)
	}
	ids, err := v.encode("[" + text.String()[2:] + "]")
	if err != nil {
		b.Fatal(err)
	}
	for _, warm := range []bool{false, true} {
		b.Run(map[bool]string{false: "cold", true: "warm"}[warm], func(b *testing.B) {
			for b.Loop() {
				if !warm {
					g.mu.Lock()
					g.forget()
					v.masks = newLRU(v.masks.most)
					g.mu.Unlock()
				}
				m := g.NewMatcher()
				for _, id := range ids {
					if _, err := m.Mask(); err != nil {
						b.Fatal(err)
					}
					if err := m.Accept(id); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(ids)), "µs/token")
		})
	}
}
