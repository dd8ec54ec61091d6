package nn

import (
	"math"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Temperature sharpens attention far from the start of a sequence: the query at position p is multiplied by
// 1 + Scale·ln(1 + floor(p/Length)). The factors are a table over positions that is computed at load.
type Temperature struct {
	Scale   float64
	Length  int // tokens for which nothing changes
	Context int // positions in the table
}

// maxTemperature bounds the table, which no tensor of the file backs, in positions.
const maxTemperature = 1 << 22

const temperatureTable = "attn_temperature"

// Specs adds the table.
func (t *Temperature) Specs(s *Specs) {
	s.Add(models.WeightSpec{Name: temperatureTable, Shape: tensor.Shape{t.Context, 1}, Vector: true,
		Derive: func([][]float32) ([]float32, error) {
			out := make([]float32, t.Context)
			for p := range out {
				out[p] = float32(1 + t.Scale*math.Log(float64(1+p/t.Length)))
			}
			return out, nil
		}})
}

// Apply scales q, [tokens, heads, head dim], by the positions of b.
func (t *Temperature) Apply(g *ops.Graph, w models.Weights, b models.Batch, q ops.Value) ops.Value {
	s := q.Shape()
	if len(s) != 3 {
		return q // g has failed already
	}
	factors := ops.Embed(g, w.Model().Get(g, temperatureTable), b.Pos)
	q = ops.WeightedSum(g, ops.Reshape(g, q, s[0], 1, s[1]*s[2]), factors)
	return ops.Reshape(g, q, s[0], s[1], s[2])
}

// ReadTemperature reads attention.temperature_scale, without which there is none, and attention.temperature_length,
// by default rope.scaling.original_context_length. The table joins d.
func ReadTemperature(k *models.Keys, d *Decoder) *Temperature {
	scale := k.FloatOr("attention.temperature_scale", 0, 0, 1e6)
	if scale == 0 {
		return nil
	}
	if d.Context > maxTemperature {
		k.Fail("context_length %d is more than %d, the limit with attention.temperature_scale", d.Context,
			maxTemperature)
		return nil
	}
	length := k.IntOr("rope.scaling.original_context_length", d.Context, 1, models.MaxContext)
	d.Temperature = &Temperature{scale, k.IntOr("attention.temperature_length", length, 1, models.MaxContext),
		d.Context}
	return d.Temperature
}
