package cpu_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// spy is a device that remembers the last step of its stream: what was uploaded, and the plan.
type spy struct {
	ops.Device
	stream  spyStream
	uploads []upload
	plan    ops.Plan
}

type upload struct {
	to   tensor.Tensor
	data []byte
}

// spyStream is the stream of a spy.
type spyStream struct {
	ops.Stream
	spy *spy
	ran bool
}

// Stream returns the one stream.
func (s *spy) Stream() (ops.Stream, error) {
	inner, err := s.Device.Stream()
	s.stream = spyStream{inner, s, false}
	return &s.stream, err
}

// Upload remembers what it uploads.
func (s *spyStream) Upload(to tensor.Tensor, data []byte) error {
	if s.ran {
		s.spy.uploads, s.ran = nil, false
	}
	s.spy.uploads = append(s.spy.uploads, upload{to, bytes.Clone(data)})
	return s.Stream.Upload(to, data)
}

// Run remembers the plan.
func (s *spyStream) Run(p ops.Plan) error {
	s.spy.plan, s.ran = p, true
	return s.Stream.Run(p)
}

// again repeats the last step without the runner around it.
func (s *spy) again() error {
	for _, u := range s.uploads {
		if err := s.stream.Stream.Upload(u.to, u.data); err != nil {
			return err
		}
	}
	return s.stream.Stream.Run(s.plan)
}

var emberFiles = map[string]string{
	"Q8_0":   "../../internal/ember/ember-Q8_0.gguf",
	"Q4_K_M": "../../testdata/ember/ember-Q4_K_M.gguf",
}

// openEmber loads Ember on a device.
func openEmber(t testing.TB, typ string, inner ops.Device, ro runner.Options) (*runner.Runner, *spy) {
	t.Helper()
	f, err := gguf.Open(emberFiles[typ])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := models.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	dev := &spy{Device: inner}
	t.Cleanup(func() { dev.Close() })
	w, err := models.LoadWeights(t.Context(), m, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(dev, m, w, ro)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, dev
}

// step appends ids to a sequence and returns the logits of all of them.
func step(t testing.TB, r *runner.Runner, id runner.SeqID, ids []int32) []float32 {
	t.Helper()
	rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: ids, Rows: len(ids)}})
	if err != nil {
		t.Fatal(err)
	}
	return rows[0]
}

// logits runs ids through a new sequence in chunks.
func logits(t testing.TB, r *runner.Runner, ids []int32, chunk int) []float32 {
	t.Helper()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(id)
	var all []float32
	for ; len(ids) > 0; ids = ids[min(chunk, len(ids)):] {
		all = append(all, step(t, r, id, ids[:min(chunk, len(ids))])...)
	}
	return all
}

// prompts are the token ids of Ember's reference prompts.
func prompts(t testing.TB) [][]int32 {
	t.Helper()
	var ids [][]int32
	for _, p := range testfiles.EmberPrompts(t) {
		ids = append(ids, p.IDs)
	}
	return ids
}

// TestEmberRewind reads the prompts with wrong tokens in between that are taken back, and expects the bits of the prompts
// in one step, where the device says that these depend on nothing else, and else the same most likely tokens.
func TestEmberRewind(t *testing.T) {
	for _, invariant := range []bool{true, false} {
		r, _ := openEmber(t, "Q8_0", cpu.New(cpu.Options{}), runner.Options{Rewind: 7, Invariant: invariant})
		for i, ids := range prompts(t) {
			if testing.Short() && i > 1 {
				break
			}
			want := slices.Clone(logits(t, r, ids, 512))
			id, err := r.Open()
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			for at, right, wrong := 0, 1, 0; at < len(ids); at, right, wrong = at+right, at%4+1, (at+3)%8 {
				right = min(right, len(ids)-at)
				tokens := append(slices.Clone(ids[at:at+right]), ids[:wrong]...)
				rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: tokens, Rows: len(tokens), Rewind: wrong}})
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, rows[0][:right*r.Limits().Vocab]...)
				if err := r.Truncate(id, at+right); err != nil {
					t.Fatal(err)
				}
			}
			r.Release(id)
			l, err := conformance.CompareLogits(want, got, r.Limits().Vocab)
			if err != nil {
				t.Fatal(err)
			}
			if invariant && !slices.Equal(got, want) || l.Top1 < 1-1e-9 || !(l.MeanKL <= 4*7.7e-6) {
				t.Errorf("prompt %d, invariant %v: %v against the prompt in one step", i, invariant, l)
			}
		}
	}
}

