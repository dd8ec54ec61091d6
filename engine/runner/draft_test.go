package runner

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// loadDrafting loads a tiny model of an architecture with a draft layer, in use.
func loadDrafting(t *testing.T, arch string) *loaded {
	t.Helper()
	m, err := models.New(tiny.Drafting(arch))
	if err != nil {
		t.Fatal(err)
	}
	d, err := models.WithDrafts(m)
	if err != nil {
		t.Fatal(err)
	}
	l := &loaded{dev: opsref.New(opsref.Options{Threads: 1}), m: d}
	t.Cleanup(func() { l.dev.Close() })
	if l.w, err = models.LoadWeights(t.Context(), d, tiny.Weights(d, tensor.F32, 1), l.dev, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// draft returns n drafts behind a token.
func draft(t *testing.T, r *Runner, id SeqID, token int32, n int) []int32 {
	t.Helper()
	work := []DraftWork{{Seq: id, Token: token, Depth: n}}
	if err := r.Draft(t.Context(), work, 0); err != nil {
		t.Fatal(err)
	}
	return work[0].Tokens
}

// draftAlone returns n drafts behind ids, of which a new sequence of r reads all but the last in one step.
func draftAlone(t *testing.T, r *Runner, ids []int32, n int) []int32 {
	t.Helper()
	id := open(t, r)
	defer r.Release(id)
	last := len(ids) - 1
	if _, err := r.Step(t.Context(), []Work{{Seq: id, Tokens: ids[:last]}}); err != nil {
		t.Fatal(err)
	}
	return draft(t, r, id, ids[last], n)
}

// TestDraftBeside lets three sequences read, guess, take guesses back, and go on from forks, checkpoints and snapshots,
// across the ends of pages. Drafts are always those behind the same tokens alone, and steps know nothing of drafts.
func TestDraftBeside(t *testing.T) {
	const k, context = 4, 112
	archs, rounds := []string{"qwen35", "qwen35moe", "qwen3next", "glm4moe"}, 50
	if testing.Short() {
		archs, rounds = archs[:1], 12
	}
	for _, arch := range archs {
		t.Run(arch, func(t *testing.T) {
			l := loadDrafting(t, arch)
			pads := &bucketed{Device: l.dev}
			r, err := New(pads, l.m, l.w, Options{Context: context, Seqs: 4, Checkpoints: 2, Rewind: k, Invariant: true})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			alone := l.runner(t, Options{Context: context, Invariant: true})
			base := l.m.(*models.Drafting).Drafter
			plain, err := New(l.dev, base, l.w, Options{Context: context, Invariant: true})
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			rng := rand.New(rand.NewPCG(5, 6))
			type text struct {
				id  SeqID
				ids []int32
			}
			texts := make([]text, 3)
			for i := range texts {
				texts[i].id = open(t, r)
			}
			branch := []func(SeqID) (SeqID, error){
				r.Fork,
				func(id SeqID) (SeqID, error) {
					cp, err := r.Checkpoint(id)
					if err != nil {
						return 0, err
					}
					defer r.Drop(cp)
					return r.Resume(cp)
				},
				func(id SeqID) (SeqID, error) {
					snap, err := r.Save(t.Context(), id)
					if err != nil {
						return 0, err
					}
					var file bytes.Buffer
					if _, err := snap.WriteTo(&file); err != nil {
						return 0, err
					}
					if snap, err = ReadSnapshot(&file, snap.FileBytes()); err != nil {
						return 0, err
					}
					return r.Restore(t.Context(), snap)
				},
			}
			drafted := map[int32]bool{}
			for round := range rounds {
				var work []Work
				for i := range texts {
					x := &texts[i]
					n := 1 + rng.IntN(k+1)
					switch {
					case round%5 == i:
						n += 9
					case round%5 == 3: // to the end of a page
						n = PageSize - len(x.ids)%PageSize
					case round%11 == 10: // more than are kept of the newest
						n = kv.RecentTokens + 3
					}
					if len(x.ids)+n > context-MaxDrafts-1 {
						r.Release(x.id)
						*x = text{id: open(t, r)}
					}
					w := Work{Seq: x.id, Tokens: prompt(rng.Uint64(), n), Rows: n, Rewind: min(n-1, rng.IntN(k+1))}
					x.ids = append(x.ids, w.Tokens...)
					work = append(work, w)
				}
				rows, err := r.Step(t.Context(), work)
				if err != nil {
					t.Fatal(err)
				}
				for i, w := range work {
					id := open(t, plain)
					all := step(t, plain, id, texts[i].ids...)
					plain.Release(id)
					if !slices.Equal(rows[i], all[len(all)-len(rows[i]):]) {
						t.Fatalf("round %d: logits of sequence %d differ from those of the model without its draft layer", round, i)
					}
					if x := &texts[i]; w.Rewind > 0 {
						x.ids = x.ids[:len(x.ids)-rng.IntN(w.Rewind+1)]
						if err := r.Truncate(x.id, len(x.ids)); err != nil {
							t.Fatal(err)
						}
					}
				}
				x := &texts[rng.IntN(3)]
				other, err := branch[round%3](x.id)
				if err != nil {
					t.Fatal(err)
				}
				if round%2 == 0 { // the branch stays, and what it comes from must not see what it drafts
					draft(t, r, other, 7, MaxDrafts)
					r.Release(other)
				} else {
					draft(t, r, x.id, 7, MaxDrafts)
					r.Release(x.id)
					x.id = other
				}
				drafts := make([]DraftWork, 3)
				for i, x := range texts {
					drafts[i] = DraftWork{Seq: x.id, Token: rng.Int32N(tiny.Vocab), Depth: 1 + rng.IntN(MaxDrafts)}
				}
				if err := r.Draft(t.Context(), drafts, 0); err != nil {
					t.Fatal(err)
				}
				for i, d := range drafts {
					want := draftAlone(t, alone, append(slices.Clone(texts[i].ids), d.Token), d.Depth)
					if !slices.Equal(d.Tokens, want) {
						t.Fatalf("round %d: drafts of sequence %d of %d tokens are %v, of its tokens alone %v", round, i,
							len(texts[i].ids), d.Tokens, want)
					}
					for _, id := range want {
						drafted[id] = true
					}
				}
			}
			if len(drafted) < 20 {
				t.Errorf("only %d different tokens were drafted", len(drafted))
			}
		})
	}
}

// TestDraftFork lets two sequences go on from one with different tokens, by turns. What one drafts is no matter to the
// other, also where the first ends with a page.
func TestDraftFork(t *testing.T) {
	l := loadDrafting(t, "qwen35")
	alone := l.runner(t, Options{Invariant: true})
	for _, n := range []int{1, PageSize - 1, PageSize, PageSize + 1, 2 * PageSize} {
		r := l.runner(t, Options{Seqs: 2, Invariant: true})
		ids := [][]int32{prompt(1, n), prompt(1, n)}
		seqs := []SeqID{open(t, r), 0}
		step(t, r, seqs[0], ids[0]...)
		var err error
		if seqs[1], err = r.Fork(seqs[0]); err != nil {
			t.Fatal(err)
		}
		for round := range 3 {
			for i, id := range seqs {
				token := int32(10*i + round)
				draft(t, r, id, token, 3)
				step(t, r, id, token)
				ids[i] = append(ids[i], token)
			}
			for i, id := range seqs {
				got, want := draft(t, r, id, 3, 4), draftAlone(t, alone, append(slices.Clone(ids[i]), 3), 4)
				if !slices.Equal(got, want) {
					t.Errorf("%d tokens, round %d: drafts of branch %d are %v, of its tokens alone %v", n, round, i, got, want)
				}
			}
		}
	}
}

// TestDraftLimits asks for drafts that cannot be.
func TestDraftLimits(t *testing.T) {
	if r := load(t, "qwen35").runner(t, Options{}); r.Limits().Drafts != 0 ||
		!errors.Is(r.Draft(t.Context(), []DraftWork{{Depth: 1}}, 0), models.ErrNoDrafts) {
		t.Error("a model without its draft layer drafts")
	}
	l := loadDrafting(t, "qwen35")
	r := l.runner(t, Options{Context: 2 * PageSize, Seqs: 2, Pages: 3, Rewind: 3})
	for _, vocab := range []int{-1, tiny.Vocab + 1} {
		if err := r.Draft(t.Context(), nil, vocab); err == nil || !strings.Contains(err.Error(), "outside 0..96") {
			t.Errorf("error %v for drafts of the first %d tokens", err, vocab)
		}
	}
	if lim := r.Limits(); lim.Drafts != MaxDrafts || lim.Rewinds != 3 || lim.CutsAnywhere() {
		t.Errorf("limits %+v", lim)
	}
	id := open(t, r)
	reject := func(want string, w ...DraftWork) {
		t.Helper()
		if err := r.Draft(t.Context(), w, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	reject("no sequence")
	reject("is not open", DraftWork{Seq: 1, Depth: 1})
	reject("no token before", DraftWork{Seq: id, Depth: 1})
	step(t, r, id, prompt(1, PageSize)...)
	reject("0 drafts are outside 1..8", DraftWork{Seq: id})
	reject("9 drafts are outside 1..8", DraftWork{Seq: id, Depth: 9})
	reject("token -1 is outside", DraftWork{Seq: id, Token: -1, Depth: 1})
	reject("twice", DraftWork{Seq: id, Depth: 1}, DraftWork{Seq: id, Depth: 1})
	other := open(t, r)
	step(t, r, other, prompt(1, PageSize+1)...)
	err := r.Draft(t.Context(), []DraftWork{{Seq: id, Depth: 2}}, 0)
	if !errors.Is(err, kv.ErrNoPages) {
		t.Errorf("error %v without a page for a second draft", err)
	}
	want := draftAlone(t, l.runner(t, Options{}), append(prompt(1, PageSize), 5), 1)
	if got := draft(t, r, id, 5, 1); !slices.Equal(got, want) {
		t.Errorf("draft %v, want %v", got, want)
	}
	r.Release(other)
	step(t, r, id, prompt(2, PageSize-8)...)
	reject("exceed the context", DraftWork{Seq: id, Depth: 8})
	if got := draft(t, r, id, 5, 7); len(got) != 7 {
		t.Errorf("%d drafts at the end of the context", len(got))
	}
}

// TestDraftFrequent compares guesses of the first tokens with guesses of all: which tokens there are to choose from
// decides which is the likeliest, and else nothing does. Steps know nothing of it.
func TestDraftFrequent(t *testing.T) {
	l := loadDrafting(t, "qwen35")
	r := l.runner(t, Options{Invariant: true})
	id := open(t, r)
	firsts := map[int32]bool{}
	for round := range 4 {
		ids := prompt(uint64(round), 5)
		before := step(t, r, id, ids...)
		alone := l.runner(t, Options{Invariant: true})
		if other := open(t, alone); round == 0 && !slices.Equal(step(t, alone, other, ids...), before) {
			t.Error("logits differ from those of a runner that never drafts")
		}
		likeliest := draft(t, r, id, 7, 3)
		for _, n := range []int{tiny.Vocab, 80, 61, 40, 32, 17, 9, 3, 1} {
			work := []DraftWork{{Seq: id, Token: 7, Depth: 3}}
			if err := r.Draft(t.Context(), work, n); err != nil {
				t.Fatal(err)
			}
			got := work[0].Tokens
			if slices.ContainsFunc(got, func(id int32) bool { return int(id) >= n }) {
				t.Fatalf("drafts %v of the first %d tokens", got, n)
			}
			if int(slices.Max(likeliest)) < n && !slices.Equal(got, likeliest) || int(likeliest[0]) < n &&
				got[0] != likeliest[0] {
				t.Fatalf("drafts %v of the first %d tokens, %v of more", got, n, likeliest)
			}
			likeliest = got
			firsts[got[0]] = true
		}
	}
	if len(firsts) < 10 {
		t.Errorf("%d different tokens were drafted first", len(firsts))
	}
}
