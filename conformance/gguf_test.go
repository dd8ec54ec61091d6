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
	"github.com/hipengine/hipengine/ops/tap"
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
			if testing.Short() && name != "llamaspm-Q4_K_M" && name != "qwen35moe-Q4_K_M" {
				t.Skip("SKIPPED: -short leaves most models and types to make long")
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
			r, routers := openTapped(t, path, runner.Options{Context: 128})
			vocab := r.Limits().Vocab
			chunks := []int{len(fix.Tokens), 7, 1}
			if testing.Short() {
				chunks = chunks[1:2] // the greedy tokens below are steps of one
				t.Log("SKIPPED: -short leaves some cuts of the prompt to make long")
			}
			for _, chunk := range chunks {
				routers.margins = nil
				got := logits(t, r, fix.Tokens, chunk)
				if n := len(routers.margins); n != 0 && n != len(fix.Tokens) {
					t.Fatalf("router decisions seen for %d tokens of %d", n, len(fix.Tokens))
				}
				clear := len(fix.Tokens)
				for i, m := range routers.margins {
					if m < 1e-5 {
						t.Logf("chunk %d: router decision at position %d is within %.3g of a tie", chunk, i, m)
						clear = min(clear, i)
					}
				}
				if len(routers.margins) > 0 {
					t.Logf("chunk %d: smallest router margin %.3g", chunk, slices.Min(routers.margins))
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

// routerTap notes how clear the decisions of all routers are: for each token, the least difference between the logits
// of the last expert chosen and the first not chosen, over all layers.
type routerTap struct {
	margins []float64 // by token, over all runs since the last reset
}

// device returns dev with its routers watched.
func (t *routerTap) device(dev ops.Device) ops.Device { return &tap.Device{Device: dev, Tap: t.tap} }

func (t *routerTap) tap(g *ops.Graph) (logits []ops.Value, see func([][]byte) error) {
	var used []int // experts per token, by router
	for _, n := range g.Nodes {
		if n.Op == ops.RouteOp {
			logits = append(logits, n.In[0])
			used = append(used, n.Attrs.(ops.RouteAttrs).K)
		}
	}
	return logits, func(data [][]byte) error {
		var margins []float64
		for i, k := range used {
			experts, x := logits[i].Shape().Last(), data[i]
			for tok := range logits[i].Shape().Rows() {
				row := make([]float64, experts)
				for j := range row {
					row[j] = float64(math.Float32frombits(binary.LittleEndian.Uint32(x[4*(tok*experts+j):])))
				}
				slices.Sort(row)
				if i == 0 {
					margins = append(margins, math.Inf(1))
				}
				if k < experts {
					margins[tok] = min(margins[tok], row[experts-k]-row[experts-k-1])
				}
			}
		}
		t.margins = append(t.margins, margins...)
		return nil
	}
}
