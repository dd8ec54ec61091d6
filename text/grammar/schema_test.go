package grammar

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestSchema(t *testing.T) {
	v := byteVocabulary(t)
	for _, c := range []struct{ schema, yes, no string }{
		{`true`, `{}|[1, "a", null]|-1.5e3|"\u00e9\ud83d\ude00"`, `{|01|"\ud83d"|nul`},
		{`{"type":"object"}`, `{}|{"a": {"b":[]}}`, `[]|{"a"}|{"a":1,}`},
		{`{"type":["string","null"]}`, `null|"x"`, `1`},
		{`{"enum":["a\"b",1,null,{"k":[1]}]}`, `"a\"b"|1|null|{"k": [1]}`, `"a"|2`},
		{`{"type":"integer","enum":["a",1,1.5,2],"maximum":1}`, `1`, `2|"a"|1.5`},
		{`{"const":"x","type":"string","minLength":1}`, `"x"`, `""`},
		{`{"properties":{"a":{"type":"integer"},"b":{"type":"boolean"}},"required":["a"]}`,
			`{"a": 1}|{"a":1,"b":true}|{ "a": 1, "b": false }`,
			`{}|{"b":true}|{"b":true,"a":1}|{"a":1,"c":2}|{"a":1,}`},
		{`{"properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"minProperties":1}`,
			`{"a": 1}|{"b": 1}|{"a": 1, "b": 2}`, `{}`},
		{`{"properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"integer"}},"maxProperties":2,"minProperties":2}`,
			`{"a": 1, "c": 1}|{"b": 1, "c": 2}`, `{}|{"a": 1}|{"a": 1, "b": 1, "c": 1}`},
		{`{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}`,
			`{}|{"a":1}|{"a":1,"ab":"x"}|{"b":"x","":"y"}`, `{"a":"x"}|{"b":1}|{"b":"x","a":1}|{"b":"x","a":"x"}`},
		{`{"required":["x"],"additionalProperties":{"type":"null"}}`, `{"x":null}|{"x":null,"y":null}`, `{}|{"x":1}`},
		{`{"type":"object","properties":{}}`, `{}`, `{"a":1}`},
		{`{"type":"object","additionalProperties":false}`, `{}|{ }`, `{"a":1}`},
		{`{"type":"object","propertyNames":{"pattern":"^[a-c]$"},"additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":2}`,
			`{"a":1}|{"a":1,"c":2}`, `{}|{"d":1}|{"a":1,"b":2,"c":3}`},
		{`{"type":"object","patternProperties":{"^x-":{"type":"integer"}},"additionalProperties":false}`,
			`{"x-":1}|{}`, `{"y":1}`},
		{`{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`, `[1]|[1,2,3]|[ 1, 2 ]`,
			`[]|[1,2,3,4]|["a"]`},
		{`{"type":"array","items":{"const":1},"minItems":150,"maxItems":200}`, "[" + strings.Repeat("1, ", 149) +
			"1]|[" + strings.Repeat("1,", 199) + "1]",
			"[" + strings.Repeat("1,", 148) + "1]|[" + strings.Repeat("1,", 200) + "1]"},
		{`{"prefixItems":[{"type":"integer"},{"type":"string"}],"minItems":1}`, `[1]|[1,"a"]`, `[]|["a"]|[1,"a",2]`},
		{`{"prefixItems":[{"type":"integer"}],"items":{"type":"string"},"maxItems":3}`, `[]|[1]|[1,"a","b"]`,
			`[1,2]|[1,"a","b","c"]`},
		{`{"type":"array","items":false}`, `[]`, `[1]`},
		{`{"type":"string","minLength":2,"maxLength":3}`, `"ab"|"aé\n"|"\u00e9\ud83d\ude00"`, `"a"|"abcd"`},
		{`{"type":"string","maxLength":5000}`, `"` + strings.Repeat("é", 5000) + `"|""`,
			`"` + strings.Repeat("a", 5001) + `"`},
		{`{"type":"string","pattern":"^[a-z]+\\d?$"}`, `"ab"|"a1"`, `"1"|"ab12"|"A"`},
		{`{"type":"string","pattern":"b\"+"}`, `"b\""|"aab\"\"c"`, `"b"|"b"x"`},
		{`{"type":"string","pattern":"^(a|b$)"}`, `"a"|"axx"|"b"`, `"bx"|"xa"`},
		{`{"type":"string","pattern":"^\\u0061[^\\n]$"}`, `"ab"`, `"a\n"|"bb"`},
		{`{"type":"string","pattern":"^[a-z]*$","minLength":2,"maxLength":4}`, `"ab"|"abcd"`, `"a"|"abcde"|"AB"`},
		{`{"type":"string","format":"date"}`, `"2024-02-29"|"2023-12-31"`, `"2023-02-29"|"2023-13-01"|"x"`},
		{`{"type":"string","format":"date-time"}`, `"2024-02-29T23:59:59.5Z"|"2023-12-31T00:00:00+01:00"`,
			`"2023-02-28"|"2023-02-28T24:00:00Z"`},
		{`{"type":"string","format":"uuid"}`, `"01234567-89ab-cdef-0123-456789abcdef"`, `"01234567"`},
		{`{"type":"string","format":"ipv4"}`, `"255.0.10.1"`, `"256.0.0.1"`},
		{`{"type":"string","format":"anything"}`, `"x"`, `1`},
		{`{"type":"integer"}`, `0|-1|123456789012345`, `1.0|01|-01|1e3`},
		{`{"type":"integer","minimum":-5,"maximum":12}`, `-5|0|9|12|-1`, `-6|13|-0|00|100`},
		{`{"type":"integer","exclusiveMinimum":99,"maximum":1000}`, `100|999|1000`, `99|1001|10`},
		{`{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}`,
			`-9223372036854775808|9223372036854775807|0|-1|1000000000000000000`,
			`9223372036854775808|-9223372036854775809`},
		{`{"type":"integer","format":"int32"}`, `2147483647|-2147483648`, `2147483648`},
		{`{"type":"integer","minimum":3}`, `3|10|99999`, `2|-3`},
		{`{"type":"integer","minimum":0.5,"maximum":1.5}`, `1`, `0|2`},
		{`{"type":"integer","multipleOf":7}`, `0|7|-14|49`, `1|-6|50`},
		{`{"type":"number","minimum":0.25,"exclusiveMaximum":1}`, `0.25|0.3|0.999`, `0.2|1|1.0|0.249|0`},
		{`{"type":"number","minimum":-1.5,"maximum":10}`, `-1.5|-1.49|0|0.0|10|10.0|9.99`, `-1.6|-1.51|10.1|11|-2`},
		{`{"type":"number","exclusiveMinimum":0}`, `0.1|1|100`, `0|0.0|-1`},
		{`{"type":"number","maximum":1.7976931348623157e308}`, `1|-2.5`, `x`},
		{`{"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]}`, `1|"a"`, `"ab"|null`},
		{`{"type":"object","required":["k"],"properties":{"k":{"type":"string"}},"anyOf":[{"properties":{"a":{"const":1}},"required":["a"]},{"properties":{"b":{"const":2}},"required":["b"]}]}`,
			`{"k":"","a":1}|{"k":"","b":2}`, `{"k":""}|{"a":1}`},
		{`{"oneOf":[{"type":"object","properties":{"t":{"const":"a"},"x":{"type":"integer"}},"required":["t","x"]},{"type":"object","properties":{"t":{"const":"b"}},"required":["t"]}]}`,
			`{"t": "a", "x": 1}|{"t": "b"}`, `{"t": "a"}|{"t": "c"}`},
		{`{"allOf":[{"type":"object","properties":{"a":{"minimum":2}}},{"properties":{"a":{"type":"integer","maximum":4}},"required":["a"]}]}`, `{"a": 2}|{"a": 4}`, `{"a": 1}|{"a": 5}|{}`},
		{`{"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"]}},"$ref":"#/$defs/node"}`,
			`{"v": 1, "next": null}|{"v": 1, "next": {"v": 2, "next": null}}`, `{"v": 1}|{"v": 1, "next": {}}`},
		{`{"type":"array","items":{"$ref":"#"}}`, `[]|[[], [[]]]`, `[1]`},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","description":"d","default":1,"type":"integer","x-any":1}`, `1`, `"a"`},
		{`{"$id":"https://x.org/s","$defs":{"a":{"$anchor":"n","type":"null"}},"$ref":"https://x.org/s#n"}`, `null`,
			`1`},
		{`{"properties":{"a":false,"b":{"type":"null"}}}`, `{}|{"b": null}`, `{"a": 1}`},
		{"{\"enum\":[\"\u2028<é>\"]}", "\"\u2028<é>\"", `"x"`},
		{`{"const":"\\\\u2028"}`, `"\\\\u2028"`, "\"\\\\\u2028\""},
	} {
		g, err := JSONSchema(v, []byte(c.schema))
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		for s := range strings.SplitSeq(c.yes, "|") {
			if !json.Valid([]byte(s)) {
				t.Errorf("the test is wrong: %s is no JSON", s)
			}
		}
		check(t, g, c.schema, c.yes, c.no)
	}
}

