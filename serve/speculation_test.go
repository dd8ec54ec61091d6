package serve

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openai"
)

// TestSpeculation lets a model repeat itself, and expects that the usage, the timings and the metrics tell what was
// guessed, as far as requests allow it.
func TestSpeculation(t *testing.T) {
	r := &fake.Runner{Lim: runner.Limits{Rewinds: fake.Anywhere}, Reply: strings.Repeat("abcde", 12)}
	s := openEngine(t, engine.Config{Runner: r, Drafters: []spec.Drafter{spec.NewNGram()}, Depth: spec.Fixed(3)},
		func(c *Config) { c.LlamaRoutes = []string{LlamaCompletion, LlamaSlots} })
	type answer struct {
		Usage   openai.Usage
		Timings openai.Timings
	}
	ask := func(path, body, more string) (a answer) {
		t.Helper()
		status, _, text := s.call(t, "POST", path, "{"+body+`,"max_tokens":40,"temperature":0`+more+"}")
		if status != http.StatusOK || json.Unmarshal([]byte(text), &a) != nil {
			t.Fatalf("%s %s: status %d: %s", path, more, status, text)
		}
		if a.Usage.CompletionTokens != 40 || a.Usage.CompletionTokensDetails == nil {
			t.Fatalf("%s %s: usage of %s", path, more, text)
		}
		return a
	}
	for path, body := range map[string]string{"/v1/completions": `"prompt":"x"`,
		"/v1/chat/completions": `"messages":[{"role":"user","content":"x"}]`} {
		for more, most := range map[string]int{"": 40, `,"speculative.type":"auto"`: 40, `,"speculative.type":"ngram"`: 40,
			`,"speculative.n_max":1`: 20, `,"speculative.n_max":null`: 40, `,"speculative.n_max":0`: 0,
			`,"speculative.type":"none"`: 0, `,"speculative.type":"off","speculative.n_max":5`: 0} {
			a := ask(path, body, more)
			d := a.Usage.CompletionTokensDetails
			got, lost := *d.AcceptedPredictionTokens, *d.RejectedPredictionTokens
			if got > most || got < most*3/5 || lost > 3 || a.Timings.DraftN != got+lost || a.Timings.DraftNAccepted != got {
				t.Errorf("%s %s: %d accepted, %d rejected, want %d; timings %+v", path, more, got, lost, most, a.Timings)
			}
		}
	}
	status, _, text := s.call(t, "POST", "/v1/completions", `{"prompt":"x","speculative.type":"mtp"}`)
	if status != http.StatusBadRequest || !strings.Contains(text, `there is no drafter \"mtp\" (there are: off, ngram)`) {
		t.Errorf("unknown drafter: status %d: %s", status, text)
	}
	_, _, text = s.call(t, "GET", "/metrics", "")
	for _, name := range []string{"hipengine_spec_drafts_total", "hipengine_spec_draft_tokens_total",
		"hipengine_spec_accepted_tokens_total", "vllm:spec_decode_num_drafts_total",
		"vllm:spec_decode_num_draft_tokens_total", "vllm:spec_decode_num_accepted_tokens_total",
		"llamacpp:spec_decode_num_drafts_total", "llamacpp:spec_decode_num_draft_tokens_total",
		"llamacpp:spec_decode_num_accepted_tokens_total"} {
		if !regexp.MustCompile(`(?m)^` + name + `(\{.*\})? [1-9]`).MatchString(text) {
			t.Errorf("no %s in the metrics", name)
		}
	}
	if !strings.Contains(text, "hipengine_spec_depth{") {
		t.Error("no depth in the metrics")
	}
	if _, _, text := s.call(t, "GET", "/slots", ""); !strings.Contains(text, `"speculative":true`) {
		t.Errorf("slots: %s", text)
	}
}
