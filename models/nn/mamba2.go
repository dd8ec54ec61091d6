package nn

import (
	"fmt"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Mamba2 is the mixer of Mamba 2 (Dao and Gu 2024, arXiv 2405.21060): short convolution and SiLU over x, B and C, the
// selective scan, SiLU(z) as a gate, and a norm of each group's values. ssm_in makes z, x, B, C and dt, in this order;
// ssm_a holds -exp(A).
type Mamba2 struct {
	Embd           int
	Heads, HeadDim int
	StateDim       int // of B and C, the width of a head's state
	Groups         int // of B and C
	Conv           int // length of the convolution's filters
	Eps            float32
	NormIfThere    bool // files without ssm_norm are right: nothing is normalized then

	split *mambaPart // of one rank; nil: the whole
}

// mambaPart is the heads that a rank has. Whole says whether it has all heads of its groups.
type mambaPart struct {
	*part
	of    *Mamba2
	heads models.Range
	whole bool
}

// inner and convDim are the widths of z and of what is convolved.
func (m *Mamba2) inner() int   { return m.Heads * m.HeadDim }
func (m *Mamba2) convDim() int { return m.inner() + 2*m.Groups*m.StateDim }

// groupOnes is a vector of ones, the weights with which a group is normalized before ssm_norm scales all of them.
const groupOnes = "ssm_group_ones"

// Specs adds the projections, the filters, and the parameters of scan and norm.
func (m *Mamba2) Specs(s *Specs) {
	if m.split != nil {
		m.split.specs(s, m.split.of.Specs)
		return
	}
	inner := models.Segment{Kind: "heads", Units: m.Heads, Size: m.HeadDim}
	groups := models.Segment{Kind: "groups", Units: m.Groups, Size: m.StateDim}
	heads := models.Segment{Kind: "heads", Units: m.Heads, Size: 1}
	mixed := byRows(inner, groups, groups)
	s.SplitLinear("ssm_in", m.inner()+m.convDim()+m.Heads, m.Embd, byRows(inner, inner, groups, groups, heads))
	s.splitVector("ssm_conv1d.weight", mixed, m.convDim(), m.Conv)
	s.Add(models.WeightSpec{Name: "ssm_conv1d.bias", Shape: tensor.Shape{m.convDim()}, Vector: true, Optional: true,
		Split: mixed})
	s.splitVector("ssm_dt.bias", byRows(heads), m.Heads)
	s.splitVector("ssm_a", byRows(heads), m.Heads, 1)
	s.splitVector("ssm_d", byRows(heads), m.Heads, 1)
	width := m.inner() / m.Groups
	s.Add(models.WeightSpec{Name: "ssm_norm.weight", Shape: tensor.Shape{m.Groups, width}, Vector: true,
		Optional: m.NormIfThere, Split: byRows(models.Segment{Kind: "normalized groups", Units: m.Groups, Size: 1})})
	if m.Groups > 1 {
		s.Add(models.WeightSpec{Name: groupOnes, Shape: tensor.Shape{width}, Vector: true,
			Derive: func([][]float32) ([]float32, error) { return repeat(1, width), nil }})
	}
	s.SplitLinear("ssm_out", m.Embd, m.inner(), byColumns(inner))
}

// State lists the convolution window and the matrix of each head.
func (m *Mamba2) State(layer int) kv.Spec {
	return kv.Spec{Slots: []kv.Slot{
		{Name: convName(layer), Shape: tensor.Shape{m.Conv - 1, m.convDim()}},
		{Name: fmt.Sprintf("blk.%d.ssm", layer), Shape: tensor.Shape{m.Heads, m.HeadDim, m.StateDim}},
	}}
}

// Build records the mixer over x, [tokens, n_embd].
func (m *Mamba2) Build(g *ops.Graph, w models.Weights, b *Step, layer int, x ops.Value) ops.Value {
	y := m.scan(g, w, b, layer, x)
	if w.Has("ssm_norm.weight") {
		y = m.norm(g, w, y)
	}
	return Linear(g, w, "ssm_out", y)
}

// scan records the mixer up to the norm, [tokens, inner].
func (m *Mamba2) scan(g *ops.Graph, w models.Weights, b *Step, layer int, x ops.Value) ops.Value {
	in, inner := Linear(g, w, "ssm_in", x), m.inner()
	z := ops.Slice(g, in, 0, inner)
	mixed := ops.Slice(g, in, inner, inner+m.convDim())
	dt := ops.Slice(g, in, inner+m.convDim(), inner+m.convDim()+m.Heads)
	mixed = ops.SiLU(g, conv(g, w, b, layer, "ssm_conv1d", mixed))
	heads := func(name string) ops.Value { return ops.Reshape(g, w.Get(g, name), m.Heads) }
	y, _ := ops.SSMScan(g, mixed, dt, w.Get(g, "ssm_dt.bias"), heads("ssm_a"), heads("ssm_d"),
		b.State(g, fmt.Sprintf("blk.%d.ssm", layer)), b.Starts, b.Slots, ops.SSMScanAttrs{Groups: m.Groups})
	return ops.SwiGLU(g, z, ops.Reshape(g, y, x.Shape().Rows(), inner))
}

// norm normalizes each group of y, [tokens, inner].
func (m *Mamba2) norm(g *ops.Graph, w models.Weights, y ops.Value) ops.Value {
	weight := ops.Reshape(g, w.Get(g, "ssm_norm.weight"), m.inner())
	if m.Groups == 1 {
		return ops.RMSNorm(g, y, weight, m.Eps)
	}
	tokens := y.Shape().Rows()
	y = ops.RMSNorm(g, ops.Reshape(g, y, tokens, m.Groups, m.inner()/m.Groups), w.Get(g, groupOnes), m.Eps)
	return ops.Mul(g, ops.Reshape(g, y, tokens, m.inner()), weight)
}

// convName is the name of a layer's convolution window.
func convName(layer int) string { return fmt.Sprintf("blk.%d.conv", layer) }

// conv convolves x with the filters of name.weight, and adds name.bias if there is one.
func conv(g *ops.Graph, w models.Weights, b *Step, layer int, name string, x ops.Value) ops.Value {
	y, _ := ops.CausalConv(g, x, b.State(g, convName(layer)), w.Get(g, name+".weight"), b.Starts, b.Slots)
	if w.Has(name + ".bias") {
		y = ops.Add(g, y, w.Get(g, name+".bias"))
	}
	return y
}

// ReadMamba2 reads the sizes. ssm.time_step_rank is the number of heads.
func ReadMamba2(k *models.Keys, d *Decoder) *Mamba2 {
	m := &Mamba2{Embd: d.Embd, Eps: d.Eps}
	inner := k.Int("ssm.inner_size", 1, models.MaxDim)
	m.Heads = k.Int("ssm.time_step_rank", 1, models.MaxHeads)
	m.StateDim = k.Int("ssm.state_size", 1, models.MaxDim)
	m.Groups = k.Int("ssm.group_count", 1, models.MaxHeads)
	m.Conv = k.Int("ssm.conv_kernel", 2, 64)
	m.HeadDim = max(inner/m.Heads, 1)
	if inner%m.Heads != 0 || m.Heads%m.Groups != 0 {
		k.Fail("ssm.inner_size %d, ssm.time_step_rank %d and ssm.group_count %d are no multiples of each other", inner,
			m.Heads, m.Groups)
		m.Groups = 1
	}
	return m
}
