package jinja

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// brackets renders src and puts brackets round what stems from data.
func brackets(t *testing.T, src string, vars map[string]string) string {
	t.Helper()
	tmpl, err := Parse(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	r := tmpl.NewRendering(input{}.now)
	for name, json := range vars {
		v, err := r.DecodeJSON([]byte(json))
		if err != nil {
			t.Fatal(err)
		}
		r.Set(name, v)
	}
	r.Set("own", Text("own"))
	pieces, err := r.Run()
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	var b strings.Builder
	for i, p := range pieces {
		if p.Text == "" || i > 0 && p.Data == pieces[i-1].Data {
			t.Errorf("%s: piece %d of %v is empty or goes on with the origin of the last", src, i, pieces)
		}
		if p.Data {
			b.WriteString("[" + p.Text + "]")
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// TestProvenance follows data through every operation that makes strings.
func TestProvenance(t *testing.T) {
	vars := map[string]string{
		"d": `"data"`, "e": `"é\n<x>"`, "l": `["a", "b"]`, "m": `{"k": "v"}`, "n": `7`, "s": `" a-b "`,
		"j": `"{\"k\": \"v\"}"`,
	}
	tests := []struct{ src, want string }{
		{"x{{ d }}y", "x[data]y"},
		{"{{ own }}{{ d }}", "own[data]"},
		{"{{ 'x' ~ d ~ n ~ 'y' }}", "x[data]7y"},
		{"{{ 'x' + d + 'y' }}", "x[data]y"},
		{"{{ (d * 2) ~ 'x' * 2 }}", "[datadata]xx"},
		{"{{ ('x' ~ d)[0] }}{{ ('x' ~ d)[1] }}{{ ('x' ~ d)[-1:] }}{{ ('x' ~ d ~ 'y')[2:] }}{{ ('x' ~ d)[::-1] }}",
			"x[daata]y[atad]x"},
		{"{{ ('x' ~ e ~ 'y')[::-1] }}{{ ('x' ~ e)[1] }}{{ (e ~ 'x')[-2:] }}", "y[>x<\né]x[é>]x"},
		{"{% for c in 'x' ~ d[:1] %}{{ c }};{% endfor %}", "x;[d];"},
		{"{{ ('x ' ~ s ~ ' y') | trim }}{{ s | trim }}{{ s.strip(' a') }}{{ s.lstrip() }}{{ s.rstrip() }}",
			"x [ a-b ] y[a-b-ba-b  a-b]"},
		{"{{ ('x' ~ d ~ 'y').removeprefix('x').removesuffix('y') }}", "[data]"},
		{"{{ ('x' ~ d ~ 'y') | upper | lower | capitalize | title }}", "X[data]y"},
		{"{{ ('x' ~ e).upper() }}{{ ('x' ~ d).title() }}{{ ('x' ~ d).swapcase() }}{{ ('ß' ~ d).casefold() }}",
			"X[É\n<X>]X[data]X[DATAssdata]"},
		{"{{ ('x,' ~ d).split(',') | join(';') }}", "x;[data]"},
		{"{{ 'x a'.split()[0] ~ ('x ' ~ d).split()[1] ~ ('x ' ~ d).rsplit(' ', 1)[1] ~ ('x,' ~ d).rsplit(',')[0] }}",
			"x[datadata]x"},
		{"{{ ('x\\n' ~ d).splitlines() | join('|') }}", "x|[data]"},
		{"{{ ('x' ~ s).partition('-')[0] }}{{ ('x' ~ s).partition('-')[1] }}{{ (s ~ 'x').rpartition('-')[2] }}{{ 'x'.partition(d)[0] }}", "x[ a]-[b ]xx"},
		{"{{ d.join(['x', 'y']) }}{{ ', '.join(l) }}", "x[data]y[a], [b]"},
		{"{{ l | join }}{{ l | join(d) }}", "[abadatab]"},
		{"{{ 'xax'.replace('a', d) }}{{ d.replace('a', '-') }}{{ ('x' ~ d) | replace('x', 'y') }}{{ 'ab'.replace('', d[:1]) }}",
			"x[data]x[d]-[t]-y[datad]a[d]b[d]"},
		{"{{ d.replace('data', '<|x|>') }}", "<|x|>"},
		{"{{ 'x%sy%5s%-5s|%%' % (d, d[:1], d[:1]) }}", "x[data]y    [dd]    |%"},
		{"{{ 'x%r%.1s%c' % (d, d, d[:1]) }}{{ d | format }}{{ 'x%s' | format(d) }}{{ '%(k)s' % m }}",
			"x'[data]'[dddata]x[datav]"},
		{"{{ 'x{}y{a}{0!r}{{}}'.format(d, a=d) }}{{ '{:6}'.format(n) }}", "x[data]y[data]'[data]'{}     7"},
		{"{{ d | center(6) }}{{ d.ljust(5) }}{{ d.rjust(5, '.') }}{{ 'x'.center(3, d[:1]) }}{{ '5'.zfill(3) }}",
			" [data] [data] .[datad]x[d]005"},
		{"{{ ('x\\n' ~ d) | indent(2, true) }}{{ 'x\\ny' | indent(d[:1]) }}", "  x\n  [data]x\n[d]y"},
		{"{{ ('xx ' ~ d ~ ' yyyyyyyyyyyy') | truncate(10, true) }}", "xx [data]..."},
		{"{{ d | tojson }}{{ m | tojson }}{{ e | tojson }}{{ {'x': d} | tojson }}{{ l | tojson(separators=(d[:1], ':')) }}",
			`"[data]"{"[k]": "[v]"}"[é\n<x>]"{"x": "[data]"}["[a]"[d]"[b]"]`},
		{"{{ e | tojson(ensure_ascii=true) }}{{ [d] | tojson(indent=1) }}", "\"[\\u00e9\\n<x>]\"[\n \"[data]\"\n]"},
		{"{{ (j | from_json).k }}{{ ('{\"x\": \"' ~ d ~ '\"}') | from_json | items | first | join('=') }}",
			"[v]x=[data]"},
		{"{{ ('[\"x\", \"' ~ d ~ '\\\\n\"]') | from_json | join }}", "x[data\n]"},
		{"{{ e | e }}{{ ('<' ~ d) | e }}{{ ('<' | e) + e }}", "[é\n&lt;x&gt;]&lt;[data]&lt;[é\n&lt;x&gt;]"},
		{"{{ d | safe ~ 'x' }}{{ d | string }}{{ d | default('x') }}{{ u | default(d) }}", "[data]x[datadatadata]"},
		{"{{ [d, 'x'] }}{{ {'k': e} }}{{ m }}", "['[data]', 'x']{'k': '[é\\n<x>]'}{'[k]': '[v]'}"},
		{"{{ m.k }}{{ m['k'] }}{{ m.keys() | list | first }}{% for k, v in m.items() %}{{ k }}={{ v }}{% endfor %}",
			"[vvkk]=[v]"},
		{"{{ dict(**m) | items | first | join('=') }}{{ dict(x=d) | items | first | join('=') }}", "[k]=[v]x=[data]"},
		{"{% macro f(a) %}<{{ a }}{{ kwargs.keys() | join }}>{% endmacro %}{{ f(d, **m) }}{{ f('x') }}",
			"<[datak]><x>"},
		{"{% set x %}<{{ d }}>{% endset %}{{ x }}{{ x | replace('<', '(') }}", "<[data]>([data]>"},
		{"{% filter upper %}x{{ d }}{% endfilter %}", "X[DATA]"},
		{"{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}{{ d }}{% endcall %}", "<[data]>"},
		{"{% set ns = namespace(x='') %}{% for c in l %}{% set ns.x = ns.x ~ '<' ~ c ~ '>' %}{% endfor %}{{ ns.x }}",
			"<[a]><[b]>"},
		{"{{ l | map('upper') | join('x') }}{{ l | sort | first }}{{ l | max }}{{ [d, 'x'] | unique | join }}{{ l | reverse | join }}{{ d | reverse }}",
			"[A]x[Babdata]x[baatad]"},
		{"{{ l | sum(start='') }}{{ d | first }}{{ d | last }}{{ l | batch(1) | map('first') | join('x') }}",
			"[abdaa]x[b]"},
		{"{{ joiner(d)() }}{% set j = joiner(d) %}{{ j() }}{{ j() }}{{ cycler(d, 'x').next() }}", "[datadata]"},
		{"{{ strftime_now('%Y') }}{{ strftime_now(d) }}", "1[data]"},
		{"{{ d == 'data' }}{{ 'data' is sameas d }}{{ d in ['data'] }}{{ {'data': 'x'}[d] }}{{ d is eq 'data' }}",
			"TrueTrueTruexTrue"},
		{"{{ d | length }}{{ n + 1 }}{{ d | int }}{{ n | string }}", "4807"},
	}
	for _, tt := range tests {
		if got := brackets(t, tt.src, vars); got != tt.want {
			t.Errorf("%s\ngot  %q\nwant %q", tt.src, got, tt.want)
		}
	}
}

// TestProvenanceOfLongTexts appends to one text in turn from the template and from data, as templates do that build
// the whole prompt in a variable, and tells by the alphabet what should be data.
func TestProvenanceOfLongTexts(t *testing.T) {
	for _, step := range []string{"ns.x ~ own ~ d", "ns.x + own + d", "(ns.x ~ d) ~ own",
		"ns.x.replace('q', '') ~ own ~ d", "ns.x[:] ~ own ~ d"} {
		src := "{% set ns = namespace(x='') %}{% for i in range(500) %}{% set ns.x = " + step +
			" %}{% set other = ns.x ~ d %}{% endfor %}{{ ns.x }}"
		tmpl, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		r := tmpl.NewRendering(input{}.now)
		d, err := r.DecodeJSON(json.RawMessage(`"` + strings.Repeat("ж", 20) + `"`))
		if err != nil {
			t.Fatal(err)
		}
		r.Set("d", d)
		r.Set("own", Text(strings.Repeat("w", 30)))
		pieces, err := r.Run()
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, p := range pieces {
			size += len(p.Text)
			if strings.ContainsFunc(p.Text, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) != p.Data }) {
				t.Fatalf("%s: piece %q, data %v", step, p.Text, p.Data)
			}
		}
		if size != 500*70 {
			t.Errorf("%s: %d bytes", step, size)
		}
	}
}
