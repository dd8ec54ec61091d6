package serve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
)

// TestBadSchemas asks for forms that nothing fits, that are no schemas, or that would take too much, of every endpoint
// that takes one: an error that names the field, within the time of a request, and never text that is not held.
func TestBadSchemas(t *testing.T) {
	run := &fake.Runner{Reply: "free text"}
	s := open(t, run, withFormat(t, "hermes"))
	many := func(n int, each func(i int) string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = each(i)
		}
		return strings.Join(list, ",")
	}
	schemas := map[string]string{
		"false":                    `{"properties":{"a":false},"required":["a"],"type":"object"}`,
		"bounds that cross":        `{"type":"integer","minimum":3,"maximum":2}`,
		"lengths that cross":       `{"type":"string","minLength":3,"maxLength":2}`,
		"no value":                 `{"enum":[]}`,
		"types that exclude":       `{"allOf":[{"type":"string"},{"type":"integer"}]}`,
		"a constant of another":    `{"type":"string","const":7}`,
		"items that cross":         `{"type":"array","minItems":3,"maxItems":2}`,
		"more required than may":   `{"type":"object","required":["a","b"],"maxProperties":1}`,
		"itself":                   `{"$ref":"#"}`,
		"a list of itself":         `{"$defs":{"a":{"type":"array","items":{"$ref":"#/$defs/a"},"minItems":1}},"$ref":"#/$defs/a"}`,
		"an unknown type":          `{"type":"text"}`,
		"an unknown keyword":       `{"type":"string","startsWith":"a"}`,
		"a reference to nothing":   `{"$ref":"#/$defs/a"}`,
		"a reference to elsewhere": `{"$ref":"https://example.org/schema.json"}`,
		"no pattern":               `{"type":"string","pattern":"("}`,
		"a pattern that looks":     `{"type":"string","pattern":"(?=a)b"}`,
		"a number as type":         `{"type":3}`,
		"not":                      `{"not":{"type":"string"}}`,
		"a huge pattern":           `{"type":"string","pattern":"^(((a{1,1000}){1,1000}){1,1000}){1,1000}$"}`,
		"alternatives of alternatives": `{"allOf":[` + many(20, func(i int) string {
			return fmt.Sprintf(`{"anyOf":[{"type":"object","properties":{"a%d":{"const":1}}},{"type":"object","properties":{"a%d":{"const":2}}}]}`, i, i)
		}) + `]}`,
		"too many values": `{"enum":[` + many(20_000, func(i int) string { return fmt.Sprintf(`"%08x"`, uint32(i)*2654435769) }) +
			`]}`,
	}
	const deep = 5000
	schemas["too deep"] = strings.Repeat(`{"items":`, deep) + "{}" + strings.Repeat("}", deep)
	for name, schema := range schemas {
		for path, body := range map[string]string{
			"/v1/chat/completions": hi + `,"response_format":{"type":"json_schema","json_schema":{"schema":` + schema + `}}}`,
			"/v1/completions":      `{"prompt":"x","guided_json":` + schema + `}`,
			"/v1/responses":        `{"input":"x","text":{"format":{"type":"json_schema","schema":` + schema + `}}}`,
			"/v1/messages":         ask + `,"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}}`,
			"/api/chat":            `{"model":"fake","messages":[{"role":"user","content":"hi"}],"format":` + schema + `}`,
		} {
			if testing.Short() && len(schema) > 2000 && path != "/v1/responses" {
				t.Logf("SKIPPED: -short leaves the long schema %q at %s to make long", name, path)
				continue
			}
			status, _, answer := s.call(t, "POST", path, body)
			if strings.Contains(answer, "grammar: ") {
				t.Errorf("%s, %s: a name of ours: %.300s", path, name, answer)
			}
			if status != 400 || name != "too deep" && !strings.Contains(answer, `"invalid_value"`) &&
				!strings.HasPrefix(path, "/api/") && path != "/v1/messages" {
				t.Errorf("%s, %s: status %d, %.300s", path, name, status, answer)
			}
		}
	}
	if n := len(run.Steps()); n != 0 {
		t.Errorf("%d steps for forms that are refused", n)
	}
}
