package grammar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// maskForms are forms of every language, each with a text that it allows.
var maskForms = []struct {
	name string
	spec Spec
	text string
}{
	{"schema", Spec{JSONSchema: `{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},
		"age":{"type":"integer","minimum":0,"maximum":150},"mail":{"type":"string","maxLength":100},
		"tags":{"type":"array","items":{"enum":["red","green","blue"]}},"zip":{"type":"string","pattern":"^[0-9]{5}$"}},"required":["name","age"]}}`},
		"[" + strings.Repeat(`{"name": "A name of some length, é", "age": 41, "mail": "someone@example.org", "tags": ["red", "blue"], "zip": "12345"}, `, 40) +
			`{"name": "last", "age": 0}]`},
	{"any JSON", Spec{JSONObject: true},
		`{"list": [` + strings.Repeat(
			`{"a": [1, -2.5e3, {"b": null}], "text": "some text with \"quotes\" and \u00e9"}, `, 40) + `true]}`},
	{"GBNF", Spec{GBNF: `root ::= (line "\n")+
		line ::= name " = " sum ";"
		sum ::= term (" + " term)*
		term ::= name | number | "(" sum ")"
		name ::= [a-z_] [a-z0-9_]{0,30}
		number ::= [0-9]+ ("." [0-9]+)?`},
		strings.Repeat("total_price = net_price + 12.50 + (tax + (fee + 3));\n", 60)},
	{"Lark", Spec{Lark: `start: command+
		command: "*** " ACTION " File: " PATH "\n" line*
		line: ("+" | "-" | " ") TEXT? "\n"
		ACTION: "Add" | "Update" | "Delete"
		PATH: /[A-Za-z0-9_.\/]+/
		TEXT: /[^\n]+/`},
		strings.Repeat("*** Update File: engine/sample/doc.go\n-old line of text, which goes\n+new line of text, which comes\n func main() {\n", 40)},
	{"regular expression", Spec{Regexp: `(\d{4}-\d{2}-\d{2} [A-Z][a-z]+: [^;]{1,80}; )+`},
		strings.Repeat("2026-11-29 Note: something that was seen and written down; ", 40)},
}

// BenchmarkMaskForms measures what the mask of each token costs over the 152 thousand of Qwen 3: the median and what
// one token in a hundred exceeds, while a grammar is new ("first", with its masks still to be made), and once its
// masks are kept ("again").
func BenchmarkMaskForms(b *testing.B) {
	v := published(b, "qwen3")
	for _, f := range maskForms {
		ids, err := v.encode(f.text)
		if err != nil {
			b.Fatal(err)
		}
		for _, first := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/%s", strings.ReplaceAll(f.name, " ", "-"),
				map[bool]string{true: "first", false: "again"}[first]), func(b *testing.B) {
				var took []time.Duration
				var compile time.Duration
				var g *Grammar
				for b.Loop() {
					if first || g == nil {
						v.masks = newLRU(v.masks.most)
						start := time.Now()
						if g, err = specOf(v, f.spec); err != nil {
							b.Fatal(err)
						}
						compile = time.Since(start)
					}
					took = append(took, timeMasks(b, g, ids)...)
				}
				slices.Sort(took)
				at := func(share float64) float64 {
					return float64(took[int(share*float64(len(took)-1))].Nanoseconds()) / 1000
				}
				b.ReportMetric(at(0.5), "p50-µs")
				b.ReportMetric(at(0.99), "p99-µs")
				b.ReportMetric(at(1), "most-µs")
				b.ReportMetric(float64(compile.Microseconds()), "compile-µs")
				b.ReportMetric(float64(len(took)/b.N), "tokens")
			})
		}
	}
}

// specOf compiles a form anew.
func specOf(v *Vocabulary, s Spec) (*Grammar, error) {
	var b Builder
	p, err := b.Spec(s)
	if err != nil {
		return nil, err
	}
	return b.Compile(p, v)
}

// timeMasks returns how long each token of a text took, its mask and the step behind it.
func timeMasks(tb testing.TB, g *Grammar, ids []int32) []time.Duration {
	tb.Helper()
	m := g.NewMatcher()
	var took []time.Duration
	for i, id := range ids {
		start := time.Now()
		mask, err := m.Mask()
		if err != nil {
			tb.Fatal(err)
		}
		if mask[id/64]>>(id%64)&1 == 0 {
			tb.Fatalf("token %d is not in the mask at %d", id, i)
		}
		if err := m.Accept(id); err != nil {
			tb.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	return took
}
