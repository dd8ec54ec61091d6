package hipengine_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine"
)

// TestContinueFinalMessage lets Ember go on with an answer that the caller begins, and says where prompts end.
func TestContinueFinalMessage(t *testing.T) {
	engines, m, closed := keeping(t, "cpu")
	defer closed()
	messages := func(last string) json.RawMessage {
		return json.RawMessage(`[{"role":"user","content":"What is the capital of France?"},{"role":"assistant","content":"` + last + `"}]`)
	}
	yes, no := json.RawMessage("true"), json.RawMessage("false")
	for _, c := range []struct{ begun, rest string }{
		{"The capital of", " France is Paris."}, {"The capital of France is Paris", "."},
		{"The capital of France", " is Paris."},
	} {
		ids, err := m.Prompt(messages(c.begun), nil, map[string]json.RawMessage{"continue_final_message": yes})
		if err != nil {
			t.Fatal(err)
		}
		if text := m.Decode(ids, true); !strings.HasSuffix(text, "assistant\n"+c.begun) {
			t.Errorf("the prompt is %q", text)
		}
		r := engine.Request{Prompt: ids, MaxTokens: 24}
		r.Decoder = m.NewStream(false)
		s, err := engines[0].Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		rest := ""
		for tok, err := range s.Tokens() {
			if err != nil {
				t.Fatal(err)
			}
			rest += tok.Text
		}
		if rest != c.rest {
			t.Errorf("%q goes on with %q, want %q", c.begun, rest, c.rest)
		}
	}
	ids, err := m.Prompt(messages("x"), nil, map[string]json.RawMessage{"add_generation_prompt": no})
	if text := m.Decode(ids, true); err != nil || !strings.HasSuffix(text, "assistant\nx<|im_end|>\n") {
		t.Errorf("without the start of an answer: %q, %v", text, err)
	}
	var refused *hipengine.ConversationError
	for name, kwargs := range map[string]map[string]json.RawMessage{
		"both":    {"continue_final_message": yes, "add_generation_prompt": yes},
		"no text": {"continue_final_message": yes},
	} {
		last := map[string]string{"both": "x"}[name]
		if _, err := m.Prompt(messages(last), nil, kwargs); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
