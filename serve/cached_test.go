package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openai"
)

// TestCachedTokens sends the turns of a conversation, and expects that the usage says what was not read: of the same
// key alone, in chats, completions and their streams.
func TestCachedTokens(t *testing.T) {
	r := &fake.Runner{Lim: runner.Limits{Rewinds: fake.Anywhere}, Checkpoints: 8, Reply: "ok"}
	s := open(t, r, func(c *Config) { c.APIKeys = []string{"alpha", "beta"} })
	// usage returns the prompt's tokens, and the cached ones.
	usage := func(path, body, key string) (int, int) {
		t.Helper()
		status, _, answer := s.call(t, "POST", path, body, "Authorization", "Bearer "+key)
		if status != http.StatusOK {
			t.Fatalf("status %d: %s", status, answer)
		}
		if strings.HasPrefix(answer, "data:") || strings.HasPrefix(answer, ":") {
			for line := range strings.Lines(answer) {
				if strings.Contains(line, `"usage":{`) {
					answer = strings.TrimPrefix(line, "data: ")
				}
			}
		}
		var doc struct{ Usage openai.Usage }
		if err := json.Unmarshal([]byte(answer), &doc); err != nil || doc.Usage.PromptTokensDetails == nil {
			t.Fatalf("usage of %s: %v", answer, err)
		}
		return doc.Usage.PromptTokens, doc.Usage.PromptTokensDetails.CachedTokens
	}
	const stream = `,"stream":true,"stream_options":{"include_usage":true}`
	chat := func(turns int, more string) string {
		messages := `{"role":"user","content":"the first question of several"}`
		for i := range turns {
			messages += fmt.Sprintf(`,{"role":"assistant","content":"ok"},{"role":"user","content":"question %d"}`, i)
		}
		return `{"messages":[` + messages + `],"temperature":0` + more + `}`
	}
	n, cached := usage("/v1/chat/completions", chat(0, ""), "alpha")
	if cached != 0 {
		t.Errorf("first turn: %d cached tokens", cached)
	}
	for i, more := range []string{"", stream, `,"n":3`, stream} {
		// The answer's two tokens were read too.
		want := n + 2
		if n, cached = usage("/v1/chat/completions", chat(i+1, more), "alpha"); cached != want {
			t.Errorf("turn %d: %d of %d tokens cached, want %d", i+1, cached, n, want)
		}
	}
	if n, cached := usage("/v1/chat/completions", chat(4, ""), "beta"); cached != 0 {
		t.Errorf("%d of %d tokens of another key's conversation cached", cached, n)
	}
	if _, again := usage("/v1/chat/completions", chat(4, ""), "alpha"); again != n-1 {
		t.Errorf("the same turn again: %d of %d tokens cached, want all but one", again, n)
	}
	const text = `{"prompt":["a text of more than a few tokens","another text of more than a few tokens"],"max_tokens":2`
	if n, cached := usage("/v1/completions", text+"}", "alpha"); cached != 0 {
		t.Errorf("first completion: %d of %d tokens cached", cached, n)
	}
	for _, more := range []string{"}", `,"n":2}`, stream + "}"} {
		if n, cached := usage("/v1/completions", text+more, "alpha"); cached != n-2 {
			t.Errorf("completion again: %d of %d tokens cached, want all but two", cached, n)
		}
	}
}
