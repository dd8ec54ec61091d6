package engine_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// script is a constraint that asks for one text, of which what follows a "!" is forced.
type script struct {
	want string
	at   int
	fail error
}

func (s *script) Mask() ([]uint64, error) {
	mask := make([]uint64, fake.Vocab/64+1)
	id := fake.EOG
	if s.at < len(s.want) {
		id = int(s.want[s.at])
	}
	mask[id/64] = 1 << (id % 64)
	return mask, s.fail
}

func (s *script) Accept(id int32) error {
	if mask, _ := s.Mask(); mask[id/64]>>(id%64)&1 == 0 {
		return errors.New("not the next")
	}
	s.at++
	return nil
}

func (s *script) Forced() []int32 {
	var ids []int32
	if s.at > 0 && s.want[s.at-1] == '!' {
		for _, c := range []byte(s.want[s.at:]) {
			ids = append(ids, int32(c))
		}
	}
	return ids
}

func TestConstraint(t *testing.T) {
	const want = "ab!forced span that is longer than a batch of the runner, which takes 64 tokens at most"
	for _, logprobs := range []bool{false, true} {
		r := &fake.Runner{Lim: runner.Limits{Top: 64}} // which must not be asked for the largest logits
		e, err := engine.New(engine.Config{Runner: r, EOG: func(id int32) bool { return id == fake.EOG }})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close(t.Context())
		s, err := e.Submit(t.Context(),
			engine.Request{Prompt: []int32{1, 2}, Decoder: fake.Tokenizer{}.NewStream(false), Logprobs: logprobs,
				Sampling: sample.Params{Constraint: &script{want: want}}})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		var last engine.Token
		for tok, err := range s.Tokens() {
			if err != nil {
				t.Fatal(err)
			}
			text += tok.Text
			last = tok
		}
		if text != want || !last.EOG || last.Finish != engine.FinishStop {
			t.Errorf("%q, finished by %+v", text, last)
		}
		var fed []int32
		for _, step := range r.Steps() {
			fed = append(fed, step[0].Tokens...)
		}
		if !slices.Equal(fed, append([]int32{1, 2}, fake.Tokenizer{}.Encode(want)...)) {
			t.Errorf("the runner was fed %v", fed)
		}
		// The prompt, a, b, and then 64 and what is left of the forced ones; with log-probabilities each by itself.
		steps := map[bool]int{false: 5, true: 1 + len(want)}[logprobs]
		if n := len(r.Steps()); n != steps {
			t.Errorf("%d steps, want %d", n, steps)
		}
	}
}

func TestConstraintEnds(t *testing.T) {
	e, err := engine.New(engine.Config{Runner: &fake.Runner{}, EOG: func(id int32) bool { return id == fake.EOG }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(t.Context())
	collect := func(r engine.Request) (n int, finish engine.FinishReason, err error) {
		r.Prompt = []int32{1}
		s, err := e.Submit(t.Context(), r)
		if err != nil {
			return 0, "", err
		}
		for tok, err := range s.Tokens() {
			if err != nil {
				return n, finish, err
			}
			n++
			finish = tok.Finish
		}
		return n, finish, nil
	}
	// The budget ends in the middle of what is forced.
	if n, finish, err := collect(engine.Request{MaxTokens: 7,
		Sampling: sample.Params{Constraint: &script{want: "a!0123456789"}}}); n != 7 ||
		finish != engine.FinishLength || err != nil {
		t.Errorf("%d tokens, %s, %v", n, finish, err)
	}
	// So does a stop string.
	if n, finish, err := collect(engine.Request{Stop: []string{"34"}, Decoder: fake.Tokenizer{}.NewStream(false),
		Sampling: sample.Params{Constraint: &script{want: "a!0123456789"}}}); n != 7 || finish != engine.FinishStop ||
		err != nil {
		t.Errorf("%d tokens, %s, %v", n, finish, err)
	}
	// A constraint that has no token ends the sequence with its error, and nothing is generated without it.
	broken := errors.New("no token")
	if n, _, err := collect(engine.Request{Sampling: sample.Params{Constraint: &script{want: "a",
		fail: broken}}}); n != 0 || !errors.Is(err, broken) {
		t.Errorf("%d tokens, %v", n, err)
	}
	if _, _, err := collect(engine.Request{IgnoreEOG: true,
		Sampling: sample.Params{Constraint: &script{want: "a"}}}); !errors.Is(err, engine.ErrBadRequest) {
		t.Errorf("IgnoreEOG: %v", err)
	}
}
