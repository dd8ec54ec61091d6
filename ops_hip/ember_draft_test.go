package opship_test

import (
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// TestEmberDraftsEmulated lets Ember guess with its own layer through shipped code: behind a prompt, and behind each of
// some tokens of two sequences at a time. The guesses are the reference's, and nearly all of them come true.
func TestEmberDraftsEmulated(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	p := emberPrompt(t)
	ref := opsref.New(opsref.Options{})
	t.Cleanup(func() { ref.Close() })
	want, frequent := emberDrafts(t, ref, p, 0), emberDrafts(t, ref, p, emberFrequent)
	right, all := 0, 0
	for at, row := range want {
		for i, ids := range row {
			for k, id := range ids {
				all++
				if at+k+i+1 < len(p.Greedy) && id == p.Greedy[at+k+i+1] {
					right++
				}
			}
		}
	}
	if 10*right < 9*all {
		t.Errorf("%d of %d guesses of the reference come true", right, all)
	}
	for _, target := range []string{"gfx1100", "gfx1201"} {
		t.Run(target, func(t *testing.T) {
			dev, err := opship.Open("emu:" + target)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { dev.Close() })
			for vocab, want := range map[int][][][]int32{0: want, emberFrequent: frequent} {
				if got := emberDrafts(t, dev, p, vocab); !slices.EqualFunc(got, want, func(a, b [][]int32) bool {
					return slices.EqualFunc(a, b, slices.Equal[[]int32])
				}) {
					t.Errorf("guesses %v of the first %d tokens, the reference's are %v", got, vocab, want)
				}
			}
		})
	}
}

// emberFrequent is how many of Ember's tokens some of the guesses are to be made of.
const emberFrequent = 1001

// emberDrafts returns, for each of four tokens of a recorded answer, three guesses behind it and two behind the next:
// of the first vocab tokens, 0 being all.
func emberDrafts(t *testing.T, dev ops.Device, p testfiles.EmberPrompt, vocab int) (drafts [][][]int32) {
	t.Helper()
	f, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := models.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	d, err := models.WithDrafts(m)
	if err != nil {
		t.Fatal(err)
	}
	w, err := models.LoadWeights(t.Context(), d, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Free()
	r, err := runner.New(dev, d, w, runner.Options{Context: 128, Seqs: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var seqs []runner.SeqID
	for i := range 2 { // the second is a token ahead
		id, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, id)
		text := slices.Concat(p.IDs, p.Greedy[:i])
		if _, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: text, Rows: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for at := range 4 {
		work := []runner.DraftWork{{Seq: seqs[0], Token: p.Greedy[at], Depth: 3},
			{Seq: seqs[1], Token: p.Greedy[at+1], Depth: 2}}
		if err := r.Draft(t.Context(), work, vocab); err != nil {
			t.Fatal(err)
		}
		drafts = append(drafts, [][]int32{work[0].Tokens, work[1].Tokens})
		if _, err := r.StepTop(t.Context(), []runner.Work{{Seq: seqs[0], Tokens: p.Greedy[at : at+1], Rows: 1},
			{Seq: seqs[1], Tokens: p.Greedy[at+1 : at+2], Rows: 1}}, 1); err != nil {
			t.Fatal(err)
		}
	}
	return drafts
}
