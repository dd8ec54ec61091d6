package runner

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// recurrent returns the names of tiny models that keep recurrent state.
func recurrent(t *testing.T) (archs []string) {
	t.Helper()
	for _, arch := range models.Architectures() {
		m, err := models.New(tiny.Meta(arch))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.State().Slots) > 0 {
			archs = append(archs, arch)
		}
	}
	if len(archs) < 8 {
		t.Fatalf("%v are all recurrent architectures", archs)
	}
	return archs
}

// guess appends n of ids, and wrong others behind them that are taken back at once, and returns the logits of the n.
func guess(t *testing.T, r *Runner, id SeqID, ids []int32, wrong int) []float32 {
	t.Helper()
	tokens := append(slices.Clone(ids), prompt(uint64(1000+len(ids)), wrong)...)
	at := r.Len(id)
	rows, err := r.Step(t.Context(), []Work{{Seq: id, Tokens: tokens, Rows: len(tokens), Rewind: wrong}})
	if err != nil {
		t.Fatal(err)
	}
	logits := slices.Clone(rows[0][:len(ids)*r.limits.Vocab])
	if n := r.Rewindable(id); n < wrong {
		t.Errorf("%d tokens can be taken back, %d were asked for", n, wrong)
	}
	if err := r.Truncate(id, at+len(ids)); err != nil {
		t.Fatal(err)
	}
	return logits
}

// TestRewind reads a text with wrong tokens in between that are taken back, and expects the bits of the text alone, one
// token at a time: on every architecture with recurrent state, and on others.
func TestRewind(t *testing.T) {
	const k = 3
	n := 44
	if testing.Short() {
		n = 14
	}
	for _, arch := range append(recurrent(t), "llama", "gemma3") {
		t.Run(arch, func(t *testing.T) {
			l := load(t, arch)
			ids := prompt(7, n)
			plain := l.runner(t, Options{})
			id := open(t, plain)
			var want []float32
			for _, token := range ids {
				want = append(want, step(t, plain, id, token)...)
			}
			for _, pads := range []bool{false, true} {
				var dev ops.Device = l.dev
				if pads {
					dev = &bucketed{Device: dev}
				}
				// Without the contract, the reference computes in chunks what keeps no states.
				r, err := New(dev, l.m, l.w, Options{Seqs: 2, Rewind: k, Invariant: !pads})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				id := open(t, r)
				var got []float32
				rng := rand.New(rand.NewPCG(3, 4))
				for at := 0; at < len(ids); {
					n := min(1+rng.IntN(4), len(ids)-at)
					wrong := rng.IntN(k + 1)
					if pads {
						wrong = max(1, wrong)
					}
					got = append(got, guess(t, r, id, ids[at:at+n], wrong)...)
					at += n
				}
				if !slices.Equal(got, want) {
					t.Errorf("padded %v: logits of a text with tokens taken back differ from those of the text", pads)
				}
			}
		})
	}
}

