package hipengine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine"
)

// TestVerbatim lets Ember answer in tokens that its tokenizer would not make of the text, and demands that the next
// turn reads what is new and nothing else. Without what was drawn, it would have to read the answer again.
func TestVerbatim(t *testing.T) {
	engines, m, closed := keeping(t, "cpu")
	defer closed()
	e := engines[1]
	whole := map[int32]float32{} // tokens that are no text of their own are not drawn
	for id := range int32(m.VocabSize()) {
		if text := m.Decode([]int32{id}, false); text == "" || strings.Contains(text, "\uFFFD") {
			whole[id] = -100
		}
	}
	ask := func(messages []hipengine.Message) (text string, prompt, drawn []int32, cached int) {
		t.Helper()
		raw, err := json.Marshal(messages)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := m.Prompt(raw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		prompt = e.Verbatim("", ids)
		if got, want := m.Decode(prompt, false), m.Decode(ids, false); got != want {
			t.Fatalf("the prompt says %q, want %q", got, want)
		}
		r := engine.Request{Prompt: prompt, MaxTokens: 24}
		r.Decoder, r.Sampling.Temperature, r.Sampling.Seed = m.NewStream(false), 3, 5
		r.Sampling.LogitBias = whole
		s, err := e.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for tok, err := range s.Tokens() {
			if err != nil {
				t.Fatal(err)
			}
			text += tok.Text
			if !tok.EOG {
				drawn = append(drawn, tok.ID)
			}
		}
		return text, prompt, drawn, s.Cached()
	}
	messages := []hipengine.Message{{Role: "user", Content: "Tell me a story about three birds and a tree."}}
	split := 0
	var seen []int32
	for turn := range 4 {
		text, prompt, drawn, cached := ask(messages)
		if canonical, err := m.Encode(text, hipengine.EncodeOptions{}); err != nil {
			t.Fatal(err)
		} else if !slices.Equal(canonical, drawn) {
			split++
		}
		if turn > 0 && (len(prompt) < len(seen) || !slices.Equal(prompt[:len(seen)], seen) || cached < len(seen)-1) {
			t.Errorf("turn %d: %d tokens cached of %d that were drawn or read", turn, cached, len(seen))
		}
		seen = append(slices.Clone(prompt), drawn...)
		messages = append(messages, hipengine.Message{Role: "assistant", Content: text},
			hipengine.Message{Role: "user", Content: "And then?"})
	}
	if split == 0 {
		t.Error("no answer was drawn in other tokens than its text has: the test tests nothing")
	}
}
