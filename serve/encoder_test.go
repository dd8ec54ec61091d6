package serve

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestEncoder asks an encoder for vectors, which it has, and for text, which it refuses in each form.
func TestEncoder(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Encoder: true}}, nil)
	if a := embed(t, s, `"input":["one","two"]`); len(a.Data) != 2 {
		t.Errorf("%d vectors", len(a.Data))
	}
	const messages = `{"model":"fake","messages":[{"role":"user","content":"x"}],"max_tokens":5}`
	for path, body := range map[string]string{
		"/v1/chat/completions": messages, "/v1/messages": messages, "/v1/messages/count_tokens": strings.Replace(messages,
			`,"max_tokens":5`, "", 1),
		"/v1/completions": `{"model":"fake","prompt":"x"}`,
		"/v1/responses":   `{"model":"fake","input":"x"}`,
		"/api/chat":       `{"model":"fake","messages":[{"role":"user","content":"x"}]}`,
		"/api/generate":   `{"model":"fake","prompt":"x"}`,
	} {
		status, _, answer := s.call(t, "POST", path, body)
		if status != 400 || !strings.Contains(answer, "this model is an encoder, which writes no text") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}
