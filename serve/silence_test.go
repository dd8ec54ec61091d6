package serve

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestSilence explains answers whose tokens ran out before they said anything, and no others.
func TestSilence(t *testing.T) {
	if says := (&answer{finish: engine.FinishLength}).silence(false); !strings.Contains(says, "before there was text") {
		t.Errorf("an answer without thoughts: %q", says)
	}
	for _, c := range []struct{ reply, budget, says string }{
		{"<think>\none two three\n</think>\n\ntext", "20", "went to thoughts"},
		{"<think>\none two three\n</think>\n\ntext", "34", ""}, // within the text
		{"<think>\none two three\n</think>\n\ntext", "400", ""},
		{"plain", "2", ""},
	} {
		s := open(t, &fake.Runner{Reply: c.reply}, withFormat(t, "hermes"))
		for _, stream := range []string{"", `,"stream":true`} {
			for path, body := range map[string]string{
				"/v1/chat/completions": hi + `,"temperature":0,"max_tokens":` + c.budget,
				"/v1/responses":        `{"input":"hi","temperature":0,"max_output_tokens":` + c.budget,
			} {
				status, _, answer := s.call(t, "POST", path, body+stream+"}")
				where := `"finish_details":{"type":"max_tokens","message":"`
				if path == "/v1/responses" {
					where = `"incomplete_details":{"reason":"max_output_tokens","message":"`
				}
				_, message, found := strings.Cut(answer, where)
				message, _, _ = strings.Cut(message, `"`)
				if status != 200 || found != (c.says != "") || !strings.Contains(message, c.says) {
					t.Errorf("%s%s, %q with %s tokens: %d, %q, want %q in\n%s", path, stream, c.reply, c.budget, status,
						message, c.says, answer)
				}
			}
		}
	}
}
