package hipengine

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// draftReference is what PyTorch made with Ember's draft layer of sequences whose tokens and hidden states are given.
type draftReference struct {
	tensors map[string]safetensors.Tensor
	rows    []int // that each tensor of logits holds
}

func readDraftReference(t *testing.T, dir string) draftReference {
	t.Helper()
	var doc struct{ Rows []int }
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(b, &doc)
	}
	if err == nil {
		b, err = os.ReadFile(filepath.Join(dir, "reference.safetensors"))
	}
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return draftReference{tensors, doc.Rows}
}

func (r draftReference) ints(name string) []int32 {
	b := r.tensors[name].Data
	out := make([]int32, len(b)/4)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

func (r draftReference) floats(name string) []float32 {
	b := r.tensors[name].Data
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// draftLayer is a model's draft layer on a device, in a graph of its own.
type draftLayer struct {
	t       *testing.T
	dev     ops.Device
	stream  ops.Stream
	model   *models.Drafting
	weights models.Weights
	states  map[string]tensor.Tensor

	invariant bool // of graphs
	vocab     int  // tokens whose logits are wanted; 0: all
}

func openDraftLayer(t *testing.T, device string, meta *gguf.Meta, src models.Source, pages int) *draftLayer {
	t.Helper()
	h, err := NewHost(HostOptions{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	d, err := h.device(t.Context(), device, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.users.Done)
	m, err := models.New(meta)
	if err != nil {
		t.Fatal(err)
	}
	l := &draftLayer{t: t, dev: d.ops, states: map[string]tensor.Tensor{}}
	if l.model, err = models.WithDrafts(m); err != nil {
		t.Fatal(err)
	}
	if l.weights, err = models.LoadWeights(t.Context(), l.model, src, l.dev, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.weights.Free() })
	if l.stream, err = l.dev.Stream(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.stream.Close() })
	ts, err := l.model.DraftState().Tensors(kv.Storage{Pages: func(int) int { return pages }, Slots: 1,
		KVType: tensor.F32, Type: tensor.F32})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range ts {
		n, err := tensor.Bytes(s.DType, s.Shape)
		if err == nil {
			s.Buf, err = l.dev.Alloc(n, ops.MemState)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Buf.Free() })
		l.states[s.Name] = s
	}
	return l
}

// entries are what passes of the layer are made of: for each pass, the token, place and sequence of each entry.
type entries struct {
	tokens, pos, seq [][]int32
	tables           []int32   // [sequences, width]
	hidden           []float32 // of the first pass
}

// run makes the passes, each of which reads the hidden states of the one before it, and returns the logits of each; or
// only writes keys and values.
func (l *draftLayer) run(e entries, seqs int, outputs bool) [][]float32 {
	l.t.Helper()
	g := &ops.Graph{Invariant: l.invariant}
	n, embd := len(e.tokens[0]), l.model.Params().Embd
	b := models.DraftBatch{Batch: models.Batch{States: l.states, Updated: map[string]ops.Value{}}}
	b.Pages = []models.PageGroup{{Table: g.Input("pages", tensor.I32, seqs, len(e.tables)/seqs)}}
	b.Hidden, b.Vocab = g.Input("hidden", tensor.F32, n, embd), l.vocab
	var outs []ops.Value
	for i := range e.tokens {
		b.Tokens = g.Input(fmt.Sprint("tokens", i), tensor.I32, n)
		b.Pos, b.Seq = g.Input(fmt.Sprint("pos", i), tensor.I32, n), g.Input(fmt.Sprint("seq", i), tensor.I32, n)
		out := l.model.Draft(g, l.weights, b)
		outs, b.Hidden = append(outs, out.Logits), out.Hidden
	}
	if !outputs {
		outs = nil
	}
	p, err := l.dev.Compile(g, nil, outs...)
	if err != nil {
		l.t.Fatal(err)
	}
	defer p.Close()
	upload := func(name string, data any) {
		raw, err := binary.Append(nil, binary.LittleEndian, data)
		if t, ok := p.Input(name); err == nil && ok {
			err = l.stream.Upload(t, raw)
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
	upload("pages", e.tables)
	upload("hidden", e.hidden)
	for i := range e.tokens {
		upload(fmt.Sprint("tokens", i), e.tokens[i])
		upload(fmt.Sprint("pos", i), e.pos[i])
		upload(fmt.Sprint("seq", i), e.seq[i])
	}
	if err := l.stream.Run(p); err != nil {
		l.t.Fatal(err)
	}
	raws := make([][]byte, len(outs))
	for i := range outs {
		raws[i] = make([]byte, 4*n*cmp.Or(l.vocab, l.model.Params().Vocab))
		if err := l.stream.Download(raws[i], p.Output(i)); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := l.stream.Sync(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	all := make([][]float32, len(outs))
	for i, raw := range raws {
		all[i] = make([]float32, len(raw)/4)
		if _, err := binary.Decode(raw, binary.LittleEndian, all[i]); err != nil {
			l.t.Fatal(err)
		}
	}
	return all
}

// only returns the entries of one sequence.
func (e entries) only(seq int32, embd int) entries {
	out := entries{tables: e.tables}
	for i := range e.tokens {
		at := slices.Index(e.seq[i], seq)
		out.tokens, out.pos = append(out.tokens, e.tokens[i][at:at+1]), append(out.pos, e.pos[i][at:at+1])
		out.seq = append(out.seq, e.seq[i][at:at+1])
		if i == 0 {
			out.hidden = e.hidden[at*embd:][:embd]
		}
	}
	return out
}

// How drafts are made for TestDraftLogits.
const (
	together    = iota // of all sequences at once
	sameBits           // the same, where results may not depend on what else is in the step
	oneSequence        // of each sequence by itself, behind entries that were written as for sameBits
)

// TestDraftLogits compares the logits of Ember's draft layer, at depths one to three, with those of PyTorch: for some
// entries of two sequences, each of which goes on from all true entries before it.
//
// GPUs keep activations as floats where one token meets the weights, as in the drafts of a single sequence, or where
// results must be the same for any number of tokens. For several tokens their matrix instructions take them in half
// precision, in this layer as in all others: what is drafted then is as near as the model's own logits are. No text
// depends on it.
func TestDraftLogits(t *testing.T) {
	for _, dev := range []string{"ref", "cpu"} {
		t.Run(dev, func(t *testing.T) { checkDraftLogits(t, dev, together, 1e-4) })
	}
	for _, dev := range []string{"emu:gfx1100", "emu:gfx1201"} {
		t.Run(dev, func(t *testing.T) {
			if testing.Short() {
				t.Skip("SKIPPED: -short leaves the emulator out; make long runs it")
			}
			checkDraftLogits(t, dev, sameBits, 1e-4)
			checkDraftLogits(t, dev, oneSequence, 1e-4)
			if dev == "emu:gfx1100" {
				checkDraftLogits(t, dev, together, 3e-3) // the weights are BF16, and so is what meets them
			}
		})
	}
}

func checkDraftLogits(t *testing.T, device string, how int, most float64) {
	t.Helper()
	dir := testfiles.Path(t, "ember/mtp")
	ref := readDraftReference(t, dir)
	const width = 2 // pages of a sequence
	seqs := 2 * len(ref.rows)
	f, err := hf.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := openDraftLayer(t, device, f.Meta, f, width*seqs)
	embd, vocab := l.model.Params().Embd, l.model.Params().Vocab
	var first, chain entries
	first.tokens, first.pos, first.seq = make([][]int32, 1), make([][]int32, 1), make([][]int32, 1)
	chain.tokens, chain.pos, chain.seq = make([][]int32, 3), make([][]int32, 3), make([][]int32, 3)
	for i := range 2 {
		ids, hidden := ref.ints(fmt.Sprintf("ids_%d", i)), ref.floats(fmt.Sprintf("hidden_%d", i))
		for j, row := range ref.rows {
			seq := int32(i*len(ref.rows) + j)
			for k := range int32(width) {
				first.tables = append(first.tables, width*seq+k)
			}
			add := func(e *entries, pass, at int) { // the entry of token at+1
				e.tokens[pass] = append(e.tokens[pass], ids[at+1])
				e.pos[pass], e.seq[pass] = append(e.pos[pass], int32(at)), append(e.seq[pass], seq)
				if pass == 0 {
					e.hidden = append(e.hidden, hidden[at*embd:(at+1)*embd]...)
				}
			}
			for at := range row {
				add(&first, 0, at)
			}
			for depth := range 3 {
				add(&chain, depth, row+depth)
			}
		}
	}
	chain.tables = first.tables
	l.invariant = how != together
	l.run(first, seqs, false)
	var all [][]float32
	if how == oneSequence {
		l.invariant, all = false, make([][]float32, 3)
		for seq := range seqs {
			for depth, row := range l.run(chain.only(int32(seq), embd), seqs, true) {
				all[depth] = append(all[depth], row...)
			}
		}
	} else {
		all = l.run(chain, seqs, true)
	}
	for depth, got := range all {
		var want []float32
		for i := range 2 {
			want = append(want, ref.floats(fmt.Sprintf("mtp%d_%d", depth+1, i))...)
		}
		if len(want) != seqs*vocab {
			t.Fatalf("%d logits for %d sequences", len(want), seqs)
		}
		rms := logits.RelativeRMS(want, got)
		t.Logf("%s: depth %d: relative RMS %.3g", device, depth+1, rms)
		if !(rms <= most) {
			t.Errorf("depth %d: relative RMS %g of the logits, want at most %g", depth+1, rms, most)
		}
	}
}

// TestFirstDraftLogits compares the logits of the first tokens, where no others are asked for, with those among all: of
// weights in the layouts that devices choose, for one token and for several.
func TestFirstDraftLogits(t *testing.T) {
	devices := []string{"cpu", "ref"}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves the emulator out; make long runs it")
	} else {
		devices = append(devices, "emu:gfx1100", "emu:gfx1201")
	}
	f, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, dev := range devices {
		t.Run(dev, func(t *testing.T) {
			l := openDraftLayer(t, dev, f.Meta, f, 3)
			rng, vocab := rand.New(rand.NewPCG(1, 1)), l.model.Params().Vocab
			for _, n := range []int{1, 3} {
				e := entries{tokens: make([][]int32, 1), pos: make([][]int32, 1), seq: make([][]int32, 1)}
				for i := range int32(n) {
					e.tokens[0], e.pos[0] = append(e.tokens[0], rng.Int32N(int32(vocab))), append(e.pos[0], 0)
					e.seq[0], e.tables = append(e.seq[0], i), append(e.tables, i)
				}
				for range n * l.model.Params().Embd {
					e.hidden = append(e.hidden, float32(rng.NormFloat64()))
				}
				l.vocab = 0
				all := l.run(e, n, true)[0]
				for _, l.vocab = range []int{16, 1008, 4000} {
					var want []float32
					for row := range slices.Chunk(all, vocab) {
						want = append(want, row[:l.vocab]...)
					}
					if rms := logits.RelativeRMS(want, l.run(e, n, true)[0]); !(rms <= 1e-6) {
						t.Errorf("%d tokens: relative RMS %g between the logits of the first %d tokens and those among all", n, rms,
							l.vocab)
					}
				}
			}
		})
	}
}
