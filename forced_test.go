package hipengine

import (
	"fmt"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/text/grammar"
)

// TestForcedSpans draws texts of forms with forced spans from Ember, where they are read several tokens in a step, and
// beside log-probabilities, where each is a step of its own. The tokens are the same, also with invariance and of
// several choices at once.
func TestForcedSpans(t *testing.T) {
	for _, invariant := range []bool{false, true} {
		h, err := NewHost(HostOptions{Device: "cpu"})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		m, err := h.Open(t.Context(), "", Options{Sequences: 3, Invariant: invariant})
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Engine()
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.Vocabulary()
		if err != nil {
			t.Fatal(err)
		}
		g, err := v.Compile(grammar.Spec{JSONSchema: `{"type":"object","properties":{"description_of_the_person":{"type":"object",
			"properties":{"full_name":{"type":"string","maxLength":8},"is_a_grown_up":{"type":"boolean"}},"required":["full_name","is_a_grown_up"]}},
			"required":["description_of_the_person"]}`})
		if err != nil {
			t.Fatal(err)
		}
		prompt, err := m.EncodePrompt("A person:")
		if err != nil {
			t.Fatal(err)
		}
		texts := map[bool]string{}
		steps := map[bool]uint64{}
		for _, single := range []bool{false, true} {
			var choices []engine.Request
			for i := range 3 {
				choices = append(choices,
					engine.Request{Prompt: prompt, MaxTokens: 80, Decoder: m.NewStream(false), Logprobs: single,
						Sampling: sample.Params{Temperature: 1.2, Seed: uint64(i), Constraint: g.NewMatcher()}})
			}
			before := e.Stats().Steps
			seqs, err := e.SubmitChoices(t.Context(), choices...)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range seqs {
				texts[single] += fmt.Sprintf("\n%d: ", i)
				for tok, err := range s.Tokens() {
					if err != nil {
						t.Fatal(err)
					}
					texts[single] += fmt.Sprintf("%d %q ", tok.ID, tok.Text)
				}
			}
			steps[single] = e.Stats().Steps - before
		}
		if texts[true] != texts[false] {
			t.Errorf("invariant %v: in spans%s\none by one%s", invariant, texts[false], texts[true])
		}
		if steps[false] >= steps[true]/2 {
			t.Errorf("invariant %v: %d steps with spans, %d one by one", invariant, steps[false], steps[true])
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
