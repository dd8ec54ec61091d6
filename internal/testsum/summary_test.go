package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// stream writes events as go test -json does.
func stream(t *testing.T, events ...event) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func TestSummary(t *testing.T) {
	in := stream(t,
		event{"start", "m/a", "", ""},
		event{"output", "m/a", "TestOne", "=== RUN   TestOne\n"},
		event{"output", "m/a", "TestOne", "    a_test.go:3: a log line\n"},
		event{"output", "m/a", "TestOne", "    a_test.go:4: SKIPPED: no llvm: half of it\n"},
		event{"pass", "m/a", "TestOne", ""},
		event{"output", "m/a", "TestTwo/x", "    a_test.go:9: SKIPPED: no folder: x/y\n"},
		event{"skip", "m/a", "TestTwo/x", ""},
		event{"output", "m/a", "TestTwo/y", "    a_test.go:9: SKIPPED: no folder: y\n"},
		event{"skip", "m/a", "TestTwo/y", ""},
		event{"pass", "m/a", "TestTwo", ""},
		event{"skip", "m/a", "TestMute", ""},
		event{"output", "m/a", "", "PASS\n"},
		event{"output", "m/a", "", "ok  \tm/a\t0.1s\n"},
		event{"pass", "m/a", "", ""},
		event{"output", "m/b", "TestBad", "=== RUN   TestBad\n"},
		event{"output", "m/b", "TestBad", "    b_test.go:1: broken\n"},
		event{"output", "m/b", "TestBad", "--- FAIL: TestBad (0.00s)\n"},
		event{"fail", "m/b", "TestBad", ""},
		event{"output", "m/b", "TestHangs", "panic: timeout\n"},
		event{"output", "m/b", "TestGood", "    b_test.go:1: fine\n"},
		event{"pass", "m/b", "TestGood", ""},
		event{"output", "m/b", "", "FAIL\n"},
		event{"output", "m/b", "", "FAIL\tm/b\t0.1s\n"},
		event{"fail", "m/b", "", ""},
		event{"output", "m/c", "", "?   \tm/c\t[no test files]\n"},
		event{"skip", "m/c", "", ""},
		event{"build-output", "", "", "d.go:1: syntax error\n"},
	) + "no event\n"
	const want = `ok  	m/a	0.1s
    b_test.go:1: broken
--- FAIL: TestBad (0.00s)
panic: timeout
FAIL
FAIL	m/b	0.1s
?   	m/c	[no test files]
d.go:1: syntax error
no event
3 tests passed, 4 skipped, whole or in part
   2 no folder
       m/a: TestTwo (2)
   1 no llvm
       m/a: TestOne
   1 no reason given
       m/a: TestMute
`
	var out strings.Builder
	s := newSummary(&out)
	if err := s.read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	s.close()
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestRun runs this package's other test through the command.
func TestRun(t *testing.T) {
	var out, errOut strings.Builder
	status, err := run([]string{"-vet=off", "-run", "^TestSummary$", "."}, &out, &errOut)
	if status != 0 || err != nil || !strings.Contains(out.String(), "1 tests passed, 0 skipped") ||
		!strings.HasPrefix(out.String(), "ok ") {
		t.Errorf("status %d, %v, out %q, err %q", status, err, out.String(), errOut.String())
	}
	status, err = run([]string{"-vet=off", "-run", "[", "."}, &out, &errOut)
	if status == 0 || err != nil {
		t.Errorf("a pattern that does not parse: status %d, %v", status, err)
	}
}
