package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/internal/fake"
)

// TestMinTokens keeps every kind of end away until there are enough tokens.
func TestMinTokens(t *testing.T) {
	e := start(t, &fake.Runner{Reply: "abcabc"}, nil)
	for _, c := range []struct {
		name   string
		change func(*engine.Request)
		want   string
		least  int
	}{
		{"end of generation", func(r *engine.Request) { r.Sampling.MinTokens = 8 }, "abcabc", 9},
		{"as it ends", func(r *engine.Request) { r.Sampling.MinTokens = 6 }, "abcabc", 7},
		{"stop string", func(r *engine.Request) { r.Stop, r.Sampling.MinTokens = []string{"b"}, 4 }, "abca", 5},
		{"stop token", func(r *engine.Request) { r.StopTokens, r.Sampling.MinTokens = []int32{'b'}, 3 }, "a", 4},
		{"stop token at once", func(r *engine.Request) { r.StopTokens = []int32{'c'} }, "ab", 3},
		{"ends that are ignored", func(r *engine.Request) { r.IgnoreEOG, r.Sampling.MinTokens = true, 8 }, "abcabc",
			20},
	} {
		r := request("x", 20)
		c.change(&r)
		text, tokens, err := read(submit(t, e, r))
		if err != nil || len(tokens) < c.least || !strings.HasPrefix(text, c.want) || c.least < 9 &&
			len(tokens) > c.least && c.name != "stop token" {
			t.Errorf("%s: %q, %d tokens, %v", c.name, text, len(tokens), err)
		}
	}
	for name, change := range map[string]func(*engine.Request){
		"min_tokens 21":  func(r *engine.Request) { r.Sampling.MinTokens = 21 },
		"stop token 999": func(r *engine.Request) { r.StopTokens = []int32{999} },
	} {
		r := request("x", 20)
		change(&r)
		if _, err := e.Submit(t.Context(), r); !errors.Is(err, engine.ErrBadRequest) ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTokenStarts checks that tokens say where their text begins, and the last one which stop string ended it.
func TestTokenStarts(t *testing.T) {
	e := start(t, &fake.Runner{Reply: "aö STOP x"}, nil)
	r := request("x", 20)
	r.Stop = []string{"STOP", "OP"}
	_, tokens, err := read(submit(t, e, r))
	var starts []int
	for _, tok := range tokens {
		starts = append(starts, tok.Start)
	}
	if err != nil || !slices.Equal(starts, []int{0, 1, 1, 3, 4, 5, 6, 7}) ||
		tokens[len(tokens)-1].StopString != "STOP" {
		t.Errorf("starts %v, %+v, %v", starts, tokens[len(tokens)-1], err)
	}
	_, tokens, err = read(submit(t, e, request("x", 3)))
	if last := tokens[len(tokens)-1]; err != nil || last.StopString != "" || last.Finish != engine.FinishLength {
		t.Errorf("%+v, %v", last, err)
	}
}
