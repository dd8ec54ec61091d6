package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
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
	for step := range want {
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

// tapAll returns the F32 results of all nodes, for a step of all but the last token of the prompt and one of the last.
func tapAll(ctx context.Context, dev ops.Device, model models.Model, src models.Source, prompt []int32) (steps [][]tapped, err error) {
	l, err := load(ctx, dev, model, src)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	pages := models.Bucket((len(prompt) + runner.PageSize - 1) / runner.PageSize)
	states, err := l.states(pages)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, freeAll(states)) }()
	last := len(prompt) - 1
	prefill, err := l.tapStep(ctx, prompt[:last], 0, pages, states)
	if err != nil {
		return nil, err
	}
	decode, err := l.tapStep(ctx, prompt[last:], last, pages, states)
	return [][]tapped{prefill, decode}, err
}

// tapStep runs one step whose first token has position pos.
func (l *loaded) tapStep(ctx context.Context, ids []int32, pos, pages int, states map[string]tensor.Tensor) (vs []tapped, err error) {
	g, _, err := l.graph(len(ids), pages, states)
	if err != nil {
		return nil, err
	}
	var outs []ops.Value
	for _, n := range g.Nodes {
		if n.Op == nil || n.Op.View {
			continue
		}
		for r, typ := range n.Out {
			if typ.DType == tensor.F32 && n.Op.Storage(r) < 0 {
				outs = append(outs, n.Result(r))
				vs = append(vs, tapped{node: n, result: r})
			}
		}
	}
	p, err := l.dev.Compile(g, nil, outs...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	st, err := l.dev.Stream()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	table := make([]int32, pages)
	for i := range table {
		table[i] = int32(i)
	}
	windows := l.model.State().Windows()
	var index models.Index
	index.Reset(windows, pages)
	index.Add(models.Span{Tokens: ids, Pos: pos, Rows: len(ids), Tables: slices.Repeat([][]int32{table}, len(windows))})
	if err := errors.Join(index.Upload(st, p), st.Run(p)); err != nil {
		return nil, err
	}
	raw := make([][]byte, len(vs))
	for i, o := range outs {
		raw[i] = make([]byte, 4*o.Shape().Elems())
		if err := st.Download(raw[i], p.Output(i)); err != nil {
			return nil, err
		}
	}
	if err := st.Sync(ctx); err != nil {
		return nil, err
	}
	for i := range vs {
		vs[i].x = float64s(toFloat32s(raw[i]))
	}
	return vs, nil
}
