package jinja

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// input is what the tests render: variables as JSON, which are data, and one string that is not.
type input struct {
	vars map[string]json.RawMessage
	bos  string
	now  time.Time
}

// messages returns an input with one variable of that name.
func messages(src string) input {
	return input{vars: map[string]json.RawMessage{"messages": json.RawMessage(src)}}
}

// render renders a parsed template.
func render(tmpl *Template, in input) (string, error) {
	r := tmpl.NewRendering(in.now)
	for _, name := range slices.Sorted(maps.Keys(in.vars)) {
		v, err := r.DecodeJSON(in.vars[name])
		if err != nil {
			return "", fmt.Errorf("jinja: variable %s: %w", name, err)
		}
		r.Set(name, v)
	}
	r.Set("bos_token", Text(in.bos))
	pieces, err := r.Run()
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.Text)
	}
	return b.String(), err
}

// renderSource parses and renders a template.
func renderSource(src string, in input) (string, error) {
	tmpl, err := Parse(src)
	if err != nil {
		return "", err
	}
	return render(tmpl, in)
}

func TestSyntaxErrors(t *testing.T) {
	tests := []struct{ src, want string }{
		{"a\nb {{ x y }}", `line 2, column 8: expected "}}", found "y"`},
		{"{% if a %}\n{% for b in c %}\n{% endif %}",
			`line 3, column 4: expected a statement or "{% else %}" or "{% endfor %}" for the "for" of line 2, found "endif"`},
		{"{% if a %}\nb", `line 2, column 2: expected "{% elif %}" or "{% else %}" or "{% endif %}" for the "if" of line 1, found the end of the template`},
		{"{{ (1 }}", `line 1, column 7: expected ")" for the bracket opened at line 1, column 4, found "}"`},
		{"é漢{{ $ }}", `line 1, column 6: unexpected character '$'`},
		{"{{ 'a", `line 1, column 4: string is not closed`},
		{"\n{# a", `line 2, column 1: comment is not closed: expected "#}"`},
		{"{% raw %}", `line 1, column 1: raw block is not closed: expected "{% endraw %}"`},
		{"{{ a", `line 1, column 1: tag is not closed: expected "}}"`},
		{"{% for x of y %}", `line 1, column 10: expected "in", found "of"`},
		{"{{ x | nope }}", `line 1, column 8: no filter is named "nope"`},
		{"{{ x is nope }}", `line 1, column 9: no test is named "nope"`},
		{"{% set x.y.z = 1 %}", `line 1, column 11: expected "=" or "%}", found "."`},
		{"{% set 'a' = 1 %}", `line 1, column 8: expected a name to assign to, found string "a"`},
		{"{% macro m(a, a) %}{% endmacro %}", `line 1, column 15: parameter "a" stands twice`},
		{"{% for x in y %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
			`line 1, column 35: "break" outside a for loop`},
		{"{{ f(*a, b) }}", `line 1, column 10: positional argument after "*"`},
		{"{{ f(**a, b=1) }}", `line 1, column 11: arguments after "**"`},
		{"{{ f(a b) }}", `line 1, column 8: expected "," or ")", found "b"`},
		{"{{ [a b] }}", `line 1, column 7: expected "," or "]", found "b"`},
		{"{{ {1: 2 3} }}", `line 1, column 10: expected "," or "}", found "3"`},
		{"{{ {1 2} }}", `line 1, column 7: expected ":", found "2"`},
		{"{{ x[1:2:3:4] }}", `line 1, column 11: expected "]", found ":"`},
		{"{{ x[] }}", `line 1, column 5: expected an index in the brackets`},
		{"{{ '\\u12' }}", `line 1, column 4: bad escape`},
		{"{{ 0x }}", `line 1, column 4: expected digits after "0x"`},
		{"{{ a.9999999999999999999 }}", `line 1, column 6: index "9999999999999999999" is out of range`},
		{"{{ 1" + strings.Repeat("0", 5000) + " }}", `has more than 16384 bits`},
		{"ab\xff", `line 1, column 3: the source is not valid UTF-8`},
		{"{% call x %}{% endcall %}", `line 1, column 9: expected a call`},
		{"{% with a 1 %}{% endwith %}", `line 1, column 11: expected "=", found "1"`},
		{"{% 1 %}", `line 1, column 4: expected a statement, found "1"`},
		{"{% endif %}", `line 1, column 4: expected a statement, found "endif"`},
	}
	for _, tt := range tests {
		_, err := Parse(tt.src)
		if err == nil || !strings.Contains(err.Error(), tt.want) ||
			!strings.HasPrefix(err.Error(), "jinja: parse: line ") {
			t.Errorf("%.60q:\ngot  %v\nwant %s", tt.src, err, tt.want)
		}
	}
}

// TestConcurrentRender renders one template from several goroutines: each changes its input and sees its own alone.
func TestConcurrentRender(t *testing.T) {
	tmpl, err := Parse("{% set fixed = [1, 2] %}{% set _ = fixed.append(messages[0].n) %}{% set _ = messages.append(3) %}{{ fixed }}{{ messages|length }}")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				got, err := render(tmpl, messages(`[{"n": `+itoa(i)+`}]`))
				if want := "[1, 2, " + itoa(i) + "]2"; err != nil || got != want {
					t.Errorf("got %q, error %v; want %q", got, err, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestAppending builds a long text a piece at a time, as some templates build the whole prompt: the memory it needs
// must be linear in the text, and the shorter strings must stay as they were.
func TestAppending(t *testing.T) {
	piece := strings.Repeat("x", 1000)
	for _, op := range []string{"ns.out ~ m", "ns.out + m", "(ns.out + m) ~ '' ~ ''", "ns.out ~ messages[0]",
		"(ns.out + messages[0]) ~ ''"} {
		memory := 40 << 20
		if strings.Contains(op, "messages") {
			memory *= 2 // data has marks
		}
		tmpl, err := ParseLimits("{% set ns = namespace(out='') %}{% set m = '"+piece+"' %}"+
			"{% for i in range(2000) %}{% set ns.out = "+op+" %}{% endfor %}{{ ns.out }}", Limits{MaxMemory: memory})
		if err != nil {
			t.Fatal(err)
		}
		got, err := render(tmpl, messages(`["`+piece+`"]`))
		if err != nil || got != strings.Repeat(piece, 2000) {
			t.Errorf("%s: %d bytes, error %v", op, len(got), err)
		}
	}
	got, err := renderSource(
		"{% set x = 'x' * 300 %}{% set a = x ~ 'a' %}{% set b = x ~ 'b' %}{% set c = a ~ 'c' %}{% set d = a ~ 'd' %}"+
			"{% for s in [x, a, b, c, d, c ~ c] %}{{ s | replace('x' * 300, '-') }} {% endfor %}", messages("[]"))
	if want := "- -a -b -ac -ad -ac-ac "; err != nil || got != want {
		t.Errorf("got %q, error %v; want %q", got, err, want)
	}
}

// BenchmarkSteps measures what the default limit of steps allows in time.
func BenchmarkSteps(b *testing.B) {
	tmpl, err := Parse("{% for i in range(100000) %}{% for j in range(100000) %}{% set x = i + j %}{% endfor %}{% endfor %}")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, err := render(tmpl, messages("[]"))
		var limit *LimitError
		if !errors.As(err, &limit) {
			b.Fatal(err)
		}
	}
}
