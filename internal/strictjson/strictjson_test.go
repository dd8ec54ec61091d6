package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

var limits = Limits{Depth: 3, Members: 2}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"number", "1", ""},
		{"deep enough", `{"a":[{"b":1}]}`, ""},
		{"white space around", " \n[1, 2]\t", ""},
		{"empty", "", "not valid JSON at byte 0: unexpected EOF"},
		{"cut", `{"a":[1`, "unexpected EOF"},
		{"cut key", `{"a`, "unexpected EOF"},
		{"too deep", `[[[[1]]]]`, "nested deeper than 3"},
		{"too deep an object", `[[[{}]]]`, "nested deeper than 3"},
		{"twice", `{"a":1,"\u0061":2}`, `key "a" comes twice`},
		{"twice inside", `[{"a":{"b":1,"b":2}}]`, `key "b" comes twice`},
		{"long key twice", `{"` + strings.Repeat("k", 100) + `":1,"` + strings.Repeat("k", 100) + `":1}`,
			`kkk..." comes twice`},
		{"members", `{"a":1,"b":2,"c":3}`, "more than 2 members"},
		{"two values", `{} {}`, "text after the JSON value"},
		{"brace behind", `{}}`, "not valid JSON"},
		{"not UTF-8", "\"\xff\"", "not valid UTF-8"},
		{"arrays in an object", `{"a":[[[1]]]}`, "nested deeper than 3"},
		{"no number", `[NaN]`, "not valid JSON"},
		{"trailing comma", `[1,]`, "not valid JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs := map[string]error{"Check": Check([]byte(c.text), limits)}
			if strings.HasPrefix(c.text, "{") {
				_, errs["Parse"] = Parse([]byte(c.text), limits)
			}
			for what, err := range errs {
				switch {
				case c.want == "" && err != nil:
					t.Errorf("%s: %v", what, err)
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("%s: error %v, want it to say %q", what, err, c.want)
				}
			}
		})
	}
}

func TestParse(t *testing.T) {
	got, err := Parse([]byte(`{"a":{"b":[1,"x",null,true]},"c":1e400}`), limits)
	if err != nil {
		t.Fatal(err)
	}
	want := Object{"a": Object{"b": []any{json.Number("1"), "x", nil, true}}, "c": json.Number("1e400")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := Parse([]byte(`[1]`), limits); err == nil || !strings.Contains(err.Error(), "not a JSON object") {
		t.Errorf("an array: %v", err)
	}
}

// FuzzCheck holds Check and Parse against encoding/json: what they accept, it accepts, with the same members.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}],"c":"\u0000"}`, `[[]]`, `{"a":1,"a":2}`, "\xff", `{}x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := Limits{Depth: 10, Members: 5}
		err := Check(text, l)
		if err == nil && !json.Valid(text) {
			t.Fatalf("accepted %q", text)
		}
		o, perr := Parse(text, l)
		if perr == nil {
			var m map[string]json.RawMessage
			if err != nil || json.Unmarshal(text, &m) != nil || len(m) != len(o) {
				t.Fatalf("parsed %q as %v; Check says %v", text, o, err)
			}
		}
	})
}