// TestRewindBeside lets three sequences guess at a time or read a prompt, takes back parts of what was guessed, more
// than once, and lets others go on from forks, checkpoints and snapshots of what is left. Each gives the bits of its
// tokens alone.
func TestRewindBeside(t *testing.T) {
	const k = 4
	archs, rounds := []string{"qwen35", "lfm2", "llama", "kimi-linear", "granitehybrid"}, 14
	if testing.Short() {
		archs, rounds = archs[:1], 6
	}
	for _, arch := range archs {
		t.Run(arch, func(t *testing.T) {
			l := load(t, arch)
			r := l.runner(t, Options{Context: 96, Seqs: 4, Checkpoints: 2, Rewind: k, RewindTokens: 7,
				Invariant: true})
			alone := l.runner(t, Options{Context: 96, Invariant: true})
			rng := rand.New(rand.NewPCG(5, 6))
			type text struct {
				id  SeqID
				ids []int32
			}
			texts := make([]text, 3)
			for i := range texts {
				texts[i].id = open(t, r)
			}
			branch := map[int]func(SeqID) (SeqID, error){
				0: r.Fork,
				1: func(id SeqID) (SeqID, error) {
					cp, err := r.Checkpoint(id)
					if err != nil {
						return 0, err
					}
					defer r.Drop(cp)
					return r.Resume(cp)
				},
				2: func(id SeqID) (SeqID, error) {
					snap, err := r.Save(t.Context(), id)
					if err != nil {
						return 0, err
					}
					return r.Restore(t.Context(), snap)
				},
			}
			vocab := l.m.Params().Vocab
			for round := range rounds {
				var work []Work
				var of []*text
				left := 7
				for i := range texts {
					if rng.IntN(5) == 0 {
						continue
					}
					n := 1 + rng.IntN(k+1)
					if round%5 == i {
						n += 9
					}
					w := Work{Seq: texts[i].id, Tokens: prompt(rng.Uint64(), n), Rows: n}
					if rng.IntN(4) > 0 {
						w.Rewind = min(n-1, k, left)
					}
					left -= w.Rewind
					if len(texts[i].ids)+n > 96 {
						r.Release(texts[i].id)
						texts[i] = text{id: open(t, r)}
						w.Seq = texts[i].id
					}
					work, of = append(work, w), append(of, &texts[i])
				}
				if len(work) == 0 {
					continue
				}
				rows, err := r.Step(t.Context(), work)
				if err != nil {
					t.Fatal(err)
				}
				for i, w := range work {
					x := of[i]
					x.ids = append(x.ids, w.Tokens...)
					id := open(t, alone)
					all := step(t, alone, id, x.ids...)
					alone.Release(id)
					if !slices.Equal(rows[i], all[len(all)-w.Rows*vocab:]) {
						t.Fatalf("round %d: logits of sequence %d differ from those of its tokens alone", round, i)
					}
				}
				for i, w := range work {
					x := of[i]
					for left := w.Rewind; left > 0 && rng.IntN(3) > 0; {
						n := 1 + rng.IntN(left)
						left -= n
						x.ids = x.ids[:len(x.ids)-n]
						if err := r.Truncate(x.id, len(x.ids)); err != nil {
							t.Fatal(err)
						}
					}
					if r.Len(x.id) != len(x.ids) {
						t.Fatalf("a sequence of %d tokens has %d", len(x.ids), r.Len(x.id))
					}
				}
				x := &texts[rng.IntN(3)]
				other, err := branch[round%3](x.id)
				if err != nil {
					t.Fatal(err)
				}
				if n := r.Rewindable(other); arch != "llama" && n > 0 {
					t.Errorf("%d tokens can be taken back of a branch", n)
				}
				r.Release(x.id)
				x.id = other
			}
		})
	}
}

