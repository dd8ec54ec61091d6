package main

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestEmbed embeds arguments and lines, and checks what is refused.
func TestEmbed(t *testing.T) {
	type line struct {
		Text      string
		Embedding []float32
	}
	embed := func(stdin string, args ...string) (lines []line) {
		t.Helper()
		r := command(t, stdin, append([]string{"embed", "--device", "cpu", "--ctx", "256"}, args...)...)
		if r.code != 0 {
			t.Fatalf("%q: exit %d: %s", args, r.code, r.errOut)
		}
		for d := json.NewDecoder(strings.NewReader(r.out)); d.More(); {
			var l line
			if err := d.Decode(&l); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, l)
		}
		return lines
	}
	args := embed("", "ember", "one <b>", "two")
	piped := embed("one <b>\r\ntwo\n"+strings.Repeat("more\n", 70), "ember")
	if len(args) != 2 || len(piped) != 72 || args[0].Text != "one <b>" || len(args[0].Embedding) != 256 ||
		piped[0].Text != args[0].Text {
		t.Fatalf("%d and %d lines", len(args), len(piped))
	}
	for i := range args {
		for j, x := range args[i].Embedding {
			if d := math.Abs(float64(x - piped[i].Embedding[j])); d > 1e-3 {
				t.Fatalf("number %d of text %d is off by %v", j, i, d)
			}
		}
	}
	short := embed("", "ember", "one <b>", "--dimensions", "3", "--pooling", "mean")
	if v := short[0].Embedding; len(v) != 3 || slices.Equal(v, args[0].Embedding[:3]) ||
		math.Abs(float64(v[0]*v[0]+v[1]*v[1]+v[2]*v[2])-1) > 1e-5 {
		t.Errorf("%v", v)
	}
	for want, args := range map[string][]string{
		"--pooling \"max\": want last, mean, cls, none or rank": {"ember", "x", "--pooling", "max"},
		"--pooling none gives no single vector":                 {"ember", "x", "--pooling", "none"},
		"--dimensions 257 is outside 0..256":                    {"ember", "x", "--dimensions", "257"},
		"line 2 of standard input is empty":                     {"ember"},
	} {
		if r := command(t, "a\n\nb\n",
			append([]string{"embed", "--device", "cpu", "--ctx", "64"}, args...)...); r.code == 0 ||
			!strings.Contains(r.errOut, want) {
			t.Errorf("%q: exit %d, err %q, want %q", args, r.code, r.errOut, want)
		}
	}
}
