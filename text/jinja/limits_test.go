package jinja

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestHostileTemplates renders templates that want more than they may have. Each must end in the error of the limit
// named, in bounded time and memory.
func TestHostileTemplates(t *testing.T) {
	nest := func(open, inner, closer string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(closer, n)
	}
	grow := func(start, step string, n int) string {
		return "{% set ns = namespace(x=" + start + ") %}{% for i in range(" + itoa(n) + ") %}{% set ns.x = " + step +
			" %}{% endfor %}"
	}
	tests := []struct {
		name, src string
		limit     string // of LimitError
	}{
		{"macro recursion", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nesting"},
		{"mutual macro recursion",
			"{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "nesting"},
		{"exponential macro recursion",
			"{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(90) }}", "memory"},
		{"caller recursion", "{% macro m() %}{{ caller() }}{% call m() %}x{% endcall %}{% endmacro %}{% call m() %}{% endcall %}", "nesting"},
		{"recursive loop", "{% set l = [1] %}{% set _ = l.append(l) %}{% for x in l recursive %}{% if x is sequence %}{{ loop(x) }}{% endif %}{% endfor %}", "nesting"},
		{"huge range", "{{ range(10**18) | list }}", "range"},
		{"huge negative range", "{{ range(10**18, -(10**18), -1) | length }}", "range"},
		{"nested loops", "{% set l = range(1000) | list %}" + nest("{% for i in l %}", "", "{% endfor %}", 5),
			"steps"},
		{"string multiplication", "{{ 'a' * 10**12 }}", "memory"},
		{"string multiplication past int64", "{{ 'abc' * 10**30 }}", "memory"},
		{"list multiplication", "{{ [0] * 10**10 }}", "memory"},
		{"repeated nothing", "{{ ([] * 10**18) | length }}{{ ('' * 10**18) | length }}{{ 'x' * 10**10 }}", "memory"},
		{"exponential string", grow("'ab'", "ns.x ~ ns.x", 100), "memory"},
		{"exponential string by +", grow("'ab'", "ns.x + ns.x", 100), "memory"},
		{"exponential string by replace", grow("'aa'", "ns.x.replace('a', ns.x)", 100), "memory"},
		{"exponential string by join", grow("'aa'", "ns.x.join([ns.x, ns.x, ns.x])", 100), "memory"},
		{"exponential string by format", grow("'aa'", "'%s%s' % (ns.x, ns.x)", 100), "memory"},
		{"exponential string by str.format", grow("'aa'", "'{0}{0}'.format(ns.x)", 100), "memory"},
		{"exponential string by capture",
			"{% set x = 'ab' %}" + strings.Repeat("{% set x %}{{ x }}{{ x }}{% endset %}", 60), "output"},
		{"exponential string by escape", grow("'<'", "(ns.x * 2) | e | string", 100), "memory"},
		{"exponential list", grow("[1, 2]", "ns.x + ns.x", 100), "memory"},
		{"exponential printing", grow("[1]", "[ns.x, ns.x]", 100) + "{{ ns.x }}", "steps"},
		{"exponential tojson", grow("[1]", "[ns.x, ns.x]", 100) + "{{ ns.x | tojson }}", "steps"},
		{"exponential comparison", grow("[1]", "[ns.x, ns.x]", 100) + "{% set a = ns.x %}" +
			grow("[1]", "[ns.x, ns.x]", 100) + "{{ a == ns.x }}", "steps"},
		{"deep printing", grow("[1]", "[ns.x]", 5000) + "{{ ns.x }}", "nesting"},
		{"deep tojson", grow("{}", "{'a': ns.x}", 5000) + "{{ ns.x | tojson }}", "nesting"},
		{"deep comparison", grow("[1]", "[ns.x]", 5000) + "{% set a = ns.x %}" + grow("[1]", "[ns.x]", 5000) +
			"{{ a == ns.x }}", "nesting"},
		{"deep order", grow("[1]", "[ns.x]", 5000) + "{% set a = ns.x %}" + grow("[1]", "[ns.x]", 5000) +
			"{{ a < ns.x }}", "nesting"},
		{"list in itself", "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "nesting"},
		{"list in itself as JSON", "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "nesting"},
		{"mapping in itself compared",
			"{% set a = {} %}{% set b = {} %}{% set _ = a.update(x=b) %}{% set _ = b.update(x=a) %}{{ a == b }}",
			"nesting"},
		{"namespace in itself", "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "nesting"},
		{"endless appending", "{% set l = [] %}" +
			nest("{% for i in range(100000) %}", "{% set _ = l.append('x') %}", "{% endfor %}", 2), "memory"},
		{"much output", nest("{% for i in range(100000) %}", strings.Repeat("x", 1000), "{% endfor %}", 1), "output"},
		{"integer power", "{{ 10 ** (10 ** 10) }}", "integer bits"},
		{"integer growth", grow("3", "ns.x * ns.x", 100), "integer bits"},
		{"integer sums", grow("2 ** 16000", "ns.x + ns.x", 1000), "integer bits"},
		{"long work on large strings", "{% set x = 'a' * 10**7 %}" +
			nest("{% for i in range(100000) %}", "{% set _ = 'b' in x %}", "{% endfor %}", 1), "steps"},
		{"filters over large lists",
			"{% for i in range(100000) %}{% set _ = range(100000) | map('string') | join %}{% endfor %}", "memory"},
		{"map of map", "{% set l = [] %}{% set _ = l.append(l) %}{{ l | map(*(['map'] * 100000)) | list }}",
			"nesting"},
		{"wide format", "{{ '%999999999d' % 1 }}", "format width"},
		{"wide str.format", "{{ '{:999999999d}'.format(1) }}", "format width"},
		{"wide indent of JSON", "{{ [1, [2]] | tojson(indent=10**10) }}", "memory"},
		{"wide indent", "{{ 'a' | indent(10**10) }}", "memory"},
		{"wide center", "{{ 'a' | center(10**10) }}{{ 'a'.ljust(10**18) }}", "memory"},
		{"huge batch", "{{ [1] | batch(10**12, 0) | list }}", "memory"},
		{"many strftime directives", "{{ strftime_now('%c' * 10**7) }}{{ strftime_now('%c' * 10**7) }}", "steps"},
		{"deep parentheses", "{{ " + nest("(", "1", ")", 100_000) + " }}", "nesting"},
		{"deep lists", "{{ " + nest("[", "1", "]", 100_000) + " }}", "nesting"},
		{"deep mappings", "{{ " + nest("{1:", "1", "}", 100_000) + " }}", "nesting"},
		{"deep calls", "{{ " + nest("f(", "1", ")", 100_000) + " }}", "nesting"},
		{"deep signs", "{{ " + strings.Repeat("- ", 100_000) + "1 }}", "nesting"},
		{"deep not", "{{ " + strings.Repeat("not ", 100_000) + "1 }}", "nesting"},
		{"deep conditions", "{{ " + strings.Repeat("1 if 1 else ", 80_000) + "1 }}", "nesting"},
		{"deep targets", "{% for " + nest("(", "a", ")", 100_000) + " in x %}{% endfor %}", "nesting"},
		{"deep blocks", nest("{% if 1 %}", "x", "{% endif %}", 40_000), "nesting"},
		{"long sum", "{{ 1" + strings.Repeat("+1", 100_000) + " }}", "nesting"},
		{"long filter chain", "{{ 1" + strings.Repeat("|abs", 100_000) + " }}", "nesting"},
		{"long attribute chain", "{{ a" + strings.Repeat(".a", 100_000) + " }}", "nesting"},
		{"long chain of filters on a block", "{% filter trim" + strings.Repeat("|trim", 100_000) +
			" %}{% endfilter %}", "nesting"},
		{"large source", strings.Repeat("x", 2<<20), "source"},
		{"deep JSON", "{{ ('[' * 10000) | from_json }}", "JSON nesting"},
	}
	in := messages("[]")
	for i, tt := range tests {
		if i%5 != 4 && testing.Short() {
			t.Logf("SKIPPED: -short leaves four of five templates to make long: %s", tt.name)
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			got, err := renderSource(tt.src, in)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Limit != tt.limit {
				t.Fatalf("got %.40q, error %v; want the limit for %s", got, err, tt.limit)
			}
			// What is allocated in total bounds what is in use at any time. It exceeds the memory limit by the growth
			// of buffers, which copy, and by what is counted as steps: scopes and syntax trees.
			total := (after.TotalAlloc - before.TotalAlloc) >> 20
			if most := uint64(4 * Limits{}.withDefaults().MaxMemory >> 20); total > most {
				t.Errorf("allocated %d MiB in total, more than %d", total, most)
			}
			t.Logf("%v, %d MiB allocated: %v", took.Round(time.Millisecond), total, err)
		})
	}
}

// TestLimitsAreKept sets each limit low and checks that it is that one which stops the template, and that the message
// names its value.
func TestLimitsAreKept(t *testing.T) {
	tests := []struct {
		name, src string
		limits    Limits
		want      string
	}{
		{"source", "0123456789", Limits{MaxSource: 9}, "limit of 9 reached for source"},
		{"output", "0123456789", Limits{MaxOutput: 9}, "limit of 9 reached for output"},
		{"steps", "{% for i in range(100) %}{% endfor %}", Limits{MaxSteps: 50}, "limit of 50 reached for steps"},
		{"memory", "{{ 'x' * 1000 }}", Limits{MaxMemory: 900}, "limit of 900 reached for memory"},
		{"depth", "{{ ((((1)))) }}", Limits{MaxDepth: 5}, "limit of 5 reached for nesting"},
		{"input", "", Limits{MaxMemory: 1}, "limit of 1 reached for memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, err := ParseLimits(tt.src, tt.limits)
			if err == nil {
				_, err = render(tmpl, messages("[]"))
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
			if _, err := renderSource(tt.src, messages("[]")); err != nil {
				t.Errorf("with default limits: %v", err)
			}
		})
	}
}
