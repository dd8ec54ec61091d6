package hipengine_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine"
)

// keeping opens Ember twice, the first without a prefix cache, and returns the engines and the second model.
func keeping(t *testing.T, device string) (engines [2]*engine.Engine, m *hipengine.Model, closed func()) {
	t.Helper()
	h, err := hipengine.NewHost(hipengine.HostOptions{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	for i, keep := range []int64{-1, 0} {
		if m, err = h.Open(t.Context(), "", hipengine.Options{PrefixCache: keep}); err != nil {
			t.Fatal(err)
		}
		if engines[i], err = m.Engine(); err != nil {
			t.Fatal(err)
		}
		if engines[i].Reuses() != (keep == 0) {
			t.Fatalf("PrefixCache %d: states are kept: %v", keep, engines[i].Reuses())
		}
	}
	return engines, m, func() { h.Close() }
}

// answer is what Ember says to a prompt, and how many tokens of that it read.
type answer struct {
	text     string
	ids      []int32
	logprobs []float32
	read     int
}

// ask lets the engine of a model answer a prompt.
func ask(t *testing.T, e *engine.Engine, m *hipengine.Model, ids []int32) (a answer) {
	t.Helper()
	before := e.Stats().PromptTokens
	s, err := e.Submit(t.Context(),
		engine.Request{Prompt: ids, MaxTokens: 16, Decoder: m.NewStream(false), Logprobs: true, TopLogprobs: 5})
	if err != nil {
		t.Fatal(err)
	}
	for tok, err := range s.Tokens() {
		if err != nil {
			t.Fatal(err)
		}
		a.text += tok.Text
		a.ids, a.logprobs = append(a.ids, tok.ID), append(a.logprobs, tok.Logprob)
		for _, p := range tok.Top {
			a.logprobs = append(a.logprobs, p.Logprob)
		}
	}
	a.read = int(e.Stats().PromptTokens - before)
	return a
}

// equal reports whether two answers have the same tokens, and log-probabilities as near as that.
func (a answer) equal(b answer, near float64) bool {
	return slices.Equal(a.ids, b.ids) && slices.EqualFunc(a.logprobs, b.logprobs, func(x, y float32) bool {
		return math.Abs(float64(x)-float64(y)) <= near
	})
}

// TestEmberPrefixTrees asks Ember prompts that part from each other at random places, and expects the logits of a
// model that keeps nothing.
func TestEmberPrefixTrees(t *testing.T) {
	engines, m, closed := keeping(t, "cpu")
	near, trees, read, total := 0.0, 50, 0, 0
	if testing.Short() {
		trees = 2
	}
	if strings.HasSuffix(m.Device().Chip, "amx") { // as in TestEmberAgentTrace
		closed()
		engines, m, closed = keeping(t, "ref")
		near, trees = 1e-3, 1
	}
	defer closed()
	for tree := range trees {
		rng := rand.New(rand.NewPCG(uint64(tree), 18))
		random := func(n int) (ids []int32) {
			for range n {
				ids = append(ids, 300+rng.Int32N(300))
			}
			return ids
		}
		prompts := [][]int32{random(40 + rng.IntN(40))}
		for range 4 {
			from := prompts[rng.IntN(len(prompts))]
			prompts = append(prompts, slices.Concat(from[:1+rng.IntN(len(from))], random(1+rng.IntN(50))))
		}
		for _, i := range append(rng.Perm(len(prompts)), rng.Perm(len(prompts))...) {
			cold, hot := ask(t, engines[0], m, prompts[i]), ask(t, engines[1], m, prompts[i])
			if !hot.equal(cold, near) {
				t.Fatalf("tree %d, prompt %d: %q of %d tokens read, cold %q", tree, i, hot.text, hot.read, cold.text)
			}
			read, total = read+hot.read, total+len(prompts[i])
		}
	}
	if t.Logf("%d of %d tokens were read", read, total); read > total*9/10 {
		t.Error("little was kept: the test tests little")
	}
}

// TestEmberAgentTrace lets Ember talk for 20 turns, and expects of each the logits of a model that keeps nothing, and
// that only what is new is read.
func TestEmberAgentTrace(t *testing.T) {
	// Where the CPU has tiles, the bits of a token depend on how many are in a step; on the reference they do in
	// delta nets, but the numbers are near.
	engines, m, closed := keeping(t, "cpu")
	near, turns := 0.0, 20
	if testing.Short() {
		turns = 5
	}
	if strings.HasSuffix(m.Device().Chip, "amx") {
		closed()
		engines, m, closed = keeping(t, "ref")
		near, turns = 1e-3, 4 // it is slow
	}
	defer closed()
	var messages []hipengine.Message
	var seen []int32
	for turn := range turns {
		messages = append(messages,
			hipengine.Message{Role: "user", Content: fmt.Sprintf("Once upon a time there were %d birds.", turn+2)})
		raw, err := json.Marshal(messages)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := m.Prompt(raw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		cold, hot := ask(t, engines[0], m, ids), ask(t, engines[1], m, ids)
		if !hot.equal(cold, near) {
			t.Fatalf("turn %d: %q, cold %q", turn, hot.text, cold.text)
		}
		known := 0
		for known < min(len(seen), len(ids)) && seen[known] == ids[known] {
			known++
		}
		if cold.read != len(ids) || hot.read != len(ids)-known || turn > 0 && known < len(ids)/2 {
			t.Errorf("turn %d: %d of %d tokens read, of which %d were known; cold %d", turn, hot.read, len(ids), known,
				cold.read)
		}
		seen = append(slices.Clone(ids), hot.ids[:len(hot.ids)-1]...)
		messages = append(messages, hipengine.Message{Role: "assistant", Content: hot.text})
	}
}
