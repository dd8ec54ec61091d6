package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openapi"
)

// schema is a part of the OpenAPI document.
type schema map[string]any

// fieldsOf are the fields of a request: by name, members of members behind a slash, where the document describes them.
type fieldsOf map[string][]string

// apiDocument is the document as the tests of fields read it.
type apiDocument struct {
	root  schema
	judge *jsonschema.Compiler
}

const documentURL = "https://localhost/openapi.json"

func readDocument(t *testing.T) *apiDocument {
	t.Helper()
	text := openapi.Document("test")
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := &apiDocument{judge: jsonschema.NewCompiler()}
	if err := json.Unmarshal(text, &d.root); err != nil {
		t.Fatal(err)
	}
	if err := d.judge.AddResource(documentURL, value); err != nil {
		t.Fatal(err)
	}
	return d
}

// at returns what a JSON pointer names, and the pointer of what that refers to.
func (d *apiDocument) at(pointer string) (schema, string) {
	var v any = map[string]any(d.root)
	for _, part := range strings.Split(pointer, "/")[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch of := v.(type) {
		case map[string]any:
			v = of[part]
		case []any:
			var i int
			fmt.Sscan(part, &i)
			v = of[i]
		}
	}
	s, _ := v.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		return d.at(strings.TrimPrefix(ref, "#"))
	}
	return s, pointer
}

// bodies returns where the document describes the JSON that is posted to each path.
func (d *apiDocument) bodies() map[string]string {
	list := map[string]string{}
	for path := range d.root["paths"].(map[string]any) {
		_, at := d.at("/paths/" + strings.ReplaceAll(path, "/", "~1") + "/post/requestBody")
		if s, at := d.at(at + "/content/application~1json/schema"); s != nil {
			list[path] = at
		}
	}
	return list
}

// collect adds the fields of the schema at a pointer.
func (d *apiDocument) collect(pointer, prefix string, to fieldsOf) {
	s, at := d.at(pointer)
	for _, kind := range []string{"allOf", "oneOf", "anyOf"} {
		list, _ := s[kind].([]any)
		for i := range list {
			d.collect(fmt.Sprintf("%s/%s/%d", at, kind, i), prefix, to)
		}
	}
	members, _ := s["properties"].(map[string]any)
	for name := range members {
		where := at + "/properties/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		to[prefix+name] = append(to[prefix+name], where)
		d.collect(where, prefix+name+"/", to)
	}
}

// withoutEffect reports whether the document says that a field has no effect.
func (d *apiDocument) withoutEffect(where []string) bool {
	s, _ := d.at(where[0])
	return s["description"] == "Has no effect" && len(s) == 1
}

// merged returns members with those of b over them; null takes one away.
func merged(t *testing.T, a, b string) string {
	t.Helper()
	var whole, over map[string]json.RawMessage
	for text, v := range map[string]*map[string]json.RawMessage{a: &whole, b: &over} {
		if err := json.Unmarshal([]byte("{"+text+"}"), v); err != nil {
			t.Fatalf("{%s}: %v", text, err)
		}
	}
	for name, v := range over {
		switch old := whole[name]; {
		case string(v) == "null":
			delete(whole, name)
		case name == "options" && old != nil:
			whole[name] = json.RawMessage("{" + merged(t, string(old[1:len(old)-1]), string(v[1:len(v)-1])) + "}")
		default:
			whole[name] = v
		}
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[1 : len(text)-1])
}

var unsteady = regexp.MustCompile(
	`("id":"|"item_id":")[a-z]+[-_][A-Za-z0-9]+|"created":\d+|"(created|completed|modified|updated)_at":("[^"]*"|\d+)|` +
		`"[a-z_]*_duration":\d+|"[a-z_]+_(ms|second)":[0-9.e+-]+|"t_[a-z_]+":[0-9.e+-]+|"encrypted_content":"[^"]*"`)

// fieldSites are the servers of the probes, by name.
func fieldSites(t *testing.T) func(name string) *site {
	t.Helper()
	runners := map[string]*fake.Runner{
		"letters": {Alter: fourLetters},
		"thinks":  {Reply: "<think>\none two three\n</think>\n\ntext"},
		"calls":   {Reply: twoCalls},
		"ends":    {Reply: "abc"},
		"hash":    {},
	}
	var once sync.Mutex
	sites := map[string]*site{}
	return func(name string) *site {
		once.Lock()
		defer once.Unlock()
		if name == "" {
			name = "letters"
		}
		if sites[name] == nil {
			sites[name] = open(t, runners[name], func(c *Config) {
				withFormat(t, "hermes")(c)
				m := &c.Models[0]
				m.Infill = InfillTokens{Prefix: 1, Suffix: 2, Middle: 3, Repo: 4, File: 5}
				m.Prompt, m.Ranker = tellingPrompt, length{}
				if name == "hash" {
					m.Ranker = nil
				}
				c.LlamaRoutes, c.Sampling = []string{LlamaCompletion}, free
			})
		}
		return sites[name]
	}
}

// tellingPrompt makes a prompt of all that a template is told.
func tellingPrompt(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
	text := string(messages) + string(tools)
	for _, name := range slices.Sorted(maps.Keys(kwargs)) {
		text += name + string(kwargs[name])
	}
	return fake.Tokenizer{}.EncodePrompt(text)
}

