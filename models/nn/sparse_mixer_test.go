package nn

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// TestSparseMixer compares choices and weights with the definition, written out.
func TestSparseMixer(t *testing.T) {
	const tokens, experts = 64, 16
	rng := rand.New(rand.NewPCG(1, 2))
	for _, jitter := range []float32{0, 0.01, 0.3, 1} {
		for _, shift := range []float64{-3, 0, 3} { // all logits negative, both signs, all positive
			x := make([]float32, tokens*experts)
			for i := range x {
				x[i] = float32(shift + 0.7*rng.NormFloat64())
			}
			copy(x, []float32{1, 2, 2, 2})           // equals: the lower is first, and the others are near
			copy(x[experts:], []float32{0, 0, 0, 0}) // 0/0 is no distance
			ids, weights := routeSparsely(t, &SparseMixer{Experts: experts, Jitter: jitter}, x)
			for i := range tokens {
				row := make([]float64, experts)
				for e := range row {
					row[e] = float64(x[i*experts+e])
				}
				for j := range 2 {
					id, w := sparseChoice(row, 2*float64(jitter))
					if got := weights[2*i+j]; ids[2*i+j] != int32(id) || !(math.Abs(float64(got)-w) <= 1e-5) {
						t.Fatalf("jitter %v, shift %v, token %d, choice %d: expert %d of weight %v, want %d of %v",
							jitter, shift, i, j, ids[2*i+j], got, id, w)
					}
					row[id] = math.Inf(-1)
				}
			}
		}
	}
}

// sparseChoice returns the expert with the largest score and its weight. Nothing is farther than far.
func sparseChoice(scores []float64, far float64) (best int, weight float64) {
	for e, s := range scores {
		if s > scores[best] {
			best = e
		}
	}
	var sum float64
	for _, s := range scores {
		if d := (scores[best] - s) / math.Max(math.Abs(s), scores[best]); !(d > far) && !math.IsInf(s, -1) {
			sum += math.Exp(s - scores[best])
		}
	}
	return best, 1 / sum
}

// mixerModel is a SparseMixer alone.
type mixerModel struct {
	block
	*SparseMixer
	tokens int
}

func (m mixerModel) Weights() []models.WeightSpec {
	var s Specs
	m.specs(&s)
	return s.List
}

func (m mixerModel) choose(g *ops.Graph, w models.Weights) (ids, weights ops.Value) {
	return m.route(g, w, g.Input("x", f32, m.tokens, m.Experts))
}

func (m mixerModel) Build(g *ops.Graph, w models.Weights, _ models.Batch) models.Outputs {
	_, weights := m.choose(g, w)
	return models.Outputs{Hidden: weights}
}

func routeSparsely(t *testing.T, mixer *SparseMixer, logits []float32) (ids []int32, weights []float32) {
	t.Helper()
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()
	n := len(logits) / mixer.Experts
	m := mixerModel{SparseMixer: mixer, tokens: n}
	w, err := models.LoadWeights(t.Context(), m, randomSource(m), dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Free()
	g := &ops.Graph{}
	a, b := m.choose(g, w)
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	out := runGraph(t, dev, g, logits, a, b)
	ids, weights = make([]int32, 2*n), make([]float32, 2*n)
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(out[0][4*i:]))
		weights[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[1][4*i:]))
	}
	return ids, weights
}
