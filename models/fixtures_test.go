package models_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// reference holds the 4-byte tensors of a reference.safetensors.
type reference map[string][]uint32

func readReference(t *testing.T, dir string) reference {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	ref := reference{}
	for name, x := range tensors {
		words := make([]uint32, len(x.Data)/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(x.Data[4*i:])
		}
		ref[name] = words
	}
	return ref
}

func (r reference) ids(t *testing.T, name string) []int32 {
	t.Helper()
	if len(r[name]) == 0 {
		t.Fatalf("the reference has no %q", name)
	}
	out := make([]int32, len(r[name]))
	for i, w := range r[name] {
		out[i] = int32(w)
	}
	return out
}

func (r reference) floats(t *testing.T, name string) []float32 {
	t.Helper()
	if len(r[name]) == 0 {
		t.Fatalf("the reference has no %q", name)
	}
	return toFloats(r[name])
}

func toFloats(words []uint32) []float32 {
	out := make([]float32, len(words))
	for i, w := range words {
		out[i] = math.Float32frombits(w)
	}
	return out
}

// hidden runs ids as one step and returns the residual stream that enters the first layer and leaves each layer, the
// last one after the final norm, as the transformers library returns it.
func hidden(t *testing.T, dev ops.Device, m *nn.Decoder, w models.Weights, ids []int32) [][]float32 {
	t.Helper()
	const page = 32
	n := len(ids)
	pages := (n + page - 1) / page
	b := models.Batch{States: map[string]tensor.Tensor{}}
	state := func(name string, shape ...int) {
		size, err := tensor.Bytes(tensor.F32, shape)
		if err != nil {
			t.Fatal(err)
		}
		buf, err := dev.Alloc(size, ops.MemState)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { buf.Free() })
		b.States[name] = tensor.Tensor{Name: name, DType: tensor.F32, Shape: shape, Buf: buf}
	}
	for _, p := range m.State().Paged {
		state(p.Name, pages, page, p.Heads, p.Dim)
	}
	for _, s := range m.State().Slots {
		state(s.Name, append([]int{1}, s.Shape...)...)
	}

	g := &ops.Graph{}
	input := func(name string, shape ...int) ops.Value { return g.Input(name, tensor.I32, shape...) }
	b.Tokens, b.Pos, b.Seq, b.Pages = input("tokens", n), input("pos", n), input("seq", n), input("pages", 1, pages)
	b.Starts, b.Slots, b.Rows = input("starts", 2), input("slots", 1), input("rows", 1)
	data := map[string][]int32{"tokens": ids, "seq": make([]int32, n), "starts": {0, int32(n)}, "slots": {0}, "rows": {0}}
	for i := range max(n, pages) {
		if i < n {
			data["pos"] = append(data["pos"], int32(i))
		}
		if i < pages {
			data["pages"] = append(data["pages"], int32(i))
		}
	}
	var taps []ops.Value
	b.Tap = func(layer int, h ops.Value) {
		if layer != len(taps) {
			t.Errorf("tap of layer %d after %d others", layer, len(taps))
		}
		taps = append(taps, h)
	}
	m.Build(g, w, b)
	if len(taps) != m.Params().Layers+1 {
		t.Fatalf("%d taps of %d layers", len(taps), m.Params().Layers)
	}
	taps[len(taps)-1] = nn.RMSNorm(g, w, "output_norm", taps[len(taps)-1], m.Eps)
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	p, err := dev.Compile(g, taps...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s, err := dev.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, v := range data {
		in, ok := p.Input(name)
		if !ok {
			continue // the outputs do not need it
		}
		raw := make([]byte, 4*len(v))
		for i, x := range v {
			binary.LittleEndian.PutUint32(raw[4*i:], uint32(x))
		}
		if err := s.Upload(in, raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Run(p); err != nil {
		t.Fatal(err)
	}
	var out [][]float32
	for i := range taps {
		raw := make([]byte, 4*n*m.Params().Embd)
		if err := s.Download(raw, p.Output(i)); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		words := make([]uint32, len(raw)/4)
		for j := range words {
			words[j] = binary.LittleEndian.Uint32(raw[4*j:])
		}
		out = append(out, toFloats(words))
	}
	return out
}

// greedy runs ids through a new sequence and n greedy tokens after them, none of which is among banned. It returns
// the logits of ids and the tokens.
func greedy(t *testing.T, r *runner.Runner, ids []int32, n int, banned []int32) (all []float32, next []int32) {
	t.Helper()
	seq, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(seq)
	work := runner.Work{Seq: seq, Tokens: ids, Rows: len(ids)}
	for {
		rows, err := r.Step(t.Context(), []runner.Work{work})
		if err != nil {
			t.Fatal(err)
		}
		if all == nil {
			all = slices.Clone(rows[0])
		}
		if len(next) == n {
			return all, next
		}
		last := slices.Clone(rows[0][len(rows[0])-r.Limits().Vocab:])
		for _, id := range banned {
			last[id] = float32(math.Inf(-1))
		}
		next = append(next, logits.Argmax(last))
		work = runner.Work{Seq: seq, Tokens: next[len(next)-1:], Rows: 1}
	}
}

// maxRMS is what float32 arithmetic in another order than PyTorch's is allowed to change. Models go wrong by 1e-3 and
// more.
const maxRMS = 2e-5

// TestPyTorch compares tiny models with PyTorch in float32, as their folders are, and as the files that convert makes
// of them. Their weights are BF16, which files of BF16 and F32 hold exactly, so that the bounds are those of
// arithmetic. (A folder of F32 is another matter: rounding it to BF16 moves each weight by up to 2^-9 of itself and the
// logits by some 1e-3.)
func TestPyTorch(t *testing.T) {
	for _, name := range testfiles.Models {
		t.Run(name, func(t *testing.T) {
			dir := testfiles.Model(t, name)
			f := openFolder(t, dir)
			ref := readReference(t, dir)
			t.Run("folder", func(t *testing.T) { compareWithPyTorch(t, ref, f.Meta, f, f.Vocab.ExtraEOG, maxRMS) })
			for _, typ := range []convert.FType{convert.BF16, convert.F32} {
				t.Run(typ.String(), func(t *testing.T) {
					g := convertFolder(t, dir, typ)
					compareWithPyTorch(t, ref, g.Meta, g, f.Vocab.ExtraEOG, maxRMS)
				})
			}
		})
	}
}

// compareWithPyTorch runs a model and compares logits and the residual stream of every layer within a relative RMS,
// the best token everywhere, and 24 greedy tokens, whose reference was made without those in banned, which end a
// generation.
func compareWithPyTorch(t *testing.T, ref reference, meta *gguf.Meta, src models.Source, banned []int32, maxRMS float64) {
	m, ok := newModel(t, meta).(*nn.Decoder)
	if !ok {
		t.Fatal("the model is no nn.Decoder")
	}
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()
	w, err := models.LoadWeights(t.Context(), m, src, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Free()
	r, err := runner.New(dev, m, w, runner.Options{Context: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	worst, at := 0.0, 0
	for i, got := range hidden(t, dev, m, w, ref.ids(t, "ids_48")) {
		rms := logits.RelativeRMS(ref.floats(t, "hidden_"+strconv.Itoa(i)), got)
		if rms > worst || math.IsNaN(rms) {
			worst, at = rms, i
		}
		if !(rms <= maxRMS) {
			t.Errorf("residual stream %d: relative RMS %.3g", i, rms)
		}
	}
	t.Logf("residual stream: relative RMS at most %.2g, at %d", worst, at)
	for _, n := range []string{"1", "9", "48"} {
		var want []int32
		if n == "9" {
			want = ref.ids(t, "greedy_9")
		}
		got, next := greedy(t, r, ref.ids(t, "ids_"+n), len(want), banned)
		exact := ref.floats(t, "logits_"+n)
		rms := logits.RelativeRMS(exact, got)
		t.Logf("%s tokens: relative RMS of logits %.2g", n, rms)
		if !(rms <= maxRMS) {
			t.Errorf("%s tokens: relative RMS of logits %.3g", n, rms)
		}
		for i := 0; i < len(exact) && len(got) == len(exact); i += m.Vocab {
			if a, b := logits.Argmax(exact[i:i+m.Vocab]), logits.Argmax(got[i:i+m.Vocab]); a != b {
				t.Errorf("%s tokens: best token %d at %d, want %d", n, b, i/m.Vocab, a)
			}
		}
		if !slices.Equal(next, want) {
			t.Errorf("greedy tokens\n%v, want\n%v", next, want)
		}
	}
}
