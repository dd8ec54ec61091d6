package hipengine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/internal/testfiles"
)

// answers returns the texts of prompts, and of how many tokens each was and how many of them were guessed.
func answers(t *testing.T, o Options, prompts []string, p Params, depth spec.Chooser) (texts []string, tokens,
	guessed uint64) {
	t.Helper()
	h, err := NewHost(HostOptions{Device: namedDevice("cpu")})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	o.Context = 512
	m, err := h.Open(t.Context(), "", o)
	if err != nil {
		t.Fatal(err)
	}
	m.depth = depth
	for _, prompt := range prompts {
		text := ""
		for piece, err := range m.Chat(t.Context(), []Message{{Role: "user", Content: prompt}}, p) {
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprint(piece.Token, " ")
		}
		texts = append(texts, text)
	}
	s := m.Stats()
	return texts, s.GeneratedTokens, s.AcceptedTokens
}

// asked are prompts of what Ember was trained on, and of what it was not.
func asked(n int) (prompts []string) {
	subjects := []string{"France", "a cat", "7 + 5", "JSON", "the sea", "Ember", "a list of colours", "12 * 3", "snow"}
	forms := []string{"Tell me about %s.", "What is %s?", "Write a short story about %s.", "%s", "Why %s, and not %s?",
		"Repeat: %s %s %s %s", "What is the capital of %s?"}
	for i := range n {
		form := forms[i%len(forms)]
		s := fmt.Sprint(subjects[i/len(forms)%len(subjects)], strings.Repeat("!", i/len(forms)/len(subjects)))
		args := make([]any, strings.Count(form, "%s"))
		for j := range args {
			args[j] = s
		}
		prompts = append(prompts, fmt.Sprintf(form, args...))
	}
	return prompts
}

// TestSpecChangesNothing compares answers of Ember with guesses of each kind to those without: greedy ones, and with
// Invariant drawn ones too. On a device that the environment names, Ember's own layer guesses.
func TestSpecChangesNothing(t *testing.T) {
	n := 4
	if !testing.Short() {
		n = 1000
	}
	prompts := asked(n)
	for _, invariant := range []bool{false, true} {
		kinds := []string{SpecMTP, SpecNGram, "ember"}
		if namedDevice("") != "" {
			kinds = kinds[:1]
		} else if testing.Short() {
			kinds = map[bool][]string{false: {SpecMTP}, true: {"ember"}}[invariant]
		}
		p := Params{MaxTokens: 40, Temperature: new(float32(0))}
		if invariant {
			prompts = prompts[:n/2]
			p.Temperature, p.Seed = new(float32(0.9)), new(uint64(7))
		}
		o := Options{Invariant: invariant, Spec: SpecOff}
		want, _, _ := answers(t, o, prompts, p, nil)
		for _, kind := range kinds {
			o.Spec = kind
			got, tokens, guessed := answers(t, o, prompts, p, spec.Fixed(3))
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("invariant %v, %s, %q: tokens %s, without guesses %s", invariant, kind, prompts[i], got[i], want[i])
				}
			}
			least := tokens / 2 // of models that know what comes
			if kind == SpecNGram {
				least = tokens / 100
			}
			if guessed < least {
				t.Errorf("invariant %v, %s: %d of %d tokens were guessed", invariant, kind, guessed, tokens)
			}
		}
	}
}

