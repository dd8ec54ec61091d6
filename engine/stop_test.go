package engine_test

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
)

// naiveStop is the definition of StopMatcher: the text before the match that ends first (the longest of those), and
// else how much of the text is free, because no suffix of it that starts earlier can become a match.
func naiveStop(text string, stops []string) (out string, stopped bool) {
	for end := 1; end <= len(text); end++ {
		start := -1
		for _, s := range stops {
			if s != "" && strings.HasSuffix(text[:end], s) && (start < 0 || end-len(s) < start) {
				start = end - len(s)
			}
		}
		if start >= 0 {
			return text[:start], true
		}
	}
	for start := range len(text) {
		for _, s := range stops {
			if len(s) > len(text)-start && strings.HasPrefix(s, text[start:]) {
				return text[:start], false
			}
		}
	}
	return text, false
}

// checkStop feeds text in pieces whose lengths come from cuts and compares with the definition after each piece.
func checkStop(t *testing.T, text string, stops []string, cuts []byte) {
	t.Helper()
	m := engine.NewStopMatcher(stops)
	out := ""
	pos := 0
	for i := 0; pos < len(text); i++ {
		n := 1
		if len(cuts) > 0 {
			n = int(cuts[i%len(cuts)] % 8)
			if n == 0 && i > 4*len(text) {
				n = 1
			}
		}
		n = min(n, len(text)-pos)
		got, stopped := m.Push(text[pos : pos+n])
		pos += n
		out += got
		want, wantStopped := naiveStop(text[:pos], stops)
		if out != want || stopped != wantStopped {
			t.Fatalf("stops %q, text %q: output %q, %v, want %q, %v", stops, text[:pos], out, stopped, want,
				wantStopped)
		}
		if stopped {
			if more, _ := m.Push("x"); more != "" || m.Flush() != "" {
				t.Fatalf("text after the stop")
			}
			return
		}
	}
	if out += m.Flush(); out != text {
		t.Fatalf("stops %q: flushed output %q, want %q", stops, out, text)
	}
}

func TestStopMatcher(t *testing.T) {
	for _, c := range []struct {
		name, text string
		stops      []string
		want       string
		stopped    bool
	}{
		{"no stops", "hello", nil, "hello", false},
		{"empty stop", "hello", []string{""}, "hello", false},
		{"at the end", "hello END", []string{" END"}, "hello", true},
		{"at the start", "END hello", []string{"END"}, "", true},
		{"almost", "hello EN", []string{"END"}, "hello EN", false},
		{"overlapping start", "aaab!", []string{"aab"}, "a", true},
		{"first end wins", "abcd", []string{"abcd", "c"}, "ab", true},
		{"longest of one end", "xabc", []string{"bc", "abc"}, "x", true},
		{"multi-byte", "größe", []string{"öß"}, "gr", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, cuts := range [][]byte{nil, {7}, {2}, {1, 3}} {
				checkStop(t, c.text, c.stops, cuts)
			}
			m := engine.NewStopMatcher(c.stops)
			got, stopped := m.Push(c.text)
			if got += m.Flush(); got != c.want || stopped != c.stopped || m.Stopped() != stopped {
				t.Errorf("got %q, %v, want %q, %v", got, stopped, c.want, c.stopped)
			}
			if rest, ok := strings.CutPrefix(c.text, got); !ok || stopped && !strings.HasPrefix(rest, m.Match()) ||
				!stopped && m.Match() != "" {
				t.Errorf("stopped by %q, with %q left", m.Match(), rest)
			}
		})
	}
}

func FuzzStopMatcher(f *testing.F) {
	f.Add("aaab", "aab", "ab", "b!", []byte{1, 2})
	f.Add("the end. END", "END", "", ". E", []byte{3})
	f.Add("ababababc", "ababc", "bababc", "c", []byte{0, 5, 1})
	f.Fuzz(func(t *testing.T, text, a, b, c string, cuts []byte) {
		if len(text) > 200 || len(a)+len(b)+len(c) > 100 {
			t.Skip("long inputs cost time and reach nothing more")
		}
		checkStop(t, text, []string{a, b, c}, cuts)
	})
}
