package hf

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// reference is a file of exact results beside a fixture.
type reference struct {
	t  *testing.T
	ts *tensors
}

func openReference(t *testing.T, dir string) reference {
	t.Helper()
	ts := &tensors{byName: map[string]*stored{}}
	if err := ts.add(dir, "reference.safetensors", nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ts.close() })
	return reference{t, ts}
}

// words returns the 4-byte elements of a tensor.
func (r reference) words(name string) []uint32 {
	r.t.Helper()
	s := r.ts.byName[name]
	if s == nil || s.dtype != "F32" && s.dtype != "I32" {
		r.t.Fatalf("reference has no 4-byte tensor %q", name)
	}
	b := make([]byte, s.size)
	if err := s.read(b, 0); err != nil {
		r.t.Fatal(err)
	}
	out := make([]uint32, len(b)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out
}

func (r reference) ids(name string) (out []int32) {
	for _, w := range r.words(name) {
		out = append(out, int32(w))
	}
	return out
}

func (r reference) floats(name string) (out []float32) {
	for _, w := range r.words(name) {
		out = append(out, math.Float32frombits(w))
	}
	return out
}

// startRunner loads a folder on the scalar reference.
func startRunner(t *testing.T, f *Folder) *runner.Runner {
	t.Helper()
	m, err := models.New(f.Meta)
	var unknown *models.UnknownArchError
	if errors.As(err, &unknown) {
		t.Skipf("SKIPPED: the mapping is checked, but nothing here runs architecture %q", unknown.Arch)
	}
	if err != nil {
		t.Fatal(err)
	}
	dev := opsref.New(opsref.Options{Threads: 1})
	t.Cleanup(func() { dev.Close() })
	w, err := models.LoadWeights(t.Context(), m, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Free() })
	r, err := runner.New(dev, m, w, runner.Options{Context: 128})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// steps runs ids through a new sequence and n greedy tokens after them. It returns the logits of ids and the tokens.
func steps(t *testing.T, r *runner.Runner, ids []int32, n int) (all []float32, greedy []int32) {
	t.Helper()
	seq, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(seq)
	rows, err := r.Step(t.Context(), []runner.Work{{Seq: seq, Tokens: ids, Rows: len(ids)}})
	if err != nil {
		t.Fatal(err)
	}
	all = slices.Clone(rows[0])
	last := all[len(all)-r.Limits().Vocab:]
	for range n {
		greedy = append(greedy, logits.Argmax(last))
		if rows, err = r.Step(t.Context(),
			[]runner.Work{{Seq: seq, Tokens: greedy[len(greedy)-1:], Rows: 1}}); err != nil {
			t.Fatal(err)
		}
		last = rows[0]
	}
	return all, greedy
}

// TestEmber runs the built-in model from its folder against PyTorch's logits and replies.
func TestEmber(t *testing.T) {
	dir := testfiles.Path(t, "builtin-model")
	f := openFolder(t, dir)
	ref, r := openReference(t, dir), startRunner(t, f)
	for _, i := range []string{"0", "2"} {
		want, reply := ref.floats("logits_"+i), ref.ids("greedy_"+i)
		got, greedy := steps(t, r, ref.ids("ids_"+i), len(reply))
		rms := logits.RelativeRMS(want, got)
		t.Logf("prompt %s: relative RMS %.2g over %d logits, reply of %d tokens", i, rms, len(got), len(reply))
		if !(rms <= 2e-5) || !slices.Equal(greedy, reply) {
			t.Errorf("prompt %s: relative RMS %g, reply %v, want %v", i, rms, greedy, reply)
		}
	}
}
