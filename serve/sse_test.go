package serve

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/serve/openai"
)

// FuzzStream writes texts as events, with pings between them, and reads them as clients do: whatever is in a text,
// each event is one line of data with the same text in it.
func FuzzStream(f *testing.F) {
	f.Add("plain", "two\nlines\r\n\n")
	f.Add("data: x\n\ndata: [DONE]\n\n", "\u2028<\x00é")
	f.Add("", ": ping")
	f.Fuzz(func(t *testing.T, a, b string) {
		w := httptest.NewRecorder()
		s := newStream(w, time.Second)
		for _, text := range []string{a, b} {
			s.event(openai.CompletionChoice{Text: text})
			s.ping()
		}
		s.done()
		var got []string
		for event := range strings.SplitSeq(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n") {
			if strings.ContainsAny(event, "\r\n") {
				t.Fatalf("an event of several lines: %q", event)
			}
			data, ok := strings.CutPrefix(event, "data: ")
			if !ok || data == "[DONE]" {
				continue
			}
			var c struct{ Text string }
			if err := json.Unmarshal([]byte(data), &c); err != nil {
				t.Fatalf("%q: %v", data, err)
			}
			got = append(got, c.Text)
		}
		// What is no UTF-8 becomes U+FFFD.
		clean := func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\uFFFD", "") }
		if len(got) != 2 || clean(got[0]) != clean(a) || clean(got[1]) != clean(b) {
			t.Fatalf("%q and %q became %q", a, b, got)
		}
		if !strings.HasSuffix(w.Body.String(), "data: [DONE]\n\n") {
			t.Fatalf("the end is missing: %q", w.Body)
		}
	})
}
