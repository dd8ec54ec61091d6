package supervise

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestEvents passes streams on that end well or not, byte by byte and at once.
func TestEvents(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name, in string
		err      error
		want     string
	}{
		{"whole", "data: 1\n\ndata: 2\n\n", nil, "data: 1\n\ndata: 2\n\n"},
		{"no end", "data: 1\n\ndata: 2", nil, "data: 1\n\ndata: 2"},
		{"nothing", "", boom, "LAST"},
		{"between events", "data: 1\n\n", boom, "data: 1\n\nLAST"},
		{"in an event", "data: 1\n\n: ping\n\ndata: {", boom, "data: 1\n\n: ping\n\nLAST"},
		{"long", strings.Repeat("data: x\n\n", 3000) + "data", boom, strings.Repeat("data: x\n\n", 3000) + "LAST"},
	} {
		for how, wrap := range map[string]func(
			io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader} {
			src := io.Reader(strings.NewReader(c.in))
			if c.err != nil {
				src = io.MultiReader(src, iotest.ErrReader(c.err))
			}
			e := &events{src: io.NopCloser(wrap(src)), last: func(err error) []byte {
				if !errors.Is(err, c.err) {
					t.Errorf("%s: error %v", c.name, err)
				}
				return []byte("LAST")
			}}
			got, err := io.ReadAll(e)
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %s: %q, %v; want %q", c.name, how, got, err, c.want)
			}
		}
	}
}
