package runner

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestEmbeds replaces tokens by the rows that they stand for and expects the same bits, alone, beside another
// sequence, and padded.
func TestEmbeds(t *testing.T) {
	l := load(t, "llama")
	embd := l.m.Params().Embd
	raw := tiny.Weights(l.m, tensor.F32, 1).Data["token_embd.weight"]
	row := func(id int32) []float32 {
		x := make([]float32, embd)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*(int(id)*embd+i):]))
		}
		return x
	}
	ids, other := prompt(1, 11), prompt(2, 6)
	tokens, index := slices.Clone(ids), slices.Repeat([]int32{-1}, len(ids))
	var rows [][]float32
	for n, at := range []int{9, 2, 3} {
		rows = append(rows, row(ids[at]))
		tokens[at], index[at] = 0, int32(n)
	}
	work := func(first, second SeqID, replaced bool) []Work {
		w := []Work{{Seq: first, Tokens: ids, Rows: 11}, {Seq: second, Tokens: other, Rows: 6}}
		if replaced {
			w[0].Tokens, w[0].Embeds, w[0].EmbedIDs = tokens, rows, index
			w[1].Embeds, w[1].EmbedIDs = [][]float32{row(1), row(other[0])}, []int32{1, -1, -1, -1, -1, -1}
		}
		return w
	}
	for _, padded := range []bool{false, true} {
		var want, got [][]float32
		for _, replaced := range []bool{false, true} {
			var dev ops.Device = l.dev
			if padded {
				dev = &bucketed{Device: l.dev}
			}
			r, err := New(dev, l.m, l.w, Options{Seqs: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			rows, err := r.Step(t.Context(), work(open(t, r), open(t, r), replaced))
			if err != nil {
				t.Fatal(err)
			}
			want, got = got, rows
		}
		for i := range got {
			if !slices.Equal(want[i], got[i]) {
				t.Errorf("padded %v: the logits of sequence %d differ", padded, i)
			}
		}
	}

	r := l.runner(t, Options{Seqs: 2})
	id := open(t, r)
	for _, c := range []struct {
		embeds [][]float32
		ids    []int32
		want   string
	}{
		{nil, []int32{-1}, "1 indices of embeddings for 2 tokens"},
		{rows, nil, "0 indices of embeddings for 2 tokens"},
		{rows, []int32{-1, 3}, "embedding 3 at 1 of 3"},
		{[][]float32{{1, 2}}, []int32{-1, 0}, "embedding 0 has 2 numbers, the model's have 64"},
	} {
		_, err := r.Step(t.Context(),
			[]Work{{Seq: id, Tokens: []int32{1, 2}, Rows: 1, Embeds: c.embeds, EmbedIDs: c.ids}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one that says %q", err, c.want)
		}
	}
}
