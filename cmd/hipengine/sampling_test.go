package main

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
)

// TestSamplerFlags sets every flag of the samplers, on the command line and in a file, and finds each in the
// parameters.
func TestSamplerFlags(t *testing.T) {
	line := []string{"run",
		"--temp", "0.5",
		"--top-k", "-1",
		"--top-p", "0.5",
		"--min-p", "0.5",
		"--typical-p", "0.5",
		"--top-n-sigma", "0.5",
		"--min-keep", "3",
		"--dynatemp-range", "0.5",
		"--dynatemp-exponent", "0.5",
		"--xtc-probability", "0.5",
		"--xtc-threshold", "0.5",
		"--repeat-penalty", "0.5",
		"--presence-penalty", "-0.5",
		"--frequency-penalty", "-0.5",
		"--repeat-last-n", "-1",
		"--dry-multiplier", "0.5",
		"--dry-base", "0.5",
		"--dry-allowed-length", "3",
		"--dry-penalty-last-n", "-1",
		"--dry-sequence-breaker", "a,b",
		"--dry-sequence-breaker", "c",
		"--mirostat", "2",
		"--mirostat-tau", "0.5",
		"--mirostat-eta", "0.5",
		"--samplers", "top_k; temp",
		"--seed", "3", "-n", "9",
		"--min-tokens", "2",
		"--stop", "x,y",
		"--ignore-eos",
		"--think-budget", "-1",
		"hello"}
	var c commands
	parser, err := newParser(&c, stdio{strings.NewReader(""), io.Discard, io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(joinNumbers(line)); err != nil {
		t.Fatal(err)
	}
	p := c.Run.params()
	c.Run.limit(&p)
	for i := range reflect.TypeFor[hipengine.Params]().NumField() {
		name, f := reflect.TypeFor[hipengine.Params]().Field(i).Name, reflect.ValueOf(p).Field(i)
		switch name {
		case "LogitBias", "Constraint", "StopTokens", "Tools", "Template", "Spec", "MaxGuesses": // which have no flag, or another one
			continue
		}
		if f.IsZero() {
			t.Errorf("no flag sets %s", name)
			continue
		}
		if f.Kind() == reflect.Pointer && !strings.Contains(" 0.5 -0.5 -1 2 3 ", fmt.Sprintf(" %v ", f.Elem())) {
			t.Errorf("%s is %v", name, f.Elem())
		}
	}
	if fmt.Sprintf("%q %q %q", p.DRYBreakers, p.Samplers, p.Stop) != `["a,b" "c"] ["top_k" "temp"] ["x,y"]` {
		t.Errorf("lists are %q, %q, %q", p.DRYBreakers, p.Samplers, p.Stop)
	}
}

// TestSamplerFlagsInFiles sets flags of serve in a file, with the types of TOML.
func TestSamplerFlagsInFiles(t *testing.T) {
	code, _, out, errOut := settings(t,
		"temp = 0.5\ntop-k = -1\n[serve]\ndry-sequence-breaker = [\"a,b\", \"c\"]\nsamplers = \"xtc\"\n", "config",
		"serve",
		"--top-p", "0.25")
	for _, want := range []string{`temp +0\.5 `, `top-k +-1 `, `dry-sequence-breaker +a,b,c `, `samplers +xtc `,
		`top-p +0\.25 `, `min-p +- `} {
		if code != exitDone || !regexp.MustCompile("(?m)^"+want).MatchString(out) {
			t.Errorf("%d, no %s in %s%s", code, want, out, errOut)
		}
	}
	code, _, _, errOut = settings(t, "temp = \"hot\"\n", "config", "serve")
	if code != exitUsage || !strings.Contains(errOut, "temp: want a number") {
		t.Errorf("%d %s", code, errOut)
	}
	for _, args := range [][]string{{"serve",
		"--top-p", "2"}, {"serve",
		"--samplers", "infill"}, {"run",
		"--xtc-probability", "2", "x"}} {
		if code, _, _, errOut := settings(t, "", args...); code != exitUsage ||
			!strings.Contains(errOut, strings.TrimPrefix(strings.ReplaceAll(args[1], "-", "_"), "__")) {
			t.Errorf("%v: %d %s", args, code, errOut)
		}
	}
}
