package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// thoughts are bounded to n tokens and end with "</t>!".
func thoughts(n int, open bool) *engine.Thoughts {
	return &engine.Thoughts{Budget: n, Open: open, Opener: "<t>", Closers: []string{"</t>", "<end>"},
		End: fake.Tokenizer{}.Encode("</t>!")}
}

// TestThoughts bounds thoughts of a model whose next byte depends on how much was said.
func TestThoughts(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		thoughts    *engine.Thoughts
		want        string
	}{
		{"never begun", "abcdef", thoughts(2, false), "abcdef"},
		{"ended in time", "<t>ab</t>cd", thoughts(20, false), "<t>ab</t>cd"},
		{"ended early", "<t>abcdefghij", thoughts(3, false), "<t>abc</t>!"},
		{"none", "<t>abcdefghij", thoughts(0, false), "<t></t>!fghij"},
		{"open", "abcdefghij", thoughts(2, true), "ab</t>!hij"},
		{"open, none", "abcdefghij", thoughts(0, true), "</t>!fghij"},
		{"open, and ended otherwise", "a<end>bcd", thoughts(9, true), "a<end>bcd"},
		// 6 tokens of the first count, its end too
		{"begun again", "<t>ab</t><t>cdefghijklmn", thoughts(9, false), "<t>ab</t><t>cde"},
		{"in a character", "aaöbbbbbbb", thoughts(3, true), "aaö</t>!b"},
	} {
		for _, logprobs := range []bool{false, true} {
			e := start(t, &fake.Runner{Reply: c.reply}, nil)
			r := request("x", 40)
			r.Thoughts, r.Logprobs = c.thoughts, logprobs
			text, tokens, err := read(submit(t, e, r))
			if err != nil || !strings.HasPrefix(text, c.want) {
				t.Errorf("%s: %q, %d tokens, %v, want %q", c.name, text, len(tokens), err, c.want)
			}
		}
	}
	e := start(t, &fake.Runner{}, nil)
	for name, change := range map[string]func(*engine.Request){
		"no decoder": func(r *engine.Request) { r.Decoder = nil },
		"no end":     func(r *engine.Request) { r.Thoughts.End = nil },
		"no budget":  func(r *engine.Request) { r.Thoughts.Budget = -1 },
	} {
		r := request("x", 5)
		r.Thoughts = thoughts(1, true)
		change(&r)
		if _, err := e.Submit(t.Context(), r); !errors.Is(err, engine.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestThoughtsAndConstraint ends thoughts only where the constraint lets them end, and as far as it goes along.
func TestThoughtsAndConstraint(t *testing.T) {
	for want, budget := range map[string]int{"ab</t>cd": 1, "ab</t>!d": 2} {
		e := start(t, &fake.Runner{}, nil)
		r := request("x", 40)
		r.Thoughts = thoughts(budget, true)
		c := &script{want: want}
		r.Sampling = sample.Params{Constraint: c}
		text, _, err := read(submit(t, e, r))
		if err != nil || text != want {
			t.Errorf("budget %d: %q, %v, want %q", budget, text, err, want)
		}
	}
}
