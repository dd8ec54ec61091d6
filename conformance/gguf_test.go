package conformance_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// ggufFixture is the JSON beside a tiny GGUF model: a prompt and the tokens that follow greedily.
type ggufFixture struct {
	Tokens, Greedy []int32
}

// TestGGUFLogits checks models of every architecture against logits computed exactly from the dequantized weights
// of the same file, however the prompt is cut into steps. Positions at which a router's decision is within 1e-5 of a
// tie, and those after them, are left out: rounding may pick the other expert there.
func TestGGUFLogits(t *testing.T) {
	t.Parallel()
	for _, name := range testfiles.GGUFs {
		t.Run(name, func(t *testing.T) {
			if !strings.HasSuffix(name, "Q4_K_M") && testing.Short() {
				t.Skip("SKIPPED: -short leaves most types of the same model to make long")
			}
			path := testfiles.GGUF(t, name)
			base := strings.TrimSuffix(path, ".gguf")
			var fix ggufFixture
			b, err := os.ReadFile(base + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &fix); err != nil {
				t.Fatal(err)
			}
			want := readFloats(t, base+".logits.f32")
			r, tap := openTapped(t, path, runner.Options{Context: 128})
			vocab := r.Limits().Vocab
			chunks := []int{len(fix.Tokens), 7, 1}
			if testing.Short() {
				chunks = chunks[1:2] // the greedy tokens below are steps of one
				t.Log("SKIPPED: -short leaves some cuts of the prompt to make long")
			}
			for _, chunk := range chunks {
				tap.margins = nil
				got := logits(t, r, fix.Tokens, chunk)
				if n := len(tap.margins); n != 0 && n != len(fix.Tokens) {
					t.Fatalf("router decisions seen for %d tokens of %d", n, len(fix.Tokens))
				}
				clear := len(fix.Tokens)
				for i, m := range tap.margins {
					if m < 1e-5 {
						t.Logf("chunk %d: router decision at position %d is within %.3g of a tie", chunk, i, m)
						clear = min(clear, i)
					}
				}
				if len(tap.margins) > 0 {
					t.Logf("chunk %d: smallest router margin %.3g", chunk, slices.Min(tap.margins))
				}
				l, err := conformance.CompareLogits(want[:clear*vocab], got[:clear*vocab], vocab)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("chunk %d: %v", chunk, l)
				if !(l.WorstKL < 1e-6) || l.Top1 < 1-1e-9 {
					t.Errorf("chunk %d: want worst KL < 1e-6 and top-1 100 %%: %v", chunk, l)
				}
			}
			if got := greedy(t, r, fix.Tokens, len(fix.Greedy)); !slices.Equal(got, fix.Greedy) {
				t.Errorf("greedy continuation %v, want %v", got, fix.Greedy)
			}
		})
	}
}

// greedy returns the n most likely tokens after ids, each fed back.
func greedy(t *testing.T, r *runner.Runner, ids []int32, n int) []int32 {
	t.Helper()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(id)
	var out []int32
	for range n {
		rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: ids, Rows: 1}})
		if err != nil {
			t.Fatal(err)
		}
		ids = []int32{int32(slices.Index(rows[0], slices.Max(rows[0])))}
		out = append(out, ids[0])
	}
	return out
}

// routerTap is a device that notes how clear the decisions of all routers are: for each token, the least difference
// between the logits of the last expert chosen and the first not chosen, over all layers.
type routerTap struct {
	ops.Device
	margins []float64 // by token, over all runs since the last reset
}

// tappedPlan is a plan with the logits of each router as outputs behind its own.
type tappedPlan struct {
	ops.Plan
	used    []int // experts per token, by router
	routers int   // index of the first router among the outputs
}

func (d *routerTap) Compile(g *ops.Graph, outs ...ops.Value) (ops.Plan, error) {
	p := &tappedPlan{routers: len(outs)}
	for _, n := range g.Nodes {
		if n.Op == ops.RouteOp {
			outs = append(outs, n.In[0])
			p.used = append(p.used, n.Attrs.(ops.RouteAttrs).K)
		}
	}
	var err error
	p.Plan, err = d.Device.Compile(g, outs...)
	return p, err
}

func (d *routerTap) Stream() (ops.Stream, error) {
	s, err := d.Device.Stream()
	return &tappedStream{s, d}, err
}

type tappedStream struct {
	ops.Stream
	tap *routerTap
}

func (s *tappedStream) Run(plan ops.Plan) error {
	p := plan.(*tappedPlan)
	if err := s.Stream.Run(p.Plan); err != nil {
		return err
	}
	var margins []float64
	for i, k := range p.used {
		t := p.Output(p.routers + i)
		x, err := s.floats(t)
		if err != nil {
			return err
		}
		experts := t.Shape.Last()
		for tok := range t.Shape.Rows() {
			row := x[tok*experts : (tok+1)*experts]
			slices.Sort(row)
			if i == 0 {
				margins = append(margins, math.Inf(1))
			}
			if k < experts {
				margins[tok] = min(margins[tok], row[experts-k]-row[experts-k-1])
			}
		}
	}
	s.tap.margins = append(s.tap.margins, margins...)
	return nil
}

func (s *tappedStream) floats(t tensor.Tensor) ([]float64, error) {
	raw := make([]byte, 4*t.Shape.Elems())
	if err := s.Download(raw, t); err != nil {
		return nil, err
	}
	x := make([]float64, len(raw)/4)
	for i := range x {
		x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return x, nil
}