func TestSchemaErrors(t *testing.T) {
	v := byteVocabulary(t)
	for _, c := range []struct{ schema, pointer, keyword, say string }{
		{`{"properties":{"a/b":{"if":{}}}}`, "/properties/a~1b", "if", "not supported"},
		{`{"items":{"contains":{}}}`, "/items", "contains", "not supported"},
		{`{"type":"array","uniqueItems":true}`, "", "uniqueItems", "more than one"},
		{`{"type":"strin"}`, "", "type", "no type"},
		{`{"$ref":"#/nowhere"}`, "", "$ref", "nowhere"},
		{`{"$ref":"other.json"}`, "", "$ref", "another document"},
		{`{"$ref":"#"}`, "", "$ref", "itself"},
		{`{"type":"string","pattern":"(?=a)b"}`, "", "pattern", "parsing regexp"},
		{`{"type":"string","pattern":"\\bb"}`, "", "pattern", "word boundary"},
		{`{"oneOf":[{"type":"string"},{"maxLength":3}]}`, "", "oneOf", "branches 0 and 1"},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "", "oneOf", "branches 0 and 1"},
		{`{"type":"object","minProperties":2}`, "", "minProperties", "not supported"},
		{`{"type":"number","multipleOf":0.1}`, "", "multipleOf", "integers"},
		{`{"minLength":-1}`, "", "minLength", "integer"},
		{`{"items":[{}]}`, "", "items", "prefixItems"},
		{`{"a":1,"a":2}`, "", "", "twice"},
		{`[]`, "", "", "object or a boolean"},
		{`{`, "", "", "EOF"},
		{`{} {}`, "", "", "behind"},
	} {
		_, err := JSONSchema(v, []byte(c.schema))
		var e *SchemaError
		if !errors.As(err, &e) || e.Pointer != c.pointer || e.Keyword != c.keyword ||
			!strings.Contains(e.Reason, c.say) {
			t.Errorf("%s: error %v, want one at %q of %q that says %q", c.schema, err, c.pointer, c.keyword, c.say)
		}
	}
	for schema, want := range map[string]error{
		`false`: ErrImpossible,
		`{"type":"integer","minimum":2,"maximum":1}`:                                                 ErrImpossible,
		`{"type":"integer","allOf":[{"type":"string"}]}`:                                             ErrImpossible,
		`{"type":"object","required":["a"],"additionalProperties":false}`:                            ErrImpossible,
		`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`:                         ErrImpossible,
		`{"type":"string","pattern":"^a$","minLength":2}`:                                            ErrImpossible,
		`{"anyOf":[` + strings.Repeat(`{"type":"null"},`, maxSchemaWork) + `{}]}`:                    ErrTooLarge,
		`{"description":"` + strings.Repeat("x", maxSchema) + `"}`:                                   ErrTooLarge,
		strings.Repeat(`{"items":`, maxSchemaDepth+1) + `{}` + strings.Repeat(`}`, maxSchemaDepth+1): ErrTooLarge,
		`{"type":"string","pattern":"[ab]*a[ab]{30}$"}`:                                              ErrTooLarge,
		`{"type":"string","pattern":"^([a-z]{1,100}x){1,9}$","maxLength":5000,"minLength":10}`:       ErrTooLarge,
	} {
		if _, err := JSONSchema(v, []byte(schema)); !errors.Is(err, want) {
			t.Errorf("%.100s: error %v, want %v", schema, err, want)
		}
	}
}
