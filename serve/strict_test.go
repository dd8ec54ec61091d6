package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestRoom: an answer is as long as the context allows, whatever a request asks for; a prompt that does not fit is an
// error with the numbers.
func TestRoom(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Context: 100}}, nil)
	status, _, body := s.call(t, http.MethodPost, "/v1/completions", `{"prompt":"xxx","max_tokens":1000}`)
	if status != 200 || !strings.Contains(body, `"finish_reason":"length"`) ||
		!strings.Contains(body, `"completion_tokens":96,`) {
		t.Errorf("beyond the room: %d %s", status, body)
	}
	for field, want := range map[string]string{`"n_predict":3`: `"completion_tokens":3,`,
		`"max_tokens":-1`: `"completion_tokens":96,`, `"n":1`: `"completion_tokens":16,`} {
		if status, _, body := s.call(t, http.MethodPost, "/v1/completions",
			`{"prompt":"xxx",`+field+`}`); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", field, status, body)
		}
	}
	status, _, body = s.call(t, http.MethodPost, "/v1/completions", `{"prompt":"`+strings.Repeat("x", 100)+`"}`)
	var e struct {
		Error struct {
			Message, Code string
			Prompt        int `json:"n_prompt_tokens"`
			Context       int `json:"n_ctx"`
		}
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	const want = "the prompt of 101 tokens exceeds the available context size of 100 tokens"
	if e.Error.Message != want || status != 400 || e.Error.Code != "context_length_exceeded" ||
		e.Error.Prompt != 101 || e.Error.Context != 100 {
		t.Errorf("%d %s", status, body)
	}
}

// deviceError is an error of one of several devices.
type deviceError struct{ error }

func (deviceError) DeviceFailed() string { return "hip:1" }

// TestDeviceFailed: a device that fails in a step is an answer 503, which clients repeat.
func TestDeviceFailed(t *testing.T) {
	err := fmt.Errorf("engine: step: %w", deviceError{errors.New("gone")})
	if e := translate(err, &record{}); e.Status != 503 || !strings.Contains(e.Message, "hip:1 failed") {
		t.Errorf("%+v", e)
	}
}

func TestPlainMessage(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: sample: top_k -3: must not be negative", engine.ErrBadRequest),
			"top_k -3: must not be negative"},
		{fmt.Errorf("engine: step: %w", errors.New("runner: plan: no memory")), "step: plan: no memory"},
		{errors.New("a request of my engine: fails"), "a request of my engine: fails"},
		{errors.New("plain"), "plain"},
	} {
		if got := plainMessage(c.err); got != c.want {
			t.Errorf("%q became %q, want %q", c.err, got, c.want)
		}
	}
}