// TestSpecOfRequest asks for answers with and without guesses of a model that has two kinds.
func TestSpecOfRequest(t *testing.T) {
	h, err := NewHost(HostOptions{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	m, err := h.Open(t.Context(), "", Options{Spec: "ember", Context: 256})
	if err != nil {
		t.Fatal(err)
	}
	m.depth = spec.Fixed(2)
	for _, c := range []struct {
		spec string
		most int
		ok   bool
	}{{"", 0, true}, {SpecModel, 1, true}, {SpecNGram, 0, true}, {SpecOff, 0, true}, {SpecMTP, 0, false}, {"", -1, false}} {
		before := m.Stats().DraftedTokens
		var failed error
		for _, err := range m.Generate(t.Context(), "one two three one two three one two",
			Params{MaxTokens: 12, Spec: c.spec, MaxGuesses: c.most}) {
			failed = err
		}
		if (failed == nil) != c.ok {
			t.Errorf("%q, %d: %v", c.spec, c.most, failed)
		}
		if drafted := m.Stats().DraftedTokens - before; (drafted > 0) != (c.ok && c.spec != SpecOff) && c.spec != SpecNGram {
			t.Errorf("%q, %d: %d tokens were guessed", c.spec, c.most, drafted)
		}
	}
}

// TestSpecErrors opens models with what cannot guess for them.
func TestSpecErrors(t *testing.T) {
	h, err := NewHost(HostOptions{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for name, want := range map[string]string{
		"ngrams":                          `"ngrams" is none of auto, off, mtp and ngram, and no model "ngrams"`,
		testfiles.GGUF(t, "llama-Q4_K_M"): "its vocabulary",
		"testdata/no-such-model.gguf":     "there is no such file",
	} {
		_, err := h.Open(t.Context(), "", Options{Spec: name})
		var o *OptionError
		if !errors.As(err, &o) || o.Option != "Spec" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
	}
}

// TestSpecOnFixtures compares greedy answers of tiny models with guesses, of which some are right, to those without.
func TestSpecOnFixtures(t *testing.T) {
	if dev := namedDevice(""); dev != "" {
		for _, name := range testfiles.GGUFs {
			t.Run(dev+"/"+name, func(t *testing.T) { specOnFixture(t, dev, name, 72, false) })
		}
		return
	}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most fixtures and all emulators to make long")
		specOnFixture(t, "cpu", "qwen35-Q4_K_M", 2, false)
		return
	}
	for _, name := range testfiles.GGUFs {
		t.Run("cpu/"+name, func(t *testing.T) { specOnFixture(t, "cpu", name, 72, false) })
	}
	for _, target := range []string{"gfx1100", "gfx1201"} {
		for _, name := range []string{"llama-Q4_K_M", "qwen35-Q4_K_M", "qwen35moe-Q4_K_M"} {
			t.Run(target+"/"+name, func(t *testing.T) {
				specOnFixture(t, "emu:"+target, name, 4, false)
				specOnFixture(t, "emu:"+target, name, 2, true)
			})
		}
	}
}

// specOnFixture makes n greedy answers behind parts of the tokens of a fixture.
func specOnFixture(t *testing.T, device, name string, n int, invariant bool) {
	t.Helper()
	f := readFixture(t, testfiles.GGUF(t, name))
	h, err := NewHost(HostOptions{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	m, err := h.Open(t.Context(), f.path, Options{Context: 256, Spec: SpecNGram, Invariant: invariant})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(prompt []int32, drafter string) []int32 {
		ids := slices.Clone(prompt)
		for p, err := range m.GenerateTokens(t.Context(), prompt, Params{MaxTokens: 24, Temperature: new(float32(0)),
			IgnoreEOS: true, Spec: drafter}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, p.Token)
		}
		return ids
	}
	var texts [][]int32
	for i := range n {
		size := 3 + i%13
		texts = append(texts, answer(f.tokens[i%(len(f.tokens)-size):][:size], SpecOff))
	}
	m.engine.Close(t.Context())
	m.engine, m.depth = nil, spec.Fixed(4)
	m.drafters = []spec.Drafter{spec.NewReplay(texts, 0.7, m.VocabSize(), 1, nil)}
	for i, want := range texts {
		if got := answer(want[:len(want)-24], ""); !slices.Equal(got, want) {
			t.Errorf("%s on %s, invariant %v, text %d: %v, without guesses %v", name, device, invariant, i, got, want)
		}
	}
	if s := m.Stats(); s.AcceptedTokens < uint64(8*n) || s.AcceptedTokens == s.DraftedTokens {
		t.Errorf("%s on %s: %d of %d guesses were right", name, device, s.AcceptedTokens, s.DraftedTokens)
	}
}