// TestRewindLimits asks for more than can be taken back, before the step and after it.
func TestRewindLimits(t *testing.T) {
	l := load(t, "qwen35")
	if _, err := New(l.dev, l.m, l.w, Options{Rewind: MaxRewind + 1}); err == nil ||
		!strings.Contains(err.Error(), "outside 0..16") {
		t.Errorf("error %v", err)
	}
	r := l.runner(t, Options{Seqs: 2, Rewind: 3})
	if n := r.Limits().Rewinds; n != 3 || r.Limits().CutsAnywhere() {
		t.Errorf("limits say %d tokens, want 3", n)
	}
	if lim := load(t, "llama").runner(t, Options{}).Limits(); !lim.CutsAnywhere() {
		t.Errorf("a model without recurrent state: %d tokens", lim.Rewinds)
	}
	if n := load(t, "gemma3").runner(t, Options{Rewind: 3}).Limits().Rewinds; n != PageSize {
		t.Errorf("a model with windows: %d tokens", n)
	}
	id := open(t, r)
	for _, w := range []Work{{Rewind: -1}, {Rewind: 4}, {Rewind: 6}} {
		w.Seq, w.Tokens = id, prompt(1, 6)
		if _, err := r.Step(t.Context(), []Work{w}); err == nil || !strings.Contains(err.Error(), "taken back") {
			t.Errorf("%d of 6: error %v", w.Rewind, err)
		}
	}
	if _, err := r.Step(t.Context(), []Work{{Seq: id, Tokens: []int32{1}, Rewind: 1}}); err == nil {
		t.Error("the only token of a step could be taken back")
	}
	at := func(n int) {
		t.Helper()
		for to := 1; to <= r.Len(id); to++ {
			if to >= r.Len(id)-n {
				continue
			}
			if err := r.Truncate(id, to); !errors.As(err, new(*TruncateError)) {
				t.Errorf("%d tokens cut to %d: %v", r.Len(id), to, err)
			}
		}
		if got := r.Rewindable(id); got != n {
			t.Errorf("%d tokens can be taken back, want %d", got, n)
		}
		if f := r.Floor(id); f != r.Len(id) {
			t.Errorf("floor %d of %d tokens, of which no checkpoint knows fewer", f, r.Len(id))
		}
	}
	run := func(w Work) {
		t.Helper()
		w.Seq = id
		if _, err := r.Step(t.Context(), []Work{w}); err != nil {
			t.Fatal(err)
		}
	}
	run(Work{Tokens: prompt(1, 6), Rewind: 2})
	at(2)
	if err := r.Truncate(id, 5); err != nil {
		t.Fatal(err)
	}
	at(1)
	run(Work{Tokens: prompt(1, 3)})
	at(0)
	run(Work{Tokens: prompt(1, 3), Rewind: 1})
	at(1)
	other := open(t, r)
	step(t, r, other, 1)
	at(0) // the places are those of the last step
	run(Work{Tokens: prompt(1, 3), Rewind: 1})
	if err := r.Truncate(id, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := step(t, r, id, prompt(4, 12)...), l.fresh(t, nil, prompt(4, 12)); !slices.Equal(got, want) {
		t.Error("logits after a cut to nothing differ from those of a new sequence")
	}
}

// TestRewindTokens shares places for three earlier states among sequences, and gives them back when sequences end.
func TestRewindTokens(t *testing.T) {
	l := load(t, "qwen35")
	for _, o := range []Options{{Rewind: 3, RewindTokens: 2}, {Seqs: 2, Rewind: 3, RewindTokens: 7}, {RewindTokens: 1}} {
		if _, err := New(l.dev, l.m, l.w, o); err == nil || !strings.Contains(err.Error(), "of a step") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
	r := l.runner(t, Options{Seqs: 3, Rewind: 3, RewindTokens: 3})
	if lim := r.Limits(); lim.Rewinds != 3 || lim.RewindTokens != 3 {
		t.Errorf("limits %d and %d", lim.Rewinds, lim.RewindTokens)
	}
	for range 3 {
		ids := []SeqID{open(t, r), open(t, r)}
		work := []Work{{Seq: ids[0], Tokens: prompt(1, 4), Rewind: 2}, {Seq: ids[1], Tokens: prompt(1, 4), Rewind: 2}}
		if _, err := r.Step(t.Context(), work); err == nil || !strings.Contains(err.Error(), "a step allows 3") {
			t.Errorf("four tokens: error %v", err)
		}
		work[1].Rewind = 1
		if _, err := r.Step(t.Context(), work); err != nil {
			t.Fatal(err)
		}
		if err := r.Truncate(ids[0], 2); err != nil {
			t.Fatal(err)
		}
		if a, b := r.Rewindable(ids[0]), r.Rewindable(ids[1]); a != 0 || b != 1 {
			t.Errorf("%d and %d tokens can be taken back, want 0 and 1", a, b)
		}
		r.Release(ids[0])
		r.Release(ids[1])
		if len(r.spare) != 3 {
			t.Fatalf("%d places are left of 3", len(r.spare))
		}
	}
	used := map[int]bool{}
	for _, s := range r.seqs {
		used[s.places[0]] = true
	}
	for _, p := range r.spare {
		used[p] = true
	}
	if len(used) != 6 {
		t.Errorf("%d places of 6 are in use or spare", len(used))
	}
}

// watched is a device that notes the shapes of slots, and may have no kernels for more than one dimension.
type watched struct {
	ops.Device
	kept   []int
	plains bool
}

func (d *watched) Supports(n *ops.Node) bool {
	for _, v := range n.In {
		if v.Node().Name == "slots" && d.plains && ops.Kept(v) > 0 {
			return false
		}
	}
	return d.Device.Supports(n)
}

func (d *watched) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	for _, n := range g.Nodes {
		if n.Name == "slots" {
			d.kept = append(d.kept, ops.Kept(n.Result(0)))
		}
	}
	return d.Device.Compile(g, a, outs...)
}

// TestRewindPlans: steps that take nothing back run the plans that they run without Options.Rewind, one plan serves all
// numbers of tokens that are taken back, and rewinding compiles nothing.
func TestRewindPlans(t *testing.T) {
	l := load(t, "qwen35")
	dev := &watched{Device: l.dev}
	r, err := New(dev, l.m, l.w, Options{Seqs: 2, Rewind: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	id, other := open(t, r), open(t, r)
	for _, work := range [][]Work{
		{{Seq: id, Tokens: prompt(1, 4), Rows: 1}},
		{{Seq: id, Tokens: prompt(1, 1), Rows: 1}, {Seq: other, Tokens: prompt(1, 1), Rows: 1}},
		{{Seq: id, Tokens: prompt(1, 4), Rows: 4, Rewind: 3}},
		{{Seq: id, Tokens: prompt(1, 4), Rows: 4, Rewind: 1}},
		{{Seq: other, Tokens: prompt(1, 4), Rows: 4, Rewind: 2}},
	} {
		if _, err := r.Step(t.Context(), work); err != nil {
			t.Fatal(err)
		}
		if w := work[0]; w.Rewind > 0 {
			if err := r.Truncate(w.Seq, r.Len(w.Seq)-w.Rewind); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []int{0, 0, 3}; !slices.Equal(dev.kept, want) {
		t.Errorf("plans keep %v states, want %v", dev.kept, want)
	}
}

// TestRewindUnsupported: a device without kernels for it says so, and has no memory for it.
func TestRewindUnsupported(t *testing.T) {
	m, err := models.New(tiny.Meta("qwen35"))
	if err != nil {
		t.Fatal(err)
	}
	src := tiny.Weights(m, tensor.F32, 1)
	state := func(plains bool, rewind int) int64 {
		d := &watched{Device: newSmall(t, 1<<40), plains: plains}
		mem, err := PlanMemory(d, m, src, Options{Seqs: 2, Rewind: rewind})
		if err != nil {
			t.Fatal(err)
		}
		w, err := models.LoadWeights(t.Context(), m, src, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := New(d, m, w, Options{Seqs: 2, Rewind: rewind})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		want := rewind
		if plains {
			want = 0
		}
		if l := r.Limits(); l.Rewinds != want || l.RewindTokens != 2*want || mem.Kept != 2*want {
			t.Errorf("limits say %d and %d, the plan %d, want %d of each of two sequences", l.Rewinds, l.RewindTokens, mem.Kept,
				want)
		}
		if said := strings.Contains(mem.String(), fmt.Sprintf("tokens and %d earlier states)", 2*want)); said != (want > 0) {
			t.Errorf("the plan says %q", mem)
		}
		return mem.State
	}
	plain := state(false, 0)
	if n := state(true, 3); n != plain {
		t.Errorf("%d bytes of state where nothing can be taken back, without %d", n, plain)
	}
	if n, want := state(false, 3), plain+2*3*4*m.State().SlotElems(); n != want {
		t.Errorf("%d bytes of state for two sequences and three tokens, want %d", n, want)
	}
}

// TestRewindDoesNotAllocate verifies and takes back tokens within a page.
func TestRewindDoesNotAllocate(t *testing.T) {
	for _, arch := range []string{"llama", "qwen35"} {
		l := load(t, arch)
		r, err := New(&still{Device: l.dev}, l.m, l.w, Options{Rewind: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		id := open(t, r)
		work := []Work{{Seq: id, Tokens: []int32{1, 2, 3, 4}, Rows: 4, Rewind: 3}}
		if n := testing.AllocsPerRun(6, func() {
			if _, err := r.StepTop(t.Context(), work, 1); err != nil {
				t.Fatal(err)
			}
			if err := r.Truncate(id, r.Len(id)-2); err != nil {
				t.Fatal(err)
			}
		}); n > 2 { // what Truncate keeps of page tables
			t.Errorf("%s: %v allocations per round", arch, n)
		}
	}
}
