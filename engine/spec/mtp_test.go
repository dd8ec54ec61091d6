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
	err   error
	calls [][]runner.DraftWork
}

func (c *chain) Draft(_ context.Context, work []runner.DraftWork) error {
	c.calls = append(c.calls, slices.Clone(work))
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
	for range 2 { // nothing is left of the first call
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
		}
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
