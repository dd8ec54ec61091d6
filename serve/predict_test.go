package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
)

// TestPredict answers instances for several endpoints, each by itself.
func TestPredict(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc"}, func(c *Config) {
		c.LlamaRoutes, c.APIKeys = []string{LlamaPredict}, []string{"sk-1"}
	})
	call := func(body string) (int, string) {
		status, _, answer := s.call(t, http.MethodPost, "/predict", body, "Authorization", "Bearer sk-1")
		return status, answer
	}
	status, body := call(`{"instances":[{"@requestFormat":"chatCompletions","messages":[{"role":"user","content":"hi"}]},
		{"@requestFormat":"completions","prompt":"x","max_tokens":2},
		{"@requestFormat":"embeddings","input":"x"},
		{"@requestFormat":"completions","prompt":7}],"parameters":{}}`)
	var a struct{ Predictions []json.RawMessage }
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 || len(a.Predictions) != 4 {
		t.Fatalf("%d %s", status, body)
	}
	for i, want := range []string{`"content":"abc"`, `"text":"ab"`, `"embedding":[`, `"param":"prompt"`} {
		if !strings.Contains(string(a.Predictions[i]), want) {
			t.Errorf("prediction %d is %s, want %s", i, a.Predictions[i], want)
		}
	}
	for body, want := range map[string]string{
		`{}`:                                     "instances",
		`{"instances":[{}]}`:                     "instances[0].@requestFormat",
		`{"instances":[{"@requestFormat":"x"}]}`: "instances[0].@requestFormat",
		`{"instances":[{"@requestFormat":"completions","stream":true}]}`:          "instances[0].stream",
		`{"instances":[],"parameters":{"temperature":1}}`:                         "parameters",
		`{"instances":[` + strings.Repeat(`{"@requestFormat":"x"},`, 99) + `{}]}`: "instances",
	} {
		if status, answer := call(body); status != 400 || !strings.Contains(answer, `"param":"`+want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer, want)
		}
	}
	if status, _, _ := s.call(t, http.MethodPost, "/predict", `{"instances":[]}`); status != 401 {
		t.Errorf("status %d without a key", status)
	}
}
