package eval

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/tap"
	"github.com/hipengine/hipengine/tensor"
)

// Collector is a device that sums the squares of the activations that meet each matrix of a model's layers while the
// model runs on it. Plans keep the inputs of all their products in memory, about the activations of a whole step. It
// counts no padding, and serves one goroutine.
type Collector struct {
	tap.Device
	sums map[string]*sums // by name of the weight
}

// sums are the squares that met a matrix, or each matrix of a stack of experts.
type sums struct {
	values []float64
	counts []float64
}

// NewCollector returns a collector that computes on dev.
func NewCollector(dev ops.Device) *Collector {
	c := &Collector{sums: map[string]*sums{}}
	c.Device = tap.Device{Device: dev, Tap: c.tap}
	return c
}

// product is a product whose input is seen.
type product struct {
	weight  string
	experts int // 0: one matrix
	x, ids  int // values
	shape   tensor.Shape
}

// tap shows the inputs of products. One that several products share is shown once.
func (c *Collector) tap(g *ops.Graph) ([]ops.Value, func([][]byte) error) {
	var products []product
	var values []ops.Value
	place := func(v ops.Value) int {
		i := slices.Index(values, v)
		if i < 0 {
			i, values = len(values), append(values, v)
		}
		return i
	}
	for _, n := range g.Nodes {
		if n.Op != ops.MulMatOp && n.Op != ops.MulMatExpertsOp {
			continue
		}
		w := n.In[1].Node()
		if w.Leaf != ops.Weight || !strings.HasPrefix(w.Tensor.Name, "blk.") {
			continue // the output matrix is kept in a better type anyway
		}
		m := product{weight: w.Tensor.Name, x: place(n.In[0]), shape: n.In[0].Shape()}
		if n.Op == ops.MulMatExpertsOp {
			m.experts, m.ids = n.In[1].Shape()[0], place(n.In[2])
		}
		products = append(products, m)
	}
	return values, func(data [][]byte) error {
		for _, m := range products {
			if err := c.add(m, data[m.x], data[m.ids], m.shape); err != nil {
				return err
			}
		}
		return nil
	}
}

// add sums the rows of x, shape [tokens, in], or [tokens, 1 or k, in] with the chosen experts in ids, [tokens, k].
func (c *Collector) add(m product, x, ids []byte, shape tensor.Shape) error {
	cols := shape.Last()
	s := c.sums[m.weight]
	if s == nil {
		n := max(1, m.experts)
		s = &sums{values: make([]float64, n*cols), counts: make([]float64, n)}
		c.sums[m.weight] = s
	}
	row := func(i, expert int) {
		s.counts[expert]++
		sum := s.values[expert*cols:][:cols]
		for j := range sum {
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(x[4*(i*cols+j):])))
			sum[j] += v * v
		}
	}
	if m.experts == 0 {
		for i := range shape.Rows() {
			row(i, 0)
		}
		return nil
	}
	tokens := shape[0]
	if tokens == 0 {
		return nil
	}
	k := len(ids) / 4 / tokens
	for i := range tokens * k {
		e := int(int32(binary.LittleEndian.Uint32(ids[4*i:])))
		if e < 0 || e >= m.experts {
			return fmt.Errorf("eval: tensor %q: expert %d of %d", m.weight, e, m.experts)
		}
		at := i
		if shape[1] == 1 {
			at = i / k
		}
		row(at, e)
	}
	return nil
}

// Imatrix lets r, which must run on c, read the chunks, every token of which counts, and returns the importance matrix
// of all that c has seen. names maps the names of weights to those of the file's tensors where they differ; see
// FileNames. progress, which may be nil, is told after each chunk how many are read.
func (c *Collector) Imatrix(ctx context.Context, r *runner.Runner, chunks [][]int32, names map[string]string,
	progress func(done int)) (*convert.Imatrix, error) {
	m := &convert.Imatrix{Entries: map[string]convert.ImatrixEntry{}, Chunks: len(chunks)}
	for i, chunk := range chunks {
		m.ChunkSize = len(chunk)
		if err := feed(ctx, r, chunk); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(i + 1)
		}
	}
	for name, s := range c.sums {
		if n, ok := names[name]; ok {
			name = n
		}
		e := convert.ImatrixEntry{Sums: make([]float32, len(s.values)), Counts: make([]float32, len(s.counts))}
		for i, v := range s.values {
			e.Sums[i] = float32(v)
		}
		for i, v := range s.counts {
			e.Counts[i] = float32(v)
		}
		m.Entries[name] = e
	}
	return m, nil
}

// feed runs all tokens of a chunk from an empty context.
func feed(ctx context.Context, r *runner.Runner, chunk []int32) error {
	id, err := r.Open()
	if err != nil {
		return err
	}
	defer r.Release(id)
	for len(chunk) > 0 {
		n := min(len(chunk), r.Limits().Batch)
		if _, err := r.Step(ctx, []runner.Work{{Seq: id, Tokens: chunk[:n], Rows: 1}}); err != nil {
			return err
		}
		chunk = chunk[n:]
	}
	return nil
}

// FileNames returns under which name src holds each weight of m that it holds under another one, or as a part of a
// larger tensor, whose parts all meet the same activations.
func FileNames(m models.Model, src models.Source) map[string]string {
	names := map[string]string{}
	for _, w := range m.Weights() {
		for _, name := range append([]string{w.Name}, append(w.Alt, w.Part.Name)...) {
			if _, ok := src.Tensor(name); ok {
				if name != w.Name {
					names[w.Name] = name
				}
				break
			}
		}
	}
	return names
}
