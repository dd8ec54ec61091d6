package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/tap"
	"github.com/hipengine/hipengine/tensor"
)

// tapped is a value of a model's graph that both devices computed.
type tapped struct {
	node   *ops.Node
	result int
	x      []float64
}

// tap runs the model on the device and on the reference with every value of the graph as an output, a prefill and
// then one token more, and describes the first node whose result departs: whose NMSE is more than errorFactor times
// what the nodes up to it may add up to.
func (s *suite) tap(ctx context.Context, model models.Model, src models.Source, prompt []int32) string {
	want, err := tapAll(ctx, s.ref, model, src, prompt)
	if err != nil {
		return fmt.Sprintf("tap: reference: %v", err)
	}
	got, err := tapAll(ctx, s.dev, model, src, prompt)
	if err != nil {
		return fmt.Sprintf("tap: %v", err)
	}
	for step := range got {
		var floor float64
		for i, w := range want[step] {
			floor += deviceFloor(s.dev, w.node, nil)
			e := NMSE(w.x, got[step][i].x)
			if !(e <= errorFactor*floor) {
				return fmt.Sprintf("the first node to depart, in step %d, is %d: %v at %s, result %d: NMSE %.3g, the nodes so far may add %.3g",
					step+1, w.node.ID, w.node, w.node.Pos, w.result, e, floor)
			}
		}
	}
	return "tap: no node departs when all values are outputs: the defect lies in what the device fuses, or in memory that values share"
}

// tapAll returns the F32 results of all nodes, for a step of all but the last token of the prompt and one of the last, or
// for one step of an encoder.
// A step whose logits are not numbers is the last.
func tapAll(ctx context.Context, dev ops.Device, model models.Model, src models.Source,
	prompt []int32) (steps [][]tapped, err error) {
	dev = &tap.Device{Device: dev, Tap: func(g *ops.Graph) ([]ops.Value, func([][]byte) error) {
		values, results := floatResults(g)
		return values, func(data [][]byte) error {
			step := slices.Clone(results)
			for i := range step {
				step[i].x = float64s(toFloat32s(data[i]))
			}
			steps = append(steps, step)
			return nil
		}
	}}
	l, err := load(ctx, dev, model, src)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r, err := l.runner(1, tensor.Invalid, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	id, err := r.Open()
	if err != nil {
		return nil, err
	}
	parts := [][]int32{prompt}
	if last := len(prompt) - 1; !r.Limits().Encoder {
		parts = [][]int32{prompt[:last], prompt[last:]}
	}
	for i, ids := range parts {
		_, err := step(ctx, r, []runner.Work{{Seq: id, Tokens: ids, Rows: len(ids)}})
		switch {
		case err != nil && len(steps) > i:
			return steps, nil
		case err != nil:
			return nil, err
		}
	}
	return steps, nil
}

// floatResults returns the F32 results of all nodes that compute something.
func floatResults(g *ops.Graph) (values []ops.Value, results []tapped) {
	for _, n := range g.Nodes {
		if n.Op == nil || n.Op.View {
			continue
		}
		for r, typ := range n.Out {
			if typ.DType == tensor.F32 && n.Op.Storage(r) < 0 {
				values = append(values, n.Result(r))
				results = append(results, tapped{node: n, result: r})
			}
		}
	}
	return values, results
}
