package runner

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// counted is a device that counts what its streams move, and can spoil the output matrix.
type counted struct {
	ops.Device
	without       *ops.Def // it has no kernel for
	up, down      int      // copies
	upped, downed int      // bytes
}

func (d *counted) Supports(n *ops.Node) bool { return n.Op != d.without && d.Device.Supports(n) }

func (d *counted) Stream() (ops.Stream, error) {
	s, err := d.Device.Stream()
	return &countedStream{s, d}, err
}

type countedStream struct {
	ops.Stream
	dev *counted
}

func (s *countedStream) Upload(dst tensor.Tensor, src []byte) error {
	s.dev.up, s.dev.upped = s.dev.up+1, s.dev.upped+len(src)
	return s.Stream.Upload(dst, src)
}

func (s *countedStream) Download(dst []byte, src tensor.Tensor) error {
	s.dev.down, s.dev.downed = s.dev.down+1, s.dev.downed+len(dst)
	return s.Stream.Download(dst, src)
}

// ranked returns the k logits of highest rank of a row.
func ranked(row []float32, k int) []sample.Logit {
	var all []sample.Logit
	for i, l := range row {
		all = append(all, sample.Logit{ID: int32(i), Logit: l})
	}
	slices.SortStableFunc(all, func(a, b sample.Logit) int { return cmp.Compare(b.Logit, a.Logit) })
	if k == 1 {
		all[0].Logit = 0
	}
	return all[:k]
}

// TestStepTop compares what the device finds with the order of all logits, with and without padding, and counts what
// is downloaded.
func TestStepTop(t *testing.T) {
	for _, arch := range []string{"llama", "qwen35"} {
		l := load(t, arch)
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
			all := l.runner(t, Options{Context: 64, Seqs: 3})
			if r.Limits().Top != maxTop {
				t.Fatalf("the device finds %d of %d logits", r.Limits().Top, tiny.Vocab)
			}
			ids := []SeqID{open(t, r), open(t, r), open(t, r)}
			for range ids {
				open(t, all)
			}
			for i, k := range []int{1, 64, 5, 1} {
				work := []Work{{Seq: ids[2], Tokens: prompt(uint64(i), 3), Rows: 2},
					{Seq: ids[0], Tokens: prompt(7, 4)}, {Seq: ids[1], Tokens: prompt(8, 1), Rows: 1}}
				want, err := all.Step(t.Context(), work)
				if err != nil {
					t.Fatal(err)
				}
				d.downed = 0
				got, err := r.StepTop(t.Context(), work, k)
				if err != nil {
					t.Fatal(err)
				}
				bytes := 3 * 4
				if k > 1 {
					bytes = 3 * 64 * 8
				}
				if d.downed != bytes {
					t.Errorf("%s: %d bytes downloaded for 3 rows of %d, want %d", arch, d.downed, k, bytes)
				}
				for j, w := range work {
					var rank []sample.Logit
					for row := range w.Rows {
						rank = append(rank, ranked(want[j][row*tiny.Vocab:(row+1)*tiny.Vocab], k)...)
					}
					if !slices.Equal(got[j], rank) {
						t.Errorf("%s, step %d: the %d largest of sequence %d are %v, want %v", arch, i, k, j, got[j],
							rank)
					}
				}
			}
			if _, err := r.Logits(t.Context(), 0); err == nil {
				t.Error("there are logits of a step that looked for the largest alone")
			}
			work := []Work{{Seq: ids[2], Tokens: prompt(5, 2), Rows: 2}, {Seq: ids[1], Tokens: prompt(8, 1), Rows: 1}}
			want, err := all.Step(t.Context(), work)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.StepTop(t.Context(), work, 40); err != nil {
				t.Fatal(err)
			}
			for row, want := range slices.Collect(slices.Chunk(slices.Concat(want...), tiny.Vocab)) {
				if got, err := r.Logits(t.Context(), row); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: logits of row %d are %.5v, %v, want %.5v", arch, row, got, err, want)
				}
			}
			if _, err := r.Logits(t.Context(), 3); err == nil {
				t.Error("there are logits of a fourth row of three")
			}
			for _, k := range []int{0, 65} {
				if _, err := r.StepTop(t.Context(), []Work{{Seq: ids[0], Tokens: prompt(1, 1), Rows: 1}},
					k); err == nil {
					t.Errorf("%d logits could be had", k)
				}
			}
		}
		d := &counted{Device: l.dev, without: ops.TopKOp}
		r, err := New(d, l.m, l.w, Options{Context: 64})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if n := r.Limits().Top; n != 0 {
			t.Errorf("a device without top_k finds %d logits", n)
		}
		if err := r.Prove(); err != nil {
			t.Errorf("a device without top_k: %v", err)
		}
	}
}

// TestStepTopBroken spoils a row of the output matrix: what the device finds must be the error that all logits give.
func TestStepTopBroken(t *testing.T) {
	m, err := models.New(tiny.Meta("llama"))
	if err != nil {
		t.Fatal(err)
	}
	l := load(t, "llama")
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		src := tiny.Weights(m, tensor.F32, 1)
		matrix := src.Infos["output.weight"]
		binary.LittleEndian.PutUint32(src.Data["output.weight"][4*77*matrix.Shape.Last():], math.Float32bits(bad))
		w, err := models.LoadWeights(t.Context(), m, src, l.dev, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := New(l.dev, m, w, Options{Seqs: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		work := func() []Work { return []Work{{Seq: open(t, r), Tokens: prompt(3, 5), Rows: 3}} }
		_, want := r.Step(t.Context(), work())
		if want == nil || !strings.Contains(want.Error(), "logit 77 of row 0 is ") {
			t.Fatalf("all logits: %v", want)
		}
		for _, k := range []int{1, 7} {
			if _, err := r.StepTop(t.Context(), work(), k); err == nil || err.Error() != want.Error() {
				t.Errorf("the %d largest: %v, want %v", k, err, want)
			}
		}
	}
}