// TestEmber compares the fast device's logits with logits computed exactly from the file's weights. What differs
// is the quantization of activations to 8 bits, whose steps are about those of Q8_0. It must cost no more than four
// times what quantizing the weights to Q8_0 did, on average 7.7e-6 against the unquantized model, and no more than
// the quantization to Q4_K_M did, 1.4e-4, in that file.
func TestEmber(t *testing.T) {
	ids := prompts(t)
	for typ, bound := range map[string]float64{"Q8_0": 4 * 7.7e-6, "Q4_K_M": 1.4e-4} {
		r, _ := openEmber(t, typ, cpu.New(cpu.Options{}), runner.Options{})
		for _, i := range []int{0, 2} {
			b, err := os.ReadFile(filepath.Join("../../testdata/ember", fmt.Sprintf("ember-%s.logits_%d.f32", typ, i)))
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, len(b)/4)
			for j := range want {
				want[j] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*j:]))
			}
			for _, chunk := range []int{512, 7, 1} {
				l, err := conformance.CompareLogits(want, logits(t, r, ids[i], chunk), r.Limits().Vocab)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s prompt %d chunk %d: %v", typ, i, chunk, l)
				if !(l.MeanKL <= bound) || l.Top1 < 1-1e-9 {
					t.Errorf("%s prompt %d chunk %d: %v, want a mean KL of at most %g and top-1 100 %%", typ, i, chunk,
						l, bound)
				}
			}
		}
	}
}

// TestEmberBits checks that logits do not depend on the threads, nor on what else is in the batch, nor on how a
// prompt is cut into steps.
func TestEmberBits(t *testing.T) {
	for _, l := range simd.Levels() {
		restore, ok := simd.Force(l)
		if !ok {
			t.Logf("SKIPPED: no %v", l)
			continue
		}
		if testing.Short() && l != simd.AVX2 {
			t.Logf("SKIPPED: -short leaves Ember with most levels of vector instructions to make long: %v", l)
			restore()
			continue
		}
		t.Run(l.String(), emberBits)
		restore()
	}
}

func emberBits(t *testing.T) {
	ids := prompts(t)
	a, b := slices.Concat(ids[0], ids[1]), ids[2][:36] // on tiles, alone too
	same := func(name string, got, want []float32) {
		t.Helper()
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%s: logit %d is %v, want %v", name, i, got[i], want[i])
			}
		}
	}
	for typ := range emberFiles {
		var wantA, wantB []float32
		for threads := 1; threads <= 3; threads++ {
			r, _ := openEmber(t, typ, cpu.New(cpu.Options{Threads: threads}), runner.Options{Seqs: 2})
			gotA, gotB := append([]float32(nil), logits(t, r, a, 512)...),
				append([]float32(nil), logits(t, r, b, 512)...)
			if wantA == nil {
				wantA, wantB = gotA, gotB
			}
			same(fmt.Sprintf("%s, %d threads", typ, threads), gotA, wantA)
			same(fmt.Sprintf("%s, %d threads", typ, threads), gotB, wantB)
			chunks := []int{1, 9}
			if simd.RoundsColumns() { // steps of few tokens have other products
				chunks = []int{18}
			}
			for _, chunk := range chunks {
				if simd.Current() == simd.Generic {
					t.Log("SKIPPED: without vector instructions some ops have the reference's kernels, which depend on the cuts")
					break
				}
				same(fmt.Sprintf("%s, steps of %d", typ, chunk), logits(t, r, b, chunk), wantB)
			}
			sa, err := r.Open()
			if err != nil {
				t.Fatal(err)
			}
			sb, err := r.Open()
			if err != nil {
				t.Fatal(err)
			}
			rows, err := r.Step(t.Context(),
				[]runner.Work{{Seq: sb, Tokens: b, Rows: len(b)}, {Seq: sa, Tokens: a, Rows: len(a)}})
			if err != nil {
				t.Fatal(err)
			}
			same(typ+" in a batch", rows[0], wantB)
			same(typ+" in a batch", rows[1], wantA)
		}
	}
}

// BenchmarkEmber measures steps of one token and of many.
func BenchmarkEmber(b *testing.B) {
	for _, typ := range []string{"Q8_0", "Q4_K_M"} {
		for name, open := range map[string]func() ops.Device{
			"ref": func() ops.Device { return opsref.New(opsref.Options{}) },
			"cpu": func() ops.Device { return cpu.New(cpu.Options{}) },
		} {
			for _, tokens := range []int{1, 128} {
				b.Run(fmt.Sprintf("%s/%s/tokens%d", typ, name, tokens), func(b *testing.B) {
					r, dev := openEmber(b, typ, open(), runner.Options{})
					id, err := r.Open()
					if err != nil {
						b.Fatal(err)
					}
					ids := make([]int32, tokens)
					for i := range ids {
						ids[i] = int32(i%200 + 5)
					}
					step(b, r, id, ids)
					for b.Loop() {
						if err := dev.again(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
				})
			}
		}
	}
}

// TestDecodeAllocatesNothing runs the plan of a decoding step.
func TestDecodeAllocatesNothing(t *testing.T) {
	if simd.Current() == simd.Generic {
		t.Skip("SKIPPED: without vector instructions some ops have the reference's kernels, which allocate")
	}
	for typ := range emberFiles {
		r, dev := openEmber(t, typ, cpu.New(cpu.Options{}), runner.Options{})
		id, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		step(t, r, id, prompts(t)[0])
		step(t, r, id, []int32{5})
		if n := testing.AllocsPerRun(20, func() {
			if err := dev.again(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per token", typ, n)
		}
	}
}
