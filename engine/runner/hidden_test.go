package runner

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestStepHidden multiplies hidden states by the output matrix and expects the logits of the same tokens, cut into
// other steps; padding and what else is in the step change no bit, and no logits cross to the host.
func TestStepHidden(t *testing.T) {
	l := load(t, "llama")
	embd := l.m.Params().Embd
	matrix := tiny.Weights(l.m, tensor.F32, 1).Data["output.weight"]
	ids := prompt(1, 12)
	r := l.runner(t, Options{Context: 64})
	want := step(t, r, open(t, r), ids...)
	r = l.runner(t, Options{Context: 64})
	alone, err := r.StepHidden(t.Context(), []Work{{Seq: open(t, r), Tokens: ids, Rows: len(ids)}})
	if err != nil {
		t.Fatal(err)
	}
	states := slices.Clone(alone[0])
	if r.Limits().Embd != embd || len(states) != len(ids)*embd {
		t.Fatalf("%d numbers of %d tokens, and states of %d", len(states), len(ids), r.Limits().Embd)
	}
	for i := range ids {
		for id := range tiny.Vocab {
			sum := 0.0
			for j, x := range states[i*embd : (i+1)*embd] {
				w := math.Float32frombits(binary.LittleEndian.Uint32(matrix[4*(id*embd+j):]))
				sum += float64(x) * float64(w)
			}
			if d := math.Abs(sum - float64(want[i*tiny.Vocab+id])); d > 1e-4 {
				t.Fatalf("token %d: the state gives logit %d as %v, the step gave %v", i, id, sum,
					want[i*tiny.Vocab+id])
			}
		}
	}
	for _, pads := range []bool{false, true} {
		var dev ops.Device = l.dev
		if pads {
			dev = &bucketed{Device: l.dev}
		}
		d := &counted{Device: dev}
		r, err := New(d, l.m, l.w, Options{Context: 64, Seqs: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		a, b := open(t, r), open(t, r)
		work := [][]Work{
			{{Seq: b, Tokens: prompt(9, 3), Rows: 1}, {Seq: a, Tokens: ids[:5]}},
			{{Seq: a, Tokens: ids[5:], Rows: 4}, {Seq: b, Tokens: prompt(8, 2), Rows: 2}},
		}
		for _, w := range work {
			d.downed = 0
			got, err := r.StepHidden(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if rows := w[0].Rows + w[1].Rows; d.downed != 4*embd*rows || len(got[0]) != w[0].Rows*embd ||
				len(got[1]) != w[1].Rows*embd {
				t.Errorf("padded %v: %d bytes came for %d rows: %d and %d numbers", pads, d.downed, rows, len(got[0]),
					len(got[1]))
			}
			if w[0].Seq == a && !slices.Equal(got[0], states[8*embd:]) {
				t.Errorf("padded %v: the states of the last tokens differ from those of one step", pads)
			}
		}
	}
}

// TestStepHiddenBroken spoils an embedding: the error names the number of the state, and no logit.
func TestStepHiddenBroken(t *testing.T) {
	m, err := models.New(tiny.Meta("llama"))
	if err != nil {
		t.Fatal(err)
	}
	l := load(t, "llama")
	src := tiny.Weights(m, tensor.F32, 1)
	binary.LittleEndian.PutUint32(src.Data["output_norm.weight"][4*3:], math.Float32bits(float32(math.Inf(1))))
	w, err := models.LoadWeights(t.Context(), m, src, l.dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(l.dev, m, w, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.StepHidden(t.Context(), []Work{{Seq: open(t, r), Tokens: prompt(3, 5), Rows: 3}})
	if err == nil || !strings.Contains(err.Error(), "hidden state 3 of row 0 is ") {
		t.Errorf("error %v", err)
	}
}