// TestFieldsHaveEffects sends each field that the document describes, with and without: the answers differ, or are the
// same where the document says so. A field without a probe fails.
func TestFieldsHaveEffects(t *testing.T) {
	d, sites := readDocument(t), fieldSites(t)
	asked := 0
	for path, pointer := range d.bodies() {
		if elsewhere[path] != "" {
			continue
		}
		fields := fieldsOf{}
		d.collect(pointer, "", fields)
		for name, where := range fields {
			asked++
			p, known := probeOf(path, name)
			if d.withoutEffect(where) {
				p.same = true
				if parent, member, nested := strings.Cut(name, "/"); nested {
					if p.with = fmt.Sprintf(`%q:{%q:"x"}`, parent, member); parent == "stream_options" {
						p.base = `"stream":true`
					}
				} else {
					p.with = fmt.Sprintf(`%q:["x",1]`, name)
				}
			} else if !known {
				t.Errorf("%s: there is no probe of %s", path, name)
				continue
			}
			ask := func(members string) (int, string) {
				status, _, body := sites(p.site).call(t, "POST", path, "{"+members+"}")
				return status, unsteady.ReplaceAllString(body, "$1")
			}
			base := merged(t, requests[path], p.base)
			_, without := ask(base)
			status, with := ask(merged(t, base, p.with))
			if want := max(p.status, 200); status != want {
				t.Errorf("%s: %s: status %d, want %d: %.300s", path, p.with, status, want, with)
			} else if p.same != (with == without) {
				t.Errorf("%s: %s: with it\n%.600s\nwithout\n%.600s", path, p.with, with, without)
			}
		}
	}
	t.Logf("%d fields of %d paths", asked, len(requests))
	for path, of := range elsewhere {
		if _, ok := d.bodies()[path]; !ok {
			t.Errorf("%s, of %s, is not in the document", path, of)
		}
	}
}

// candidates are values of many kinds, of which a field takes some.
var candidates = []string{
	`"nonsense"`, `""`, `1.5`, `-2`, `-1000000`, `1e30`, `99999999999999999999`, `true`, `[]`, `{}`, `["nonsense"]`, `[1]`,
	`[[]]`, `[""]`, `{"nonsense":1}`,
}

// TestFieldsOutOfRange sends each field with values that the document does not allow: they are refused, and the error
// names the field.
func TestFieldsOutOfRange(t *testing.T) {
	d, sites := readDocument(t), fieldSites(t)
	refused, every, least := 0, 1, 2000
	if testing.Short() {
		t.Log("SKIPPED: -short leaves every second value to make long")
		every, least = 2, 1000
	}
	for path, pointer := range d.bodies() {
		if elsewhere[path] != "" {
			continue
		}
		fields := fieldsOf{}
		d.collect(pointer, "", fields)
		for name, where := range fields {
			p, known := probeOf(path, name)
			if d.withoutEffect(where) || !known {
				continue
			}
			var schemas []*jsonschema.Schema
			values := slices.Concat(candidates, beyond[name])
			for _, at := range where {
				s, err := d.judge.Compile(documentURL + "#" + (&url.URL{Path: at}).EscapedPath())
				if err != nil {
					t.Fatalf("%s: %v", at, err)
				}
				schemas = append(schemas, s)
				values = append(values, d.edges(at)...)
			}
			for i, value := range values {
				if (i+len(name))%every > 0 {
					continue
				}
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
				if err != nil {
					t.Fatal(err)
				}
				always := i >= len(candidates) && i < len(candidates)+len(beyond[name])
				if !always && slices.ContainsFunc(schemas, func(s *jsonschema.Schema) bool { return s.Validate(v) == nil }) {
					continue
				}
				members := placed(t, merged(t, merged(t, requests[path], p.base), p.with), name, value)
				status, _, body := sites(p.site).call(t, "POST", path, "{"+members+"}")
				top, _, _ := strings.Cut(name, "/")
				if refused++; status != 400 || !strings.Contains(body, top) {
					t.Errorf("%s: %s as %.60s: status %d, %.300s", path, name, value, status, body)
				}
			}
		}
	}
	t.Logf("%d values were refused", refused)
	if refused < least {
		t.Errorf("%d values were refused", refused)
	}
}

// edges returns numbers just outside of the limits that the schema at a pointer names, and texts that are too long.
func (d *apiDocument) edges(pointer string) (values []string) {
	s, at := d.at(pointer)
	step := 1.0
	if types := fmt.Sprint(s["type"]); strings.Contains(types, "number") {
		step = 0.0001
	}
	if low, ok := s["minimum"].(float64); ok {
		values = append(values, fmt.Sprint(low-step))
	}
	if high, ok := s["maximum"].(float64); ok {
		values = append(values, fmt.Sprint(high+step))
	}
	if n, ok := s["maxLength"].(float64); ok {
		values = append(values, `"`+strings.Repeat("x", int(n)+1)+`"`)
	}
	for _, kind := range []string{"oneOf", "anyOf"} {
		list, _ := s[kind].([]any)
		for i := range list {
			values = append(values, d.edges(fmt.Sprintf("%s/%s/%d", at, kind, i))...)
		}
	}
	return values
}

// placed puts a value in the place of a field, the members of which that the probe has on the way to it stay.
func placed(t *testing.T, members, name, value string) string {
	t.Helper()
	var whole map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+members+"}"), &whole); err != nil {
		t.Fatal(err)
	}
	top, rest, nested := strings.Cut(name, "/")
	if nested {
		inner := "{}"
		if old := whole[top]; len(old) > 0 && old[0] == '{' {
			inner = string(old)
		}
		value = "{" + placed(t, strings.TrimSpace(inner[1:len(inner)-1]), rest, value) + "}"
	}
	whole[top] = json.RawMessage(value)
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[1 : len(text)-1])
}
