package spec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
)

// chain is a ChainRunner that counts on from each token.
type chain struct {
	err      error
	calls    [][]runner.DraftWork
	vocabs   []int
	frequent int
}

func (c *chain) Fresh() bool { return len(c.calls) < 2 }

func (c *chain) Limits() runner.Limits { return runner.Limits{FrequentTokens: c.frequent} }

func (c *chain) Draft(_ context.Context, work []runner.DraftWork, vocab int) error {
	c.calls, c.vocabs = append(c.calls, slices.Clone(work)), append(c.vocabs, vocab)
	for i := range work {
		for d := range work[i].Depth {
			work[i].Tokens = append(work[i].Tokens, work[i].Token+int32(d)+1)
		}
	}
	return c.err
}

// TestMTP asks for several sequences at once, of which some cannot be drafted for.
func TestMTP(t *testing.T) {
	c := &chain{}
	d := NewMTP(c)
	asks := []Ask{
		{Slot: 3, Tokens: []int32{10, 11, 12}, Seen: 2, Max: 2},
		{Slot: 1, Tokens: []int32{10, 11, 12}, Seen: 1, Max: 2}, // a forced token stands between
		{Slot: 0, Tokens: []int32{10}, Seen: 0, Max: 2},
		{Slot: 2, Tokens: []int32{20, 30}, Seen: 1, Max: MaxDepth},
	}
	for call := range 2 { // nothing is left of the first call
		drafts, err := d.Draft(t.Context(), asks)
		if err != nil {
			t.Fatal(err)
		}
		want := [][]int32{{13, 14}, nil, nil, {31, 32, 33, 34, 35, 36, 37, 38}}
		for i, x := range drafts {
			if !slices.Equal(x.Tokens, want[i]) {
				t.Errorf("ask %d: drafts %v, want %v", i, x.Tokens, want[i])
			}
			if err := x.Check(asks[i], d.Info(), 100); err != nil {
				t.Error(err)
			}
			if fresh := call == 0 && len(x.Tokens) > 0; x.Fresh != fresh {
				t.Errorf("call %d, ask %d: fresh is %t", call, i, x.Fresh)
			}
		}
	}
	if !slices.Equal(c.vocabs, []int{0, 0}) {
		t.Errorf("guesses of the first %v tokens, where all are as cheap", c.vocabs)
	}
	if len(c.calls) != 2 || len(c.calls[0]) != 2 || c.calls[0][0].Seq != 3 || c.calls[0][1].Seq != 2 {
		t.Errorf("the runner was asked %+v", c.calls)
	}
	if _, err := d.Draft(t.Context(), asks[1:3]); err != nil || len(c.calls) != 2 {
		t.Errorf("error %v, the runner was asked %d times; there was nothing to draft", err, len(c.calls))
	}
	c.err = fmt.Errorf("runner: %w", kv.ErrNoPages)
	if drafts, err := d.Draft(t.Context(), asks); err != nil || len(drafts) != 4 || drafts[0].Tokens != nil {
		t.Errorf("without pages: %v, %v", drafts, err)
	}
	c.err = errors.New("broken")
	if _, err := d.Draft(t.Context(), asks); !errors.Is(err, c.err) {
		t.Errorf("error %v", err)
	}
}

// TestMTPFrequent follows which guesses are of frequent tokens alone, as sequences go on with frequent tokens and
// others.
func TestMTPFrequent(t *testing.T) {
	const frequent, other = 99, 100
	c := &chain{frequent: other}
	d := NewMTP(c)
	texts := map[uint64][]int32{}
	// draft lets sequences go on with n tokens, of which one in each few is no frequent one, and asks for each of them.
	// It returns how many guesses were of frequent tokens alone.
	draft := func(n, few int, noText bool, keys ...uint64) (cheap int) {
		t.Helper()
		c.vocabs = nil
		for i := range n {
			var asks []Ask
			for _, k := range keys {
				id := int32(frequent)
				if few > 0 && i%few == 0 {
					id = other
				}
				if len(texts[k]) == 0 {
					texts[k] = []int32{other, other, other} // of the prompt nothing is learned
				}
				texts[k] = append(texts[k], id)
				asks = append(asks, Ask{Key: k, Tokens: texts[k], Seen: len(texts[k]) - 1, Max: 1, NoText: noText})
			}
			if _, err := d.Draft(t.Context(), asks); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range c.vocabs {
			if v != 0 && v != other {
				t.Fatalf("guesses of the first %d tokens", v)
			}
			if v == other {
				cheap++
			}
		}
		return cheap
	}
	for _, x := range []struct {
		name        string
		n, few      int
		noText      bool
		keys        []uint64
		least, most int
	}{
		{"frequent tokens", 100, 0, false, []uint64{1}, 100, 100},
		{"now and then another", 200, 50, false, []uint64{1}, 200, 200},
		{"another script", 100, 3, false, []uint64{1}, 1, 12},
		{"no text", 20, 1, true, []uint64{1}, 20, 20},
		{"frequent tokens again", 400, 0, false, []uint64{1}, 200, 350},
		{"other scripts", 400, 2, false, []uint64{2, 3}, 0, 12},
		{"one sequence of three is of frequent tokens", 1, 0, false, []uint64{1, 2, 3}, 0, 0},
		{"a sequence after such", 1, 0, false, []uint64{4}, 0, 0},
		{"it shows what it consists of", 300, 0, false, []uint64{4}, 100, 290},
	} {
		if got := draft(x.n, x.few, x.noText, x.keys...); got < x.least || got > x.most {
			t.Errorf("%s: %d of %d guesses were of frequent tokens alone, want %d to %d", x.name, got, x.n, x.least, x.most)
		}
	}
	for k := range texts {
		d.Forget(k)
	}
	if n := len(d.(*mtp).seqs); n != 0 {
		t.Errorf("%d sequences are kept", n)
	}
}
