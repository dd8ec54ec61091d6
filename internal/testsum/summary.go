package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
}

// test names a test or subtest; Test is empty for what belongs to the package as a whole.
type test struct{ Package, Test string }

// skip is a test that was skipped, or left a part out.
type skip struct {
	test
	reason string
}

// summary prints events as go test does without -json, and collects skips.
type summary struct {
	out    io.Writer
	output map[test][]string // lines of tests that have not ended
	passed int
	skips  []skip
}

func newSummary(out io.Writer) *summary { return &summary{out: out, output: map[test][]string{}} }

func (s *summary) event(e event) {
	t := test{e.Package, e.Test}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(s.out, e.Output)
	case e.Action == "output":
		s.output[t] = append(s.output[t], e.Output)
	case e.Test != "" && (e.Action == "pass" || e.Action == "skip"):
		s.ended(t, e.Action == "skip")
	case e.Test == "" && (e.Action == "pass" || e.Action == "skip" || e.Action == "fail"):
		s.packageEnded(e)
	}
}

// inTest finds what follows the place of a log line that begins with SKIP or SKIPPED and some text before a colon.
var inTest = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: (?:SKIP(?:PED)?\b[^:\n]*: ?)?(.*)`)

var partly = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: SKIP(?:PED)?\b`)

// ended drops the output of a test that did not fail and notes what it left out.
func (s *summary) ended(t test, skipped bool) {
	lines := s.output[t]
	delete(s.output, t)
	if !skipped {
		s.passed++
		for _, line := range lines {
			if partly.MatchString(line) {
				s.skips = append(s.skips, skip{t, inTest.FindStringSubmatch(line)[1]})
			}
		}
		return
	}
	reason := "no reason given"
	for _, line := range lines {
		if m := inTest.FindStringSubmatch(line); m != nil {
			reason = m[1] // the last one is that of Skip
		}
	}
	s.skips = append(s.skips, skip{t, reason})
}

// packageEnded prints the result of a package, and of one that failed what its failed and unfinished tests printed.
func (s *summary) packageEnded(e event) {
	own := s.output[test{Package: e.Package}]
	if e.Action != "fail" {
		own = slices.DeleteFunc(own,
			func(l string) bool { return !strings.HasPrefix(l, "ok ") && !strings.HasPrefix(l, "? ") })
	}
	var failed []test
	for t := range s.output {
		if t.Package == e.Package && t.Test != "" {
			failed = append(failed, t)
		}
	}
	slices.SortFunc(failed, func(a, b test) int { return cmp.Compare(a.Test, b.Test) })
	for _, t := range failed {
		if e.Action == "fail" {
			s.print(s.output[t])
		}
		delete(s.output, t)
	}
	s.print(own)
	delete(s.output, test{Package: e.Package})
}

// print prints lines but those that say that a test starts, pauses or goes on.
func (s *summary) print(lines []string) {
	for _, l := range lines {
		if !strings.HasPrefix(l, "=== ") {
			fmt.Fprint(s.out, l)
		}
	}
}

// close prints what is left of packages that never ended, and the summary: reasons by their beginnings up to a colon,
// with the tests of each package.
func (s *summary) close() {
	for t := range s.output {
		s.print(s.output[t])
	}
	fmt.Fprintf(s.out, "%d tests passed, %d skipped, whole or in part\n", s.passed, len(s.skips))
	byReason := map[string][]skip{}
	for _, k := range s.skips {
		reason, _, _ := strings.Cut(k.reason, ": ")
		byReason[reason] = append(byReason[reason], k)
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		fmt.Fprintf(s.out, "%4d %s\n", len(byReason[reason]), reason)
		tests := map[string]map[string]int{}
		for _, k := range byReason[reason] {
			name, _, _ := strings.Cut(k.Test, "/")
			if tests[k.Package] == nil {
				tests[k.Package] = map[string]int{}
			}
			tests[k.Package][name]++
		}
		for _, p := range slices.Sorted(maps.Keys(tests)) {
			var names []string
			for _, name := range slices.Sorted(maps.Keys(tests[p])) {
				if n := tests[p][name]; n > 1 {
					name = fmt.Sprintf("%s (%d)", name, n)
				}
				names = append(names, name)
			}
			fmt.Fprintf(s.out, "       %s: %s\n", p, strings.Join(names, ", "))
		}
	}
}
